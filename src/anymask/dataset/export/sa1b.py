"""SA-1B's own format: a folder of images, each with a JSON record of its masks as COCO RLE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import write_json
from ...task import rle
from ..sample import Record, Sample
from .writer import Writer


class Sa1bWriter(Writer):
    """Writes NAME.json beside each image; all that a record says of its masks goes along."""

    image_folder = "."

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        name = self.place_image(sample)
        image: Record = {**sample.record["image"], "file_name": name, "height": height, "width": width}
        image.setdefault("image_id", Path(name).stem)
        annotations = [_annotation(annotation) for annotation in sample.record["annotations"]]
        write_json((self.folder / name).with_suffix(".json"), {"image": image, "annotations": annotations})


def _annotation(annotation: Record) -> dict[str, Any]:
    mask = annotation["segmentation"]
    return {**annotation, "area": rle.area(mask), "bbox": rle.box(mask)}
