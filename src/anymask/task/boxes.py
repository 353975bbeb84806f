"""Boxes as N×4 arrays of x0, y0, x1, y1 in pixels: conversion, area, IoU and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def xyxy_to_xywh(boxes: Array) -> Array:
    """Convert ...×4 corners (x0, y0, x1, y1) to corner and size (x, y, width, height)."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def xywh_to_xyxy(boxes: Array) -> Array:
    """Convert ...×4 corner and size (x, y, width, height) to corners (x0, y0, x1, y1)."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def box_area(boxes: Array) -> Array:
    """Areas of ...×4 boxes, in square pixels."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(sides[..., 0] * sides[..., 1])


def box_iou(a: Array, b: Array) -> Array:
    """Intersection over union of N×4 with M×4 boxes, as N×M; 0 where both are empty."""
    overlap = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inter = overlap.clip(0).prod(axis=-1)
    union = box_area(a)[:, None] + box_area(b)[None] - inter
    iou = np.zeros(union.shape, np.result_type(union, np.float32))
    np.divide(inter, union, out=iou, where=union > 0)
    return iou


def nms(boxes: Array, scores: Array, iou_threshold: float) -> NDArray[np.int64]:
    """Indices of the boxes that greedy non-maximum suppression keeps, best score first.

    A box goes where its IoU with a kept, better one is over `iou_threshold`; on equal scores the earlier box wins.
    """
    boxes = np.asarray(boxes, np.float32)
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    keep = []
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(best)
        order = rest[box_iou(boxes[best][None], boxes[rest])[0] <= iou_threshold]
    return np.array(keep, np.int64)


def mask_boxes(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Boxes around N×H×W masks as N×4 x0, y0, x1, y1: the first and the last pixel; zeros for an empty mask."""
    rows, columns = np.asarray(masks.any(axis=2)), np.asarray(masks.any(axis=1))
    x0, x1 = columns.argmax(axis=1), columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1)
    y0, y1 = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    boxes = np.stack([x0, y0, x1, y1], axis=1)
    return np.where(rows.any(axis=1, keepdims=True), boxes, 0).astype(np.int64)
