"""The check of all images and masks before the first step, so that no run ends on one of them hours later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..dataset.defects import counted_area, label_defects
from ..dataset.sample import Sample
from ..errors import AnymaskError, DataError

SMALL = 32**2
"""pixels below which a mask is small, as COCO has it"""
SHOWN = 20
"""defects that an error shows"""

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
            areas.append(counted_area(annotation, size))
        except DataError as error:
            defects.append(f"{where}: {error}")
        defects += [f"{where}: {defect}" for _, defect in label_defects(annotation, size, ids)]
    if defects:
        summary.faulty[index] = defects
        return
    summary.images += 1
    summary.masks += len(areas)
    summary.without_masks += not areas
    summary.small_masks += sum(area < SMALL for area in areas)
    summary.largest_side = max(summary.largest_side, *size)
