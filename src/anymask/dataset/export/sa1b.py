"""SA-1B's own format: a folder of images, each with a JSON record of its masks as COCO RLE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import write_json
from ...task import rle
from ..sample import Record, Sample
from .writer import Writer


class Sa1bWriter(Writer):
    """Writes NAME.json beside each image; all that a record says goes along."""

    image_folder = "."

    def add(self, sample: Sample) -> None:
        name = self.place_image(sample)
        write_json((self.folder / name).with_suffix(".json"), record_of(sample, name))


def record_of(sample: Sample, name: str) -> Record:
    """SA-1B's record of a sample whose image is called `name`; areas and boxes are those of the masks."""
    height, width = sample.size
    image: Record = {**sample.record["image"], "file_name": name, "height": height, "width": width}
    image.setdefault("image_id", Path(name).stem)
    annotations = [_annotation(annotation) for annotation in sample.record["annotations"]]
    return {**sample.record, "image": image, "annotations": annotations}


def _annotation(annotation: Record) -> dict[str, Any]:
    mask = annotation["segmentation"]
    return {**annotation, "area": rle.area(mask), "bbox": rle.box(mask)}
