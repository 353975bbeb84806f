"""CVAT's XML for images 1.1: a painted mask for each object, which holds all parts and holes."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from ...files import replacing
from ..sample import Sample
from .writer import Writer, category


class CvatWriter(Writer):
    """Writes `annotations.xml` beside `images/`, as CVAT imports it."""

    def begin(self) -> None:
        self._root = ElementTree.Element("annotations")
        ElementTree.SubElement(self._root, "version").text = "1.1"

    def add(self, sample: Sample) -> None:
        height, width = sample.size
        image = ElementTree.Element("image", id=str(len(self._root) - 1), name=self.place_image(sample))
        image.attrib |= {"width": str(width), "height": str(height)}
        for annotation in self.objects(sample):
            mask = sample.mask(annotation)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if not len(rows):
                self.losses["empty masks left out"] += 1
                continue
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            flat = np.concatenate([[False], part.ravel(), [not part[-1, -1]]])
            runs = np.diff(np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1])]))
            box = {"left": columns[0], "top": rows[0], "width": part.shape[1], "height": part.shape[0]}
            shape = ElementTree.SubElement(image, "mask", label=category(annotation), source="auto")
            shape.attrib |= {"occluded": "0", "rle": ", ".join(map(str, runs)), "z_order": "0"}
            shape.attrib |= {side: str(length) for side, length in box.items()}
        self._root.append(image)

    def finish(self) -> None:
        ElementTree.indent(self._root)
        with replacing(self.folder / "annotations.xml") as temporary:
            ElementTree.ElementTree(self._root).write(temporary, encoding="utf-8", xml_declaration=True)
