"""The protocols, with a predictor whose answers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sa1b import open_folder
from anymask.errors import DataError
from anymask.evaluation import boxes, points
from anymask.predict.predictor import Prediction
from anymask.task import rle

TRUTH = np.zeros((40, 60), bool)
TRUTH[10:30, 20:40] = True
HALF = TRUTH.copy()
HALF[20:] = False


class Known:
    """Answers with half the object, all of it, and nothing; it trusts the half the most."""

    def __init__(self):
        self.prompts = []

    def set_image(self, image):
        assert image.shape == (40, 60, 3)

    def predict_many(self, prompts, multimask_output):
        self.prompts += prompts
        masks = np.stack([HALF, TRUTH, np.zeros_like(TRUTH)]) if multimask_output else TRUTH[None]
        scores = np.array([0.9, 0.8, 0.1])[: len(masks)]
        return [Prediction(masks, scores, np.zeros((1, 4, 4))) for _ in prompts]


@pytest.fixture()
def samples(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    annotations = [{"id": 1, "segmentation": rle.encode(TRUTH)}, {"id": 2, "segmentation": rle.encode(TRUTH & False)}]
    record = {"image": {"file_name": "a.png", "width": 60, "height": 40}, "annotations": annotations}
    (tmp_path / "a.json").write_text(json.dumps(record))
    return open_folder(tmp_path)


def test_one_click(samples):
    known = Known()
    figures = dict(points.summarise(list(points.evaluate(known, samples))))
    assert figures["1 click, best-scored mask, mean IoU"] == 0.5
    assert figures["1 click, best of three, mean IoU"] == 1.0
    assert figures["objects"] == 1, "an empty mask is no object"
    [prompt] = known.prompts
    (x, y), [label] = prompt.points[0], prompt.labels
    assert label == 1 and min(x - 20, 40 - x, y - 10, 30 - y) >= 9.5, "the click lies deepest in the object"


def test_box(samples):
    known = Known()
    figures = dict(boxes.summarise(list(boxes.evaluate(known, samples))))
    assert figures["box, single mask, mean IoU"] == 1.0
    assert figures["box, best-scored of three, mean IoU"] == 0.5
    assert figures["box, best of three, mean IoU"] == 1.0
    assert known.prompts[0].box.tolist() == [20, 10, 40, 30]


def test_no_objects_are_no_score():
    for protocol in (points, boxes):
        with pytest.raises(DataError, match="no masks"):
            dict(protocol.summarise([]))


def test_the_correlation_of_predicted_with_true_iou():
    figures = [{"scored": s, "oracle": s, "predicted": p} for s, p in ((0.1, 0.2), (0.5, 0.6), (0.9, 1.0))]
    assert dict(points.summarise(figures))["correlation of predicted with true IoU"] == pytest.approx(1)
    constant = [{"scored": 0.5, "oracle": 0.5, "predicted": 0.5}] * 2
    assert "correlation of predicted with true IoU" not in dict(points.summarise(constant))
