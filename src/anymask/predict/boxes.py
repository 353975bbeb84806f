"""Boxes of any detector as prompts: thousands of them in batches, each with the mask of what it holds (§7.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..task import rle
from ..task.prompts import Prompt

if TYPE_CHECKING:
    from .predictor import SamPredictor

AT_ONCE = 64
"""boxes whose masks are in memory at full size together"""

Detections = TypeVar("Detections")
"""`supervision.Detections`, which need not be installed"""


class BoxMasks(NamedTuple):
    """The masks of N boxes, as COCO run lengths, in the boxes' order, and their predicted IoU, N."""

    segmentations: list[rle.RLE]
    scores: NDArray[np.float32]


def predict_boxes(predictor: SamPredictor, boxes: Any) -> BoxMasks:
    """The masks of many boxes in the image of a predictor.

    Args:
        predictor: with its image set.
        boxes: N×4, x0, y0, x1, y1 in original pixels; what lies off the image is cut off.

    Raises PromptError for anything but N×4 numbers, and for a box that is empty or wholly off the image.
    """
    segmentations: list[rle.RLE] = []
    scores: list[float] = []
    for mask, score in _masks(predictor, boxes):
        segmentations.append(rle.encode(mask))
        scores.append(score)
    return BoxMasks(segmentations, np.array(scores, np.float32))


def segment_detections(predictor: SamPredictor, detections: Detections) -> Detections:
    """`supervision.Detections` with the masks of their boxes, N×H×W; all else stays, and nothing is changed in place.

    The predicted IoU of each mask is in `data["predicted_iou"]`. Raises as `predict_boxes`, and PromptError for what
    are no detections.
    """
    boxes: Any = getattr(detections, "xyxy", None)
    if boxes is None or not hasattr(detections, "mask"):
        raise PromptError(f"detections: expected supervision.Detections, got {type(detections).__name__}")
    from copy import deepcopy

    found = list(_masks(predictor, boxes))
    result: Any = deepcopy(detections)
    height, width = predictor.original_size
    result.mask = np.stack([mask for mask, _ in found]) if found else np.zeros((0, height, width), bool)
    result.data = {**result.data, "predicted_iou": np.array([score for _, score in found], np.float32)}
    made: Detections = result
    return made


def _masks(predictor: SamPredictor, boxes: Any) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """The mask of each box, H×W, and its predicted IoU."""
    checked = _within(boxes, *predictor.original_size)
    for start in range(0, len(checked), AT_ONCE):
        prompts = [Prompt(box=box) for box in checked[start : start + AT_ONCE]]
        for answer in predictor.predict_many(prompts, multimask_output=False):
            yield answer.masks[0], float(answer.scores[0])


def _within(boxes: Any, height: int, width: int) -> NDArray[np.float64]:
    """Boxes cut to the image."""
    try:
        found = np.asarray(boxes, np.float64)
    except (TypeError, ValueError):
        raise PromptError("boxes: expected N×4 numbers, x0, y0, x1, y1") from None
    if not found.size:
        return np.zeros((0, 4))
    if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
        raise PromptError(f"boxes: expected N×4 finite numbers, x0, y0, x1, y1, got shape {found.shape}")
    cut = found.clip(0, np.tile([width, height], 2))
    empty = np.flatnonzero((cut[:, 2:] <= cut[:, :2]).any(axis=1))
    if len(empty):
        i = int(empty[0])
        raise PromptError(
            f"boxes: box {i} ({', '.join(f'{n:g}' for n in found[i])}) holds nothing of the {width}×{height} image; "
            "expected x0, y0, x1, y1 in its pixels"
        )
    return cut
