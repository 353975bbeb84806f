"""Connected parts of a mask: stray components and holes, found and removed."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def remove_small_regions(mask: Mask, min_area: float, mode: Literal["holes", "islands"]) -> tuple[Mask, bool]:
    """Fill holes, or drop islands, of under `min_area` pixels, 8-connected; also whether anything changed.

    Where every island is small the largest one stays.
    """
    holes = mode == "holes"
    count, regions, stats, _ = cv2.connectedComponentsWithStats((mask ^ holes).astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    small = sizes < min_area
    if count == 1 or not small.any():
        return mask, False
    if holes:
        chosen = np.concatenate([[True], small])  # the mask itself, and the holes to fill
    else:
        if small.all():
            small[sizes.argmax()] = False
        chosen = np.concatenate([[False], ~small])
    return chosen[regions], True


def region_sizes(mask: Mask) -> NDArray[np.int64]:
    """Pixels of each 8-connected part of an H×W mask; the part of the upper left corner, if it has one, is first."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes: NDArray[np.int64] = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    return sizes


def clean(mask: Mask, share: float = 0.02) -> Mask:
    """Drop stray components and fill holes that are smaller than `share` of the mask's area."""
    min_area = share * float(mask.sum())
    mask, _ = remove_small_regions(mask, min_area, "holes")
    mask, _ = remove_small_regions(mask, min_area, "islands")
    return mask
