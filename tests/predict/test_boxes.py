"""Boxes of any detector: thousands in batches, as arrays or as supervision's detections, each with its mask."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.errors import PromptError
from anymask.model.weights import load_model
from anymask.predict import boxes as module
from anymask.predict.boxes import predict_boxes, segment_detections
from anymask.predict.predictor import SamPredictor
from anymask.task import rle
from anymask.task.metrics import iou
from anymask.task.prompts import Prompt

BLOCKS = [(20, 30, 70, 90), (110, 20, 180, 80), (40, 130, 120, 200)]


@pytest.fixture(scope="module")
def predictor():
    image = np.full((220, 200, 3), 40, np.uint8)
    for (x0, y0, x1, y1), colour in zip(BLOCKS, [(220, 60, 60), (60, 210, 60), (80, 90, 230)], strict=True):
        image[y0:y1, x0:x1] = colour
    made = SamPredictor(load_model("nano"))
    made.set_image(image)
    return made


def block(x0, y0, x1, y1):
    mask = np.zeros((220, 200), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_each_box_has_the_mask_that_it_would_have_alone(predictor, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    found = predict_boxes(predictor, BLOCKS)
    assert len(found.segmentations) == 3 and found.scores.shape == (3,)
    for box, segmentation, score in zip(BLOCKS, found.segmentations, found.scores, strict=True):
        alone = predictor.predict_many([Prompt(box=box)], multimask_output=False)[0]
        mask = rle.decode(segmentation)
        assert (mask != alone.masks[0]).mean() < 1e-3 and score == pytest.approx(alone.scores[0], abs=1e-3)
        assert iou(mask, block(*box)) > 0.85


def test_thousands_of_boxes_are_never_in_memory_together(predictor, monkeypatch):
    calls = []

    def answer(prompts, multimask_output):
        calls.append(len(prompts))
        one = np.zeros((1, 220, 200), bool)
        return [type("Answer", (), {"masks": one, "scores": np.ones(1)}) for _ in prompts]

    monkeypatch.setattr(predictor, "predict_many", answer)
    found = predict_boxes(predictor, np.tile(BLOCKS, (1000, 1)))
    assert len(found.segmentations) == 3000 and max(calls) == module.AT_ONCE and sum(calls) == 3000


def test_boxes_over_the_edge_are_cut_and_no_boxes_are_no_masks(predictor):
    found = predict_boxes(predictor, [[-50, 30, 70, 90]])
    assert found.segmentations == predict_boxes(predictor, [[0, 30, 70, 90]]).segmentations
    empty = predict_boxes(predictor, np.zeros((0, 4)))
    assert empty.segmentations == [] and empty.scores.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[1, 2, 3]], r"expected N×4 finite numbers, x0, y0, x1, y1, got shape \(1, 3\)"),
        ([[0, 0, np.nan, 5]], "finite numbers"),
        ("a b c", "expected N×4 numbers"),
        ([[10, 10, 20, 20], [300, 10, 350, 20]], r"box 1 \(300, 10, 350, 20\) holds nothing of the 200×220 image"),
        ([[10, 10, 5, 20]], r"box 0 \(10, 10, 5, 20\) holds nothing"),
    ],
)
def test_what_are_no_boxes_is_told_in_a_line(predictor, boxes, said):
    with pytest.raises(PromptError, match=said):
        predict_boxes(predictor, boxes)


def test_detections_come_back_with_masks_and_all_they_had(predictor):
    supervision = pytest.importorskip("supervision")
    given = supervision.Detections(
        xyxy=np.array(BLOCKS, np.float32),
        confidence=np.array([0.9, 0.8, 0.7], np.float32),
        class_id=np.array([3, 1, 3]),
        data={"class_name": np.array(["a", "b", "a"])},
    )
    found = segment_detections(predictor, given)
    assert given.mask is None and "predicted_iou" not in given.data, "nothing is changed in place"
    assert found.mask.shape == (3, 220, 200) and found.mask.dtype == bool
    assert (found.xyxy == given.xyxy).all() and (found.class_id == given.class_id).all()
    assert found.data["class_name"].tolist() == ["a", "b", "a"] and len(found.data["predicted_iou"]) == 3
    assert (found[found.class_id == 3].mask == found.mask[[0, 2]]).all(), "it can be cut like any other"
    none = segment_detections(predictor, supervision.Detections.empty())
    assert none.mask.shape == (0, 220, 200)
    with pytest.raises(PromptError, match=r"expected supervision\.Detections, got list"):
        segment_detections(predictor, [[0, 0, 1, 1]])
