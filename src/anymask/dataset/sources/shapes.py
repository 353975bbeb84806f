"""Drawn shapes as masks in RLE, where pixel (x, y) is the square from (x, y) to (x + 1, y + 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from ...errors import DataError
from ...task import rle
from ..sample import Record

REACH = 10
"""how many times the image's longer side a corner may lie away from it, for the rasteriser's memory grows with that"""


def polygons(parts: Sequence[Any], height: int, width: int, holes: bool = False) -> rle.RLE:
    """The mask that polygons enclose, each a flat list x0, y0, x1, y1, … or a list of (x, y), in pixels.

    Overlapping parts count once; with `holes` a part inside another cuts it out, as in OpenCV's fillPoly. A part of
    fewer than three corners encloses nothing. Raises DataError for what is no polygon.
    """
    flat = [corners for corners in (_corners(part, height, width) for part in parts) if len(corners) >= 6]
    if not flat:
        return rle.encode(np.zeros((height, width), bool))
    drawn = coco.frPyObjects(flat, height, width)
    if not holes:
        return _as_text(coco.merge(drawn))
    layers: NDArray[np.uint8] = coco.decode(drawn)  # H×W×parts
    return rle.encode(layers.sum(axis=2) % 2)


def rectangle(x: float, y: float, side_x: float, side_y: float, height: int, width: int) -> rle.RLE:
    """The mask of an upright rectangle from its corner and sides, in pixels; a side may be negative."""
    return polygons([[x, y, x + side_x, y, x + side_x, y + side_y, x, y + side_y]], height, width)


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], height: int, width: int, angle: float = 0.0
) -> rle.RLE:
    """The pixels whose centres lie in an ellipse, turned by `angle` in radians from the x axis to the y axis.

    Raises DataError where the numbers are no ellipse.
    """
    numbers = np.array([*centre, *radii, angle], np.float64)
    if not np.isfinite(numbers).all() or min(radii) <= 0:
        raise DataError(f"centre {centre} and radii {radii} are no ellipse; expected numbers, the radii over 0")
    y, x = np.mgrid[:height, :width] + 0.5
    dx, dy = x - centre[0], y - centre[1]
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / radii[0]
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / radii[1]
    return rle.encode(along**2 + across**2 <= 1)


class Objects:
    """Annotations of drawn shapes, some of which are parts of one object."""

    def __init__(self) -> None:
        self._records: dict[Any, Record] = {}
        self._parts: dict[Any, list[rle.RLE]] = {}

    def add(self, key: Any, record: Record, mask: rle.RLE) -> None:
        """A shape; shapes of one key are parts of one object, whose record is that of the first."""
        self._records.setdefault(key, record)
        self._parts.setdefault(key, []).append(mask)

    def annotations(self) -> list[Record]:
        """A record for each object, with its mask."""
        return [{**record, "segmentation": rle.union(self._parts[key])} for key, record in self._records.items()]


def _corners(part: Any, height: int, width: int) -> list[float]:
    """A polygon as a flat list, checked."""
    try:
        corners = np.asarray(part, np.float64)
    except (TypeError, ValueError):
        corners = np.array(np.nan)
    pairs = corners.ndim == 2 and corners.shape[1] == 2
    if not (pairs or (corners.ndim == 1 and corners.size % 2 == 0)) or not np.isfinite(corners).all():
        raise DataError("is no polygon; expected numbers x0, y0, x1, y1, … or pairs (x, y)")
    reach = REACH * max(height, width)
    if np.abs(corners).max(initial=0) > reach + max(height, width):
        raise DataError(f"a corner of its polygon lies over {reach} pixels out of the {width}×{height} image")
    return [float(number) for number in corners.ravel()]


def _as_text(encoded: rle.RLE) -> rle.RLE:
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}
