"""Boxes: conversions, IoU, and non-maximum suppression and boxes of masks as the reference has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import amg, batched_nms

from anymask.task.boxes import box_area, box_iou, mask_boxes, nms, xywh_to_xyxy, xyxy_to_xywh


def draw_boxes(rng: np.random.Generator, count: int, whole: bool = True) -> np.ndarray:
    """Boxes of 1 to 30 pixels in 60×60, many of them alike."""
    low = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 30, (count, 2))], axis=1)
    return np.rint(boxes) if whole else boxes


def test_corners_and_sizes() -> None:
    boxes = np.array([[1, 2, 4, 8], [0, 0, 1, 1]])
    assert xyxy_to_xywh(boxes).tolist() == [[1, 2, 3, 6], [0, 0, 1, 1]]
    assert xywh_to_xyxy(xyxy_to_xywh(boxes)).tolist() == boxes.tolist()
    assert xyxy_to_xywh(boxes[0]).tolist() == amg.box_xyxy_to_xywh(torch.tensor(boxes[0])).tolist()
    assert box_area(boxes).tolist() == [18, 1]
    assert box_area(boxes[0]) == 18


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_iou_counts_the_pixels(kind: type) -> None:
    rng = np.random.default_rng(0)
    a, b = draw_boxes(rng, 20).astype(kind), draw_boxes(rng, 30).astype(kind)
    b[:3] = a[:3]

    def paint(box: np.ndarray) -> np.ndarray:
        canvas = np.zeros((100, 100), bool)
        x0, y0, x1, y1 = box.astype(int)
        canvas[y0:y1, x0:x1] = True
        return canvas

    counted = [[(paint(p) & paint(q)).sum() / (paint(p) | paint(q)).sum() for q in b] for p in a]
    assert np.allclose(box_iou(a, b), counted, atol=1e-6)


def test_iou_of_empty_boxes_is_zero() -> None:
    empty = np.array([[3.0, 3.0, 3.0, 3.0]])
    assert box_iou(empty, empty).tolist() == [[0.0]]
    assert box_iou(np.zeros((0, 4)), empty).shape == (0, 1)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_nms_is_the_reference_s(threshold: float, whole: bool) -> None:
    """With boxes that are equal, and scores too."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 10, 200):
        boxes = draw_boxes(rng, count, whole).astype(np.float32)
        boxes[count // 2 :] = boxes[: count - count // 2]
        scores = rng.integers(0, 5, count) / np.float32(5)
        classes = torch.zeros(count)
        theirs = batched_nms(torch.tensor(boxes), torch.tensor(scores), classes, threshold)
        assert nms(boxes, scores, threshold).tolist() == theirs.tolist()


def test_nms_on_the_threshold_keeps() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1], [0, 0, 2, 2]])
    assert nms(boxes, np.array([0.9, 0.8, 0.9]), 0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8, 0.9]), 0.49).tolist() == [0]
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_mask_boxes_are_the_reference_s() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (7, 1), (23, 31)):
        masks = rng.random((40, *shape)) < np.linspace(0, 0.3, 40)[:, None, None]
        masks[0], masks[1] = False, True
        boxes = mask_boxes(masks)
        assert boxes.dtype == np.int64
        assert boxes.tolist() == amg.batched_mask_to_box(torch.tensor(masks)).tolist()
    assert mask_boxes(np.zeros((0, 5, 5), bool)).shape == (0, 4)
