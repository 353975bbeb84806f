"""What can be wrong with the record of a mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DataError
from ..task import rle
from .sample import Record

SLACK = 1.0
"""pixels by which a box may reach out of the image, for some are rounded"""


def counted_area(annotation: Record, size: list[int]) -> int:
    """Pixels of a mask that count. Raises DataError where there are none, or it is no mask of the image."""
    mask, ignore = annotation.get("segmentation"), annotation.get("ignore")
    area = _pixels(mask, size)
    if ignore is not None and _pixels(ignore, size):
        area = int(np.count_nonzero(rle.decode(mask or {}) & ~rle.decode(ignore)))
    if not area:
        raise DataError("is empty; remove it")
    return area


def _pixels(mask: Any, size: list[int]) -> int:
    pixels = rle.area(mask)
    if list(mask["size"]) != size:
        raise DataError(f"has size {list(mask['size'])}, the image {size}")
    return pixels


def label_defects(annotation: Record, size: list[int], ids: set[int | str]) -> Iterator[tuple[str, str]]:
    """Key and defect of what is wrong with an annotation besides its mask.

    Its id joins `ids`, those of the masks that were met before.
    """
    number, area, category = (annotation.get(key) for key in ("id", "area", "category"))
    if not isinstance(number, (int, str)):
        yield "id", "has no id that is a number or a name; give it one of its own"
    elif number in ids:
        yield "id", "has the id of another mask; give each its own"
    else:
        ids.add(number)
    if area is not None and not (isinstance(area, (int, float)) and area > 0):
        yield "area", f"has the area {area!r:.40}; expected a positive number of pixels, or none"
    if category is not None and not isinstance(category, str):
        yield "category", f"has the category {category!r:.40}; expected text, or none"
    box = annotation.get("bbox")
    if box is not None and not _is_inside(box, size):
        yield "bbox", f"has the bbox {box!r:.60}; expected [x, y, width, height] inside the {size[1]}×{size[0]} image"


def _is_inside(box: Any, size: list[int]) -> bool:
    """Whether a value is a box in the image; its sides may be 0, as some count from the first pixel to the last."""
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(number, (int, float)) for number in box):
        return False
    x, y, width, height = box
    inside = min(x, y) >= -SLACK and x + width <= size[1] + SLACK and y + height <= size[0] + SLACK
    return inside and min(width, height) >= 0
