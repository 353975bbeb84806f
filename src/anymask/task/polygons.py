"""Masks as polygons along the edges of their pixels, with holes, from which the same mask comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.int64]
"""P×2 corners (x, y) of a closed line, in turn, the first not repeated; pixel (x, y) is the square to (x + 1, y + 1)"""


class Polygon(NamedTuple):
    """One part of a mask, whose pixels hang together by their sides: the line around it, and those around its holes."""

    outer: Ring
    holes: list[Ring]


def polygons(mask: NDArray[np.bool_]) -> list[Polygon]:
    """The parts of an H×W mask, from top to bottom. Parts that meet in a corner alone are two."""
    _, parts = cv2.connectedComponents(np.ascontiguousarray(mask, np.uint8), connectivity=4)
    found: dict[int, Polygon] = {}
    for ring in _rings(mask):
        x, y = ring[0]  # the first from the top, and there from the left: that of its part if a pixel lies below it
        if y < mask.shape[0] and x < mask.shape[1] and mask[y, x]:
            found[int(parts[y, x])] = Polygon(ring, [])
        else:
            found[int(parts[y - 1, x])].holes.append(ring)
    return list(found.values())


def _rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """All closed lines between pixels that are set and that are not, ordered by where they begin.

    Along a row of corners, the first and the second, the third and the fourth, … are joined by a line, and so along a
    column. Where pixels meet in a corner alone there are two corners, one for each of the two.
    """
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), bool)
    padded[1:-1, 1:-1] = mask
    above, below = padded[:-1], padded[1:]
    set_ = above[:, :-1], above[:, 1:], below[:, :-1], below[:, 1:]  # around each corner
    single = set_[0] ^ set_[1] ^ set_[2] ^ set_[3]
    falling, rising = ((a & b & ~c & ~d) for a, b, c, d in (set_[::3] + set_[1:3], set_[1:3] + set_[::3]))
    y, x = np.nonzero(single | falling | rising)
    times = 1 + (falling | rising)[y, x]
    corners = np.repeat(np.stack([x, y], axis=1), times, axis=0)
    along_row = np.arange(len(corners)) ^ 1  # the first's partner is the second, the third's the fourth, …
    # Of two corners in one place the first goes on to the left; up, if its pixel is the upper left one, else down.
    second = np.concatenate([[False], (corners[1:] == corners[:-1]).all(1)]) if len(corners) else np.zeros(0, bool)
    turned = rising[corners[:, 1], corners[:, 0]]
    order = np.lexsort((second ^ turned, corners[:, 1], corners[:, 0]))
    along_column = np.empty_like(along_row)
    along_column[order] = order[along_row]
    return [corners[ring] for ring in _cycles(along_row.tolist(), along_column.tolist())]


def _cycles(first: list[int], second: list[int]) -> list[list[int]]:
    """What hangs together by two kinds of partners, taken in turn from the least number on."""
    seen = [False] * len(first)
    cycles = []
    for start in range(len(first)):
        ring: list[int] = []
        at = start
        while not seen[at]:
            other = first[at]
            seen[at] = seen[other] = True
            ring += [at, other]
            at = second[other]
        if ring:
            cycles.append(ring)
    return cycles


def joined(rings: Sequence[Ring]) -> Ring:
    """One closed line through all rings, from each to the next over a bridge of no width, there and back.

    What counts crossings, as pycocotools does, fills the same pixels; what draws lines sets those of the bridges, too.
    Raises ValueError where there are no rings.
    """
    line, *others = rings
    for ring in others:
        at = int(np.abs(line - ring[0]).sum(1).argmin())
        line = np.concatenate([line[: at + 1], ring, ring[:1], line[at:]])
    return line
