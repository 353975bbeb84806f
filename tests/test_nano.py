"""The packaged model: small enough, with its card, and as good on real photos as the card says."""

from __future__ import annotations

import pytest

from anymask.dataset.sa1b import open_folder
from anymask.evaluation.boxes import Boxes
from anymask.evaluation.points import Points
from anymask.evaluation.run import run
from anymask.model.checkpoint import read_card
from anymask.model.weights import find_weights, load_model
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.predict.predictor import SamPredictor

WEIGHTS = find_weights("nano")


def test_the_file_is_small_and_says_what_it_is():
    assert WEIGHTS.stat().st_size <= 24e6
    card = read_card(WEIGHTS)
    assert {"data", "licence", "recipe", "scores"} <= card.keys()
    scores = card["scores"]["coco_mval_val"]
    assert {"grabcut", "berkeley", "bsds500_test"} <= card["scores"].keys()
    assert scores["1 click, best-scored mask, mean IoU"] >= 0.62
    assert scores["box, single mask, mean IoU"] >= 0.82


def test_everything_finds_the_cup(photos):
    """With the thresholds that the registry has for it: a few masks on a simple photo, one of them the cup's."""
    records = SamAutomaticMaskGenerator(load_model("nano"), points_per_side=6, points_per_batch=9).generate(
        photos / "coffee.jpg"
    )
    assert records
    assert any(record["segmentation"][170, 300] for record in records)


def figures(protocol, samples, path):
    """What nano gets, by metric."""
    rows = run(protocol, SamPredictor(load_model("nano")), samples, path / f"{protocol.name}.jsonl", {})
    return {metric.name: metric.value for metric in protocol.summarise(rows)}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [Points(clicks=(1,)), Boxes()])
def test_it_scores_what_its_card_says(shared_data, protocol, tmp_path):
    found = figures(protocol, open_folder(shared_data / "val" / "coco_mval_val"), tmp_path)
    card = read_card(WEIGHTS)["scores"]["coco_mval_val"]
    shared = card.keys() & found.keys()
    assert len(shared) >= 4
    assert {name: found[name] for name in shared} == pytest.approx({name: card[name] for name in shared}, abs=0.002)


def test_it_finds_the_object_on_real_photos(shared_data, tmp_path):
    """A quick sample of the same: every twelfth image."""
    samples = open_folder(shared_data / "val" / "coco_mval_val")[::12]
    assert figures(Points(clicks=(1,)), samples, tmp_path)["1 click, best-scored mask, mean IoU"] > 0.55
    assert figures(Boxes(), samples, tmp_path)["box, single mask, mean IoU"] > 0.78
