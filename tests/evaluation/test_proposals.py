"""Object proposals: their ranking, and recall in a case made by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from reference import fill_with_noise

from anymask.dataset.sample import Object
from anymask.errors import DataError
from anymask.evaluation.baselines import Felzenszwalb
from anymask.evaluation.proposals import ModelProposals, Proposals
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import SamPredictor
from anymask.task import rle


class Proposer:
    """Proposes the same masks for every image."""

    def __init__(self, *masks):
        self.masks = [rle.encode(mask) for mask in masks]
        self.asked = 0

    def proposals(self, pixels):
        self.asked += 1
        return self.masks


def test_the_rank_is_the_mean_of_predicted_iou_and_stability():
    candidates = [
        SimpleNamespace(mask="stable", predicted_iou=0.5, stability=0.99),
        SimpleNamespace(mask="best", predicted_iou=0.8, stability=0.85),
        SimpleNamespace(mask="confident", predicted_iou=0.95, stability=0.6),
        SimpleNamespace(mask="confident too", predicted_iou=0.95, stability=0.6),
        SimpleNamespace(mask="worst", predicted_iou=0.1, stability=0.2),
    ]
    generator = SimpleNamespace(candidates=lambda pixels: candidates)
    ranked = ModelProposals(generator).proposals(np.zeros((4, 4, 3), np.uint8))
    assert ranked == ["best", "confident", "confident too", "stable", "worst"]


def test_recall_by_hand(block, labelled, figures):
    """Of three objects the first proposal finds one, the second another to an IoU of .72; the last is not found."""
    truths = [block(0, 10, 0, 10), block(20, 30, 0, 50), block(35, 40, 50, 60)]
    proposer = Proposer(truths[0], block(20, 30, 0, 36), block(0, 40, 0, 60))
    found = figures(Proposals(), proposer, labelled(truths))
    assert found["AR@1"] == pytest.approx(1 / 3)
    assert found["AR@10"] == found["AR@100"] == found["AR@1000"] == pytest.approx(1.5 / 3)
    assert found["AR@1000 small"] == pytest.approx(1.5 / 3) and "AR@1000 medium" not in found
    assert found["objects"] == 3 and isinstance(found["objects"], int)


def test_by_the_frequency_of_categories(block, labelled, figures):
    masks = [block(0, 10, 0, 10), block(0, 10, 20, 30), block(0, 10, 40, 50)]
    objects = [Object(n, mask, record={"frequency": f}) for n, (mask, f) in enumerate(zip(masks, "fcr", strict=True))]
    found = figures(Proposals(), Proposer(masks[0], block(0, 6, 20, 30)), labelled(objects))
    assert found["AR@1000 frequent"] == 1 and found["AR@1000 rare"] == 0
    assert found["AR@1000 common"] == pytest.approx(0.3)  # an IoU of .6: at .5, .55 and .6
    found = figures(Proposals(), Proposer(), labelled([*objects, Object("x", masks[0])]))
    assert not any(name.endswith(("frequent", "common", "rare")) for name in found)


def test_the_size_is_that_of_the_record_where_it_tells_one(block, labelled, figures):
    """LVIS goes by the area of the polygons."""
    mask = block(0, 30, 0, 30)
    found = figures(Proposals(), Proposer(mask), labelled([Object(1, mask, record={"area": 1500.0})]))
    assert found["AR@1000 medium"] == 1 and "AR@1000 small" not in found


def test_rows_name_their_objects_and_survive_json(block, labelled):
    rows = Proposals().evaluate(Proposer(), labelled([Object("a7", block(0, 5, 0, 5))]))
    assert json.loads(json.dumps(rows)) == rows
    assert rows[0]["image"] == "photo" and rows[0]["id"] == "a7" and rows[0]["AR@1000"] == 0


def test_an_image_without_objects_is_not_asked_about(labelled):
    proposer = Proposer()
    assert Proposals().evaluate(proposer, labelled([])) == [] and not proposer.asked
    with pytest.raises(DataError, match="no masks to score"):
        list(Proposals().summarise([]))


@pytest.fixture(scope="module")
def predictor():
    sam = Sam(MODELS["test_tiny_light"].config)
    fill_with_noise(sam)
    return SamPredictor(sam.eval())


def test_masks_of_a_model_are_not_dropped_for_their_scores(predictor):
    """As in D.3; with a limit that no IoU exceeds all three masks of each point are left."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    subject = Proposals(points=2, nms=2.0).subject(predictor)
    assert len(subject.proposals(pixels)) == 3 * 2 * 2
    assert len(Proposals(points=2, nms=0.5).subject(predictor).proposals(pixels)) < 12
    scores = [(each.predicted_iou, each.stability) for each in subject.generator.candidates(pixels)]
    assert min(scores)[0] < 0.88 and min(stability for _, stability in scores) < 0.95


def test_a_toy_model_and_segments_from_end_to_end(predictor, block, labelled, figures):
    image = labelled([block(5, 20, 5, 30), block(25, 35, 30, 50)])
    protocol = Proposals(points=2)
    for subject in (protocol.subject(predictor), Felzenszwalb()):
        found = figures(protocol, subject, image)
        assert found["objects"] == 2 and 0 <= found["AR@1"] <= found["AR@10"] <= found["AR@1000"] <= 1
