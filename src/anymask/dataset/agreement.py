"""How far two sets of masks of the same images agree, such as automatic masks and what people made of them (§5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import DataError
from ..task import rle
from .problems import Problems, Progress
from .sample import Record, Sample

Match = Literal["id", "best"]
"""whether masks of one id are a pair, or each mask and the one that it overlaps most, none twice"""
LEVELS = (0.9, 0.75)
PAPER = {0.9: 0.94, 0.75: 0.97}
"""share of pairs over each IoU, of SA-1B's automatic masks and those that annotators made of them"""


@dataclass
class Agreement:
    """Pairs of masks of two sets.

    Attributes:
        images: that are in both.
        ious: of the pairs.
        alone: masks of the first and of the second set that have no partner, on images that are in both.
        missing: images of the first and of the second set that the other lacks.
    """

    images: int = 0
    ious: list[float] = field(default_factory=list)
    alone: tuple[int, int] = (0, 0)
    missing: tuple[int, int] = (0, 0)

    def over(self, level: float) -> float:
        """Share of the pairs whose IoU is over a level."""
        return float(np.mean(np.array(self.ious) > level)) if self.ious else float("nan")

    def summary(self) -> dict[str, Any]:
        """The figures, JSON-ready."""
        return {
            "images": self.images,
            "pairs": len(self.ious),
            "mean_iou": float(np.mean(self.ious)) if self.ious else None,
            "shares": {f"{level}": self.over(level) for level in LEVELS} if self.ious else {},
            "alone": list(self.alone),
            "missing_images": list(self.missing),
        }


def agree(
    first: Sequence[Sample],
    second: Sequence[Sample],
    match: Match = "id",
    *,
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> Agreement:
    """The IoU of the masks of two sets, whose images have the same names; no mask is decoded.

    Args:
        first: one set.
        second: the other.
        match: which masks are a pair.
        problems: takes what is wrong with samples, whose images are then left out.
        progress: called after each image.

    Raises DataError where the two share no image, or their images differ in size.
    """
    problems, result = problems or Problems(), Agreement()
    others = {sample.name: sample for sample in second}
    shared = [(sample, others[sample.name]) for sample in first if sample.name in others]
    if not shared:
        raise DataError("the two sets share no image; expected two of the same names")
    result.missing = len(first) - len(shared), len(second) - len(shared)
    for done, (one, other) in enumerate(shared, 1):
        with problems.noted():
            ious, alone = _pairs(one, other, match)
            result.images += 1
            result.ious += ious
            result.alone = result.alone[0] + alone[0], result.alone[1] + alone[1]
        one.forget()
        other.forget()
        if progress:
            progress(done, len(shared))
    return result


def _pairs(one: Sample, other: Sample, match: Match) -> tuple[list[float], tuple[int, int]]:
    """The IoUs of the pairs of an image, and how many masks of each set have none."""
    if one.size != other.size:
        raise DataError(f"{one.where}: its image is {one.size}, that of {other.where} {other.size} (height, width)")
    for sample in (one, other):
        sample.check_masks()
    a, b = one.annotations, other.annotations
    ious = _by_id(a, b) if match == "id" else _by_overlap(a, b)
    return ious, (len(a) - len(ious), len(b) - len(ious))


def _by_id(a: Sequence[Record], b: Sequence[Record]) -> list[float]:
    first, second = _with_ids(a), _with_ids(b)
    pairs = [(mask, second[number]) for number, mask in first.items() if number in second]
    return [float(rle.iou([mask], [partner])[0, 0]) for mask, partner in pairs]


def _with_ids(annotations: Sequence[Record]) -> dict[int | str, rle.RLE]:
    """The masks by id. Raises DataError where one has none, or another's."""
    found: dict[int | str, rle.RLE] = {}
    for annotation in annotations:
        number = annotation.get("id")
        if not isinstance(number, (int, str)) or number in found:
            raise DataError(f"a mask has the id {number!r}, which is none or another's; pair them with --match best")
        found[number] = annotation["segmentation"]
    return found


def _by_overlap(a: Sequence[Record], b: Sequence[Record]) -> list[float]:
    """The largest IoU is a pair, then the largest of those that are left, as long as there is any overlap."""
    if not a or not b:
        return []
    table = rle.iou([each["segmentation"] for each in a], [each["segmentation"] for each in b])
    ious = []
    while (best := table.max()) > 0:
        row, column = np.unravel_index(table.argmax(), table.shape)
        table[row], table[:, column] = 0, 0
        ious.append(float(best))
    return ious
