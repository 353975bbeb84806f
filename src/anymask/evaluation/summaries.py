"""What the summaries of the protocols share: means over objects with their intervals, by size and by category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from .protocol import LabelledImage, Metric, Row
from .statistics import mean_interval

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, float("inf"))}
"""COCO's classes of mask area, in pixels: from the first, and under the second"""


def object_rows(image: LabelledImage) -> list[Row]:
    """A row for each object of an image, still without figures."""
    return [
        {"image": image.name, "id": target.id, "category": target.category, "area": int(target.mask.sum())}
        for target in image.objects
    ]


def clicks_in_words(number: int) -> str:
    """How so many clicks are called in a metric's name."""
    return "1 click" if number == 1 else f"{number} clicks"


def at(*keys: str | int) -> Callable[[Row], float]:
    """What gives the figure of a row that lies under these keys, one within the other."""

    def figure(row: Row) -> float:
        value: Any = row
        for key in keys:
            value = value[key]
        return float(value)

    return figure


def mean(name: str, rows: Sequence[Row], figure: Callable[[Row], float], detail: bool = False) -> Metric:
    """The mean of a figure over objects, its interval drawn over images: none where there is one image alone.

    Raises DataError where there are no objects.
    """
    if not rows:
        raise DataError("the data hold no masks to score; expected at least one that is not empty")
    values, images = [figure(row) for row in rows], [row["image"] for row in rows]
    interval = mean_interval(values, images) if len(set(images)) > 1 else None
    return Metric(name, float(np.mean(values)), interval, detail)


def by_size(prefix: str, rows: Sequence[Row], figure: Callable[[Row], float]) -> Iterator[Metric]:
    """Means over the small, medium and large objects, as far as there are any."""
    for size, (low, high) in SIZES.items():
        some = [row for row in rows if low <= row["area"] < high]
        if some:
            yield mean(f"{prefix}, {len(some)} {size} objects", some, figure)


def by_category(prefix: str, rows: Sequence[Row], figure: Callable[[Row], float]) -> Iterator[Metric]:
    """Means over the objects of each category, where there are several."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["category"] is not None:
            groups[row["category"]].append(row)
    for category in sorted(groups) if len(groups) > 1 else ():
        yield mean(f"{prefix}, category {category}", groups[category], figure, detail=True)
