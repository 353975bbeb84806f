"""VGG Image Annotator's JSON: a polygon for each object, in one file for all images."""

from __future__ import annotations

from ...files import write_json
from ..sample import Record, Sample
from .writer import Writer, category


class ViaWriter(Writer):
    """Writes `annotations.json` beside `images/`; categories become the attribute `category`."""

    def begin(self) -> None:
        self._entries: dict[str, Record] = {}

    def add(self, sample: Sample) -> None:
        regions = [
            {
                "shape_attributes": {
                    "name": "polygon",
                    "all_points_x": ring[:, 0].tolist(),
                    "all_points_y": ring[:, 1].tolist(),
                },
                "region_attributes": {"category": category(annotation)},
            }
            for annotation in self.objects(sample)
            for ring in self.outlines(sample, annotation)
        ]
        name = self.place_image(sample)
        self._entries[name] = {"filename": name, "size": -1, "regions": regions, "file_attributes": {}}

    def finish(self) -> None:
        write_json(self.folder / "annotations.json", self._entries)
