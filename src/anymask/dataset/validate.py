"""Every defect of a set, each with its file and its record; and the set without them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import AnymaskError, DataError
from ..processes import spread
from ..task import rle
from .defects import counted_area, label_defects
from .problems import Progress
from .sample import Record, Sample

SCORES = ("predicted_iou", "stability_score")
AREA_FACTOR, AREA_SLACK = 1.5, 16
"""by how much, in parts and in pixels, an area may be off: polygons are measured before they become pixels"""
BOX_SHARE, BOX_SLACK = 0.05, 2.0
"""by how much of its longer side, and by how many pixels, a side of a box may be off"""


class Examined(NamedTuple):
    """What was found of an image.

    Attributes:
        image_id: what its record calls it.
        masks: how many it has.
        defects: a line each.
        record: without the defects; None where the image itself is wrong.
    """

    image_id: Any
    masks: int
    defects: list[str]
    record: Record | None


def validate(samples: Sequence[Sample], workers: int = 1, progress: Progress | None = None) -> Iterator[Examined]:
    """What is found of each image, in order, without the records.

    Images are decoded, and must be as large as their records say. Masks must be RLE of that size, not empty, and no
    two the same; ids must be given and not repeat, images' among images and masks' in an image; area, box, category
    and scores, where there are any, must fit the mask, be inside the image, be text, and be numbers.

    Args:
        samples: of any source.
        workers: processes.
        progress: called after each image.
    """
    ids: set[Any] = set()
    for done, (sample, found) in enumerate(zip(samples, spread(_examine, samples, workers), strict=True), 1):
        yield found._replace(defects=[*found.defects, *_repeated(sample, found.image_id, ids)])
        if progress:
            progress(done, len(samples))


class Mend:
    """Gives samples without their defects, or None where an image itself is wrong; the defects are in `defects`.

    A mask that is none, is empty or repeats another goes. One without an id of its own gets a new one, as does an
    image; what else is wrong of a record goes, or is worked out anew from the mask.
    """

    def __init__(self) -> None:
        self.defects: list[str] = []
        self._ids: set[Any] = set()

    def __call__(self, sample: Sample) -> Sample | None:
        """The sample as it should be."""
        found = examine(sample)
        repeated = list(_repeated(sample, found.image_id, self._ids))
        self.defects += [*found.defects, *repeated]
        if found.record is None:
            return None
        if repeated:
            found.record["image"]["image_id"] = sample.name
        return sample.with_record(found.record) if found.defects or repeated else sample


def examine(sample: Sample) -> Examined:
    """What is found of an image, and its record without the defects."""
    try:
        record, annotations, size = sample.record, sample.record["annotations"], sample.size
    except AnymaskError as error:
        return Examined(None, 0, [str(error)], None)
    defects: list[str] = []
    try:
        sample.image()
    except AnymaskError as error:
        defects.append(str(error))
    right = not defects
    ids: set[int | str] = set()
    masks: set[tuple[Any, ...]] = set()
    kept: list[Record] = []
    for annotation in annotations:
        found, mended = _annotation(annotation, size, ids, masks)
        defects += [f"{sample.where}: image {sample.name}, mask {annotation.get('id')}: {each}" for each in found]
        kept += [mended] if mended is not None else []
    mended_record = {**record, "image": dict(record["image"]), "annotations": _numbered(kept, ids)}
    return Examined(record["image"].get("image_id"), len(annotations), defects, mended_record if right else None)


def _examine(sample: Sample) -> Examined:
    """As `examine`, without the record, which need not go from process to process."""
    found = examine(sample)
    sample.forget()
    return found._replace(record=None)


def _repeated(sample: Sample, image_id: Any, ids: set[Any]) -> Iterator[str]:
    """The defect that an image has the id of another."""
    if isinstance(image_id, (int, str)):
        if image_id in ids:
            yield f"{sample.where}: image {sample.name}: has the image_id {image_id!r} of another; give each its own"
        ids.add(image_id)


def _annotation(
    annotation: Record, size: list[int], ids: set[int | str], masks: set[tuple[Any, ...]]
) -> tuple[list[str], Record | None]:
    """The defects of an annotation, and what it should be; None where it should not be."""
    try:
        counted_area(annotation, size)
    except DataError as error:
        return [str(error)], None
    mask = annotation["segmentation"]
    key = (rle.runs(mask)[1].tobytes(), str(annotation.get("category")), bool(annotation.get("iscrowd")))
    if key in masks:
        return ["is the same mask as an earlier one; remove it"], None
    masks.add(key)
    found = [*label_defects(annotation, size, ids)]
    wrong = {name for name, _ in found}
    found += [pair for pair in _against_mask(annotation) if pair[0] not in wrong]
    mended = {name: value for name, value in annotation.items() if name not in {each for each, _ in found}}
    for name, measure in (("area", rle.area), ("bbox", rle.box)):
        if name in annotation and name not in mended:
            mended[name] = measure(mask)
    return [defect for _, defect in found], mended


def _against_mask(annotation: Record) -> Iterator[tuple[str, str]]:
    """Key and defect of figures that are far from what the mask says, or are no figures."""
    mask = annotation["segmentation"]
    area, true_area = annotation.get("area"), rle.area(mask)
    if isinstance(area, (int, float)) and not (
        true_area / AREA_FACTOR - AREA_SLACK <= area <= true_area * AREA_FACTOR + AREA_SLACK
    ):
        yield "area", f"has the area {area:g}, its mask {true_area}"
    box, true_box = annotation.get("bbox"), rle.box(mask)
    if isinstance(box, list) and len(box) == 4 and all(isinstance(side, (int, float)) for side in box):
        corners = np.array([[x, y, x + width, y + height] for x, y, width, height in (box, true_box)])
        if not (np.abs(corners[0] - corners[1]) <= BOX_SLACK + BOX_SHARE * max(true_box[2:])).all():
            yield "bbox", f"has the bbox {box}, its mask {true_box}"
    for name in SCORES:
        score = annotation.get(name)
        if score is not None and not (isinstance(score, (int, float)) and math.isfinite(score)):
            yield name, f"has the {name} {score!r:.40}; expected a number, or none"


def _numbered(annotations: Sequence[Record], ids: set[int | str]) -> list[Record]:
    """Annotations with a free number where the id is missing."""
    free = 1 + max((number for number in ids if isinstance(number, int)), default=0)
    numbered = []
    for annotation in annotations:
        if "id" not in annotation:
            annotation = {"id": free, **annotation}
            free += 1
        numbered.append(annotation)
    return numbered
