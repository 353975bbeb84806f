"""Masks that cover what a better one covers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from . import rle


def distinct(
    masks: Sequence[rle.RLE],
    scores: Sequence[float],
    threshold: float,
    kinds: Sequence[Hashable] | None = None,
) -> list[int]:
    """Places of the masks that stay, best first, where no two have an IoU of `threshold` or more.

    Of such the one with the best score stays, then the first. Nothing is decoded. Masks of different `kinds` are never
    the same; all masks are of one size.
    """
    areas = np.array([rle.area(mask) for mask in masks], np.int64)
    boxes = np.array([rle.box(mask) for mask in masks]).reshape(-1, 4)
    kept = np.zeros(len(masks), bool)
    stay = []
    for place in sorted(range(len(masks)), key=lambda place: (-scores[place], place)):
        # An IoU of t asks for areas within a factor of t, and for boxes that touch.
        alike = kept & (areas >= threshold * areas[place]) & (areas * threshold <= areas[place])
        alike &= (boxes[:, :2] <= boxes[place, :2] + boxes[place, 2:]).all(1)
        alike &= (boxes[:, :2] + boxes[:, 2:] >= boxes[place, :2]).all(1)
        others = [i for i in np.flatnonzero(alike).tolist() if kinds is None or kinds[i] == kinds[place]]
        if others and rle.iou([masks[place]], [masks[i] for i in others]).max() >= threshold:
            continue
        kept[place] = True
        stay.append(place)
    return stay
