"""Maps of ids as PNG: of objects, or of classes; where masks overlap the smaller one shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import DataError
from ...files import replacing, write_json
from ...task import rle
from ..sample import Record, Sample
from .writer import Writer, category

MOST = np.iinfo(np.uint16).max
"""ids that a PNG of 16 bits holds"""


class InstancePngWriter(Writer):
    """Writes `masks/NAME.png` for each image: 0 for background, 1 and up for its objects."""

    def add(self, sample: Sample) -> None:
        annotations = self.objects(sample)
        if len(annotations) > MOST:
            raise DataError(f"{sample.where}: has {len(annotations)} masks; a PNG of ids holds {MOST}")
        self._write(sample, self._map(sample, list(enumerate(annotations, 1))))

    def _map(self, sample: Sample, numbered: Sequence[tuple[int, Record]]) -> NDArray[np.uint16]:
        """The map of a sample's annotations, each with its id there."""
        painted = np.zeros(sample.size, np.uint16)
        for number, annotation in sorted(numbered, key=lambda each: -rle.area(each[1]["segmentation"])):
            mask = sample.mask(annotation)
            covered = painted[mask]
            self.losses["masks drawn over others"] += bool(((covered != 0) & (covered != number)).any())
            painted[mask] = number
        visible = set(np.unique(painted).tolist())
        self.losses["masks hidden by others"] += sum(number not in visible for number, _ in numbered)
        return painted

    def _write(self, sample: Sample, painted: NDArray[Any]) -> None:
        path = (self.folder / "masks" / self.place_image(sample)).with_suffix(".png")
        small = painted.astype(np.uint8) if painted.max(initial=0) < 256 else painted
        with replacing(path) as temporary:
            Image.fromarray(small).save(temporary)


class SemanticPngWriter(InstancePngWriter):
    """Writes `masks/NAME.png` for each image, 0 for background, and `classes.json` with the classes' numbers."""

    def add(self, sample: Sample) -> None:
        numbered = [(self.number(category(each)) + 1, each) for each in self.objects(sample)]
        self._write(sample, self._map(sample, numbered))

    def finish(self) -> None:
        write_json(self.folder / "classes.json", {str(number + 1): name for name, number in self.categories.items()})
