"""The check of all images and masks before the first step, so that no run ends on one of them hours later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dataset.sample import Record, Sample
from ..errors import AnymaskError, DataError
from ..task import rle

SMALL = 32**2
"""pixels below which a mask is small, as COCO has it"""
SHOWN = 20
"""defects that an error shows"""
SLACK = 1.0
"""pixels by which a box may reach out of the image, for some are rounded"""

Progress = Callable[[int, int], None]
"""told of the images that are checked and of all there are"""


@dataclass
class Summary:
    """What the images of a source hold; those with a defect are not counted.

    Attributes:
        source: its name.
        images: number of images.
        masks: number of masks.
        without_masks: images that have none.
        small_masks: masks of under 32² pixels.
        largest_side: longest side of any image, in pixels.
        faulty: the defects of each image that has some, by its place among the samples.
    """

    source: str
    images: int = 0
    masks: int = 0
    without_masks: int = 0
    small_masks: int = 0
    largest_side: int = 0
    faulty: dict[int, list[str]] = field(default_factory=dict)

    @property
    def small(self) -> float:
        """Share of the masks that are small."""
        return self.small_masks / self.masks if self.masks else 0.0

    def sound(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples without those that have a defect."""
        return [sample for index, sample in enumerate(samples) if index not in self.faulty]


def check_sources(
    sources: Sequence[tuple[str, Sequence[Sample]]], report: Progress | None = None, skip: bool = False
) -> list[Summary]:
    """Check every record and the header of every image file, and sum up what each source holds.

    An image file has to be there, of the size that its record says. A mask has to be RLE of that size, to have pixels
    that count and an id of its own; its area, its box and its category, where it has them, to be positive, inside the
    image and text. No pixels are read, and the records are let go of.

    Args:
        sources: name and samples of each.
        report: called after each image.
        skip: leave the images with defects to the caller, who finds them in the summaries.

    Raises DataError with a line for each defect, at most 20, where there are any and `skip` is not set, and for a
    source of which no image is left.
    """
    total = sum(len(samples) for _, samples in sources)
    summaries = []
    done = 0
    for name, samples in sources:
        summary = Summary(name)
        for index, sample in enumerate(samples):
            _count(sample, index, summary)
            sample.forget()
            done += 1
            if report is not None:
                report(done, total)
        summaries.append(summary)
    if not skip:
        _refuse_defects(summaries, total)
    for summary in summaries:
        if not summary.images:
            reason = next((defects[0] for defects in summary.faulty.values()), "it is empty")
            raise DataError(f"source {summary.source}: has no image to train on; {reason}")
    return summaries


def _refuse_defects(summaries: Sequence[Summary], images: int) -> None:
    defects = [defect for summary in summaries for found in summary.faulty.values() for defect in found]
    if not defects:
        return
    faulty = sum(len(summary.faulty) for summary in summaries)
    lines = [f"defects in {faulty} of {images} images; mend them, or leave those images out:", *defects[:SHOWN]]
    if len(defects) > SHOWN:
        lines.append(f"and {len(defects) - SHOWN} more")
    raise DataError("\n".join(lines))


def _count(sample: Sample, index: int, summary: Summary) -> None:
    """Check an image and its masks, and add them, or their defects, to a summary."""
    defects: list[str] = []
    areas: list[int] = []
    ids: set[int | str] = set()
    try:
        annotations, size = sample.annotations, sample.size
    except AnymaskError as error:
        summary.faulty[index] = [str(error)]
        return
    try:
        sample.check_image()
    except AnymaskError as error:
        defects.append(str(error))
    for annotation in annotations:
        where = f"{sample.where}: image {sample.name}, mask {annotation.get('id')}"
        try:
            areas.append(_area(annotation, size))
        except DataError as error:
            defects.append(f"{where}: {error}")
        defects += [f"{where}: {defect}" for defect in _defects(annotation, size, ids)]
    if defects:
        summary.faulty[index] = defects
        return
    summary.images += 1
    summary.masks += len(areas)
    summary.without_masks += not areas
    summary.small_masks += sum(area < SMALL for area in areas)
    summary.largest_side = max(summary.largest_side, *size)


def _area(annotation: Record, size: list[int]) -> int:
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


def _defects(annotation: Record, size: list[int], ids: set[int | str]) -> Iterator[str]:
    """What is wrong with an annotation besides its mask; its id joins those that were met before."""
    number, area, category = (annotation.get(key) for key in ("id", "area", "category"))
    if not isinstance(number, (int, str)):
        yield "has no id that is a number or a name; give it one of its own"
    elif number in ids:
        yield "has the id of another mask; give each its own"
    else:
        ids.add(number)
    if area is not None and not (isinstance(area, (int, float)) and area > 0):
        yield f"has the area {area!r:.40}; expected a positive number of pixels, or none"
    if category is not None and not isinstance(category, str):
        yield f"has the category {category!r:.40}; expected text, or none"
    box = annotation.get("bbox")
    if box is not None and not _is_inside(box, size):
        yield f"has the bbox {box!r:.60}; expected [x, y, width, height] inside the {size[1]}×{size[0]} image"


def _is_inside(box: Any, size: list[int]) -> bool:
    """Whether a value is a box in the image; its sides may be 0, as some count from the first pixel to the last."""
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(number, (int, float)) for number in box):
        return False
    x, y, width, height = box
    inside = min(x, y) >= -SLACK and x + width <= size[1] + SLACK and y + height <= size[0] + SLACK
    return inside and min(width, height) >= 0
