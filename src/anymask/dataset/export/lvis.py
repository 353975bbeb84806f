"""LVIS: a COCO JSON whose categories say how frequent they are, and whose images which categories are not in them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..sample import Sample
from ..sources.lvis import NAMES
from .coco import CocoWriter
from .writer import category

COMMON, FREQUENT = 10, 100
"""images in which a category is that is no longer rare, and no longer common"""


class LvisWriter(CocoWriter):
    """As COCO's, in LVIS's form. Crowd regions are left out, and their categories are not exhaustive in the image."""

    def begin(self) -> None:
        super().begin()
        self._in_images: dict[str, int] = defaultdict(int)

    def add(self, sample: Sample) -> None:
        crowds = {category(each) for each in sample.record["annotations"] if each.get("iscrowd")}
        objects = sample.annotations
        self.losses["crowd regions left out"] += len(sample.record["annotations"]) - len(objects)
        super().add(sample.with_annotations(objects))
        for name in {category(each) for each in objects}:
            self._in_images[name] += 1
        about = sample.record["image"]
        for key, names in NAMES.items():
            listed = [str(name) for name in about.get(names) or () if name]
            listed += sorted(crowds) if key.startswith("not") else []
            self._images[-1][key] = [self.number(name) + 1 for name in dict.fromkeys(listed)]

    def category(self, name: str, number: int) -> dict[str, Any]:
        images = self._in_images[name]
        frequency = "f" if images > FREQUENT else "c" if images > COMMON else "r"
        return {**super().category(name, number), "frequency": frequency, "image_count": images}
