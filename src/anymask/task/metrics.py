"""Metrics of masks: how well a prediction agrees with the truth (§7)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of ...×H×W masks, broadcast: ...; 1 where both are empty."""
    inter = np.logical_and(a, b).sum(axis=(-2, -1), dtype=np.int64)
    union = np.logical_or(a, b).sum(axis=(-2, -1), dtype=np.int64)
    return np.where(union > 0, inter / np.maximum(union, 1), 1.0)


def boundary_iou(a: NDArray[np.bool_], b: NDArray[np.bool_], width: float = 0.02) -> float:
    """IoU of the bands along the inner side of two H×W masks' outlines (Cheng et al., CVPR 2021).

    `width` is that of the bands, relative to the image's diagonal. The image's border counts as an outline.
    """
    pixels = max(1, round(width * float(np.hypot(*a.shape))))
    return float(iou(_inner_band(a, pixels), _inner_band(b, pixels)))


def _inner_band(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The pixels of a mask that are at most so many steps, diagonal ones too, from its outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    core = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=pixels)[1:-1, 1:-1]
    return np.asarray(mask & (core == 0))


def number_of_clicks(ious: Sequence[float], target: float) -> int | None:
    """NoC: how many clicks it took to reach an IoU of `target`, given the IoU after each; None where it never was."""
    return next((clicks for clicks, value in enumerate(ious, start=1) if value >= target), None)
