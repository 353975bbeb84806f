"""COCO's instances: one JSON, masks in RLE, which holds all parts and holes."""

from __future__ import annotations

from typing import Any

from ...files import write_json
from ...task import rle
from ..sample import Record, Sample
from .writer import Writer, category

KEPT = ("iscrowd", "predicted_iou", "stability_score", "point_coords", "crop_box", "attributes")
"""keys of an annotation that go along"""


class CocoWriter(Writer):
    """Writes `annotations.json` beside `images/`; one without a category gets the category "object"."""

    def begin(self) -> None:
        self._images: list[Record] = []
        self._annotations: list[Record] = []

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        number = len(self._images) + 1
        name = self.place_image(sample)
        self._images.append({"id": number, "file_name": name, "height": height, "width": width})
        for annotation in sample.record["annotations"]:
            mask = annotation["segmentation"]
            self.losses["regions to ignore left out"] += "ignore" in annotation
            kept: dict[str, Any] = {key: annotation[key] for key in KEPT if key in annotation}
            self._annotations.append(
                {
                    "iscrowd": 0,
                    **kept,
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": self.number(category(annotation)) + 1,
                    "segmentation": mask,
                    "area": rle.area(mask),
                    "bbox": rle.box(mask),
                }
            )

    def finish(self) -> None:
        categories = [self.category(name, number) for name, number in self.categories.items()]
        content = {"images": self._images, "annotations": self._annotations, "categories": categories}
        write_json(self.folder / "annotations.json", content)

    def category(self, name: str, number: int) -> dict[str, Any]:
        """The record of a category."""
        return {"id": number + 1, "name": name}
