"""The packaged model: small enough, with its card, and as good on real photos as the card says."""

from __future__ import annotations

import pytest

from anymask.dataset.sa1b import open_folder
from anymask.evaluation import boxes, points
from anymask.model.checkpoint import read_card
from anymask.model.weights import find_weights, load_model
from anymask.predict.predictor import SamPredictor

WEIGHTS = find_weights("nano")
pytestmark = pytest.mark.skipif(WEIGHTS is None, reason="the packaged weights are not there")


def test_the_file_is_small_and_says_what_it_is():
    assert WEIGHTS.stat().st_size <= 24e6
    card = read_card(WEIGHTS)
    assert {"data", "licence", "recipe", "scores"} <= card.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "metric"),
    [
        (points, "1 click, best-scored mask, mean IoU"),
        (points, "1 click, best of three, mean IoU"),
        (boxes, "box, single mask, mean IoU"),
    ],
)
def test_it_scores_what_its_card_says(shared_data, protocol, metric):
    predictor = SamPredictor(load_model("nano"))
    samples = open_folder(shared_data / "val" / "coco_mval_val")
    figures = dict(protocol.summarise(list(protocol.evaluate(predictor, samples))))
    assert figures[metric] == pytest.approx(read_card(WEIGHTS)["scores"]["coco_mval_val"][metric], abs=0.002)


def test_it_finds_the_object_on_real_photos(shared_data):
    """A quick sample of the same: every twelfth image."""
    predictor = SamPredictor(load_model("nano"))
    samples = open_folder(shared_data / "val" / "coco_mval_val")[::12]
    by_point = dict(points.summarise(list(points.evaluate(predictor, samples))))
    by_box = dict(boxes.summarise(list(boxes.evaluate(predictor, samples))))
    assert by_point["1 click, best-scored mask, mean IoU"] > 0.38
    assert by_box["box, single mask, mean IoU"] > 0.68
