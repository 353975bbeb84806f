"""Cityscapes' polygons: a JSON an image, in which later objects, the smaller ones, cover earlier ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...files import write_json
from ...task import rle
from ..sample import Sample
from ..sources.cityscapes import ENDING, GROUP, IMAGE_ENDING, IMAGES, is_group
from .writer import Writer, category


class CityscapesWriter(Writer):
    """Writes `leftImg8bit/train/all/NAME_leftImg8bit.*` and `gtFine/train/all/NAME_gtFine_polygons.json`."""

    image_folder = f"{IMAGES}/train/all"
    image_ending = IMAGE_ENDING

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        annotations = sample.record["annotations"]
        painted = np.zeros(sample.size, bool)
        objects = []
        for annotation in sorted(annotations, key=lambda each: -rle.area(each["segmentation"])):
            mask = sample.mask(annotation)
            self.losses["masks drawn over others"] += bool((painted & mask).any())
            self.losses["regions to ignore left out"] += "ignore" in annotation
            painted |= mask
            crowd = bool(annotation.get("iscrowd"))
            label = category(annotation) + (GROUP if crowd else "")
            self.losses["objects and crowds confused"] += crowd != is_group(label)
            objects += [{"label": label, "polygon": ring.tolist()} for ring in self.outlines(sample, annotation)]
        stem = Path(self.place_image(sample)).stem.removesuffix(IMAGE_ENDING)
        record = {"imgHeight": height, "imgWidth": width, "objects": objects}
        write_json(self.folder / "gtFine" / "train" / "all" / f"{stem}_gtFine{ENDING}", record)
