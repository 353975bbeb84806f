"""YOLO's labels for segmentation: a text file an image, each line a class and one polygon in shares of the sides."""

from __future__ import annotations

import json

import numpy as np

from ...files import replacing
from ..sample import Sample
from .writer import Writer, category


class YoloWriter(Writer):
    """Writes `images/train/`, `labels/train/` and a `data.yaml` that names the classes."""

    image_folder = "images/train"

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        lines = []
        for annotation in self.objects(sample):
            number = self.number(category(annotation))
            for ring in self.outlines(sample, annotation):
                shares = (ring / np.array([width, height])).ravel()
                lines.append(" ".join([str(number), *(f"{share:.7g}" for share in shares)]))
        labels = (self.folder / "labels" / "train" / self.place_image(sample)).with_suffix(".txt")
        with replacing(labels) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def finish(self) -> None:
        names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in self.categories.items())
        with replacing(self.folder / "data.yaml") as temporary:
            temporary.write_text(f"path: .\ntrain: images/train\nval: images/train\nnames:\n{names}", encoding="utf-8")
