"""How large a mask is, where it lies and how it bends, from its runs alone (§5)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import rle


class Measures(NamedTuple):
    """What the runs of a mask tell.

    Attributes:
        area: in pixels.
        centre: (x, y), mean place of its pixels, each at the middle of its square; not a number for an empty mask.
        hull_area: of the convex hull around the squares of its pixels.
    """

    area: int
    centre: tuple[float, float]
    hull_area: float

    @property
    def concavity(self) -> float:
        """Share of its convex hull that a mask leaves open: 0 for a rectangle, towards 1 for a thin ring."""
        return 1 - self.area / self.hull_area if self.hull_area else 0.0


def measure(mask: rle.RLE) -> Measures:
    """The measures of a mask; it is not decoded. Raises DataError where it is not RLE."""
    (height, _), lengths = rle.runs(mask)
    ends = lengths.cumsum()
    starts, ends = (ends - lengths)[1::2], ends[1::2]  # of the runs of foreground, every other from the second on
    filled = starts < ends
    starts, ends = starts[filled], ends[filled]
    area = int((ends - starts).sum())
    if not area:
        return Measures(0, (float("nan"), float("nan")), 0.0)
    columns, rows = _sums(ends, height) - _sums(starts, height)
    centre = (float(columns) / area + 0.5, float(rows) / area + 0.5)
    hull = cv2.convexHull(_corners(starts, ends, height))
    return Measures(area, centre, float(cv2.contourArea(hull)))


def _sums(ends: NDArray[np.int64], height: int) -> NDArray[np.int64]:
    """Sums of the columns, and of the rows, of all pixels before places down the columns, summed over the places."""
    full, rest = np.divmod(ends, height)
    columns = height * (full * (full - 1) // 2) + full * rest
    rows = full * (height * (height - 1) // 2) + rest * (rest - 1) // 2
    return np.array([columns.sum(), rows.sum()])


def _corners(starts: NDArray[np.int64], ends: NDArray[np.int64], height: int) -> NDArray[np.int32]:
    """Corners of pixels, P×1×2 (x, y), whose convex hull is that of runs down the columns."""
    (left, top), (right, bottom) = np.divmod(starts, height), np.divmod(ends - 1, height)
    over = right > left  # runs that go on in other columns
    first, last = np.append(True, left[1:] > left[:-1]), np.append(left[1:] > left[:-1], True)
    x, y = [], []
    for chosen, level in ((first & ~over, top), (last & ~over, bottom + 1)):  # all others lie between these
        x += [left[chosen], left[chosen] + 1]
        y += [level[chosen]] * 2
    if over.any():  # from its start to the lower edge, full columns, and from the upper edge to its end
        left, top, right, bottom = left[over], top[over], right[over], bottom[over] + 1
        low, high = np.zeros(len(left), np.int64), np.full(len(left), height)
        x += [left, left + 1, left, left + 1, right, right + 1, right, right + 1]
        y += [top, top, high, high, low, low, bottom, bottom]
        full = right > left + 1
        x += [left[full] + 1, right[full]]
        y += [low[full], high[full]]
    return np.stack([np.concatenate(x), np.concatenate(y)], axis=1)[:, None].astype(np.int32)
