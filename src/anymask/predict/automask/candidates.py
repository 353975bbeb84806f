"""Candidates: masks found in an image with what they are judged by, and the suppression of duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...task import rle
from ...task.boxes import box_area, mask_boxes, nms
from ...task.regions import remove_small_regions
from .grid import Crop


@dataclass(frozen=True)
class Candidate:
    """One mask, in pixels of the image."""

    mask: rle.RLE
    """the mask, as COCO RLE"""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1: first and last pixel"""
    predicted_iou: float
    """the model's own score"""
    stability: float
    """how little the mask depends on the cut-off"""
    point: tuple[float, float]
    """x, y of the click that gave it"""
    crop: Crop
    """the crop in which it was found"""


def suppress(candidates: Sequence[Candidate], scores: Sequence[float], threshold: float) -> list[Candidate]:
    """Drop candidates whose box overlaps a better-scored one by an IoU over `threshold`; best first."""
    if not candidates:
        return []
    boxes = np.array([candidate.box for candidate in candidates])
    return [candidates[i] for i in nms(boxes, np.array(scores), threshold)]


def prefer_zoomed(candidates: Sequence[Candidate], threshold: float) -> list[Candidate]:
    """Drop duplicates between crops; those found in smaller crops stay."""
    areas = box_area(np.array([candidate.crop for candidate in candidates], np.float32).reshape(-1, 4))
    return suppress(candidates, list(1 / areas), threshold)


def without_small_regions(candidates: Sequence[Candidate], min_area: int, threshold: float) -> list[Candidate]:
    """Fill holes and drop islands of under `min_area` pixels, then drop new duplicates; untouched masks stay first."""
    cleaned, untouched = [], []
    for candidate in candidates:
        mask, filled = remove_small_regions(rle.decode(candidate.mask), min_area, "holes")
        mask, dropped = remove_small_regions(mask, min_area, "islands")
        untouched.append(float(not (filled or dropped)))
        cleaned.append(_with_mask(candidate, mask) if filled or dropped else candidate)
    return suppress(cleaned, untouched, threshold)


def _with_mask(candidate: Candidate, mask: NDArray[np.bool_]) -> Candidate:
    x0, y0, x1, y1 = (int(n) for n in mask_boxes(mask[None])[0])
    return replace(candidate, mask=rle.encode(mask), box=(x0, y0, x1, y1))
