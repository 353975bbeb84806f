"""LabelMe's JSON, one an image, beside it: a polygon for each object."""

from __future__ import annotations

from ...files import write_json
from ..sample import Record, Sample
from .writer import Writer, category


class LabelmeWriter(Writer):
    """Writes NAME.json beside each image."""

    image_folder = "."

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        shapes = [
            {
                "label": category(annotation),
                "points": ring.tolist(),
                "group_id": annotation.get("id"),
                "shape_type": "polygon",
                "flags": {},
            }
            for annotation in self.objects(sample)
            for ring in self.outlines(sample, annotation)
        ]
        name = self.place_image(sample)
        record: Record = {
            "version": "5.0.1",  # of LabelMe, the first whose files look like this
            "flags": {},
            "shapes": shapes,
            "imagePath": name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_json((self.folder / name).with_suffix(".json"), record)
