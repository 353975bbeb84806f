"""Pascal VOC's segmentation: for each image a PNG of objects and one of classes; the smaller of two masks shows."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import DataError
from ...files import replacing
from ...task import rle
from ..sample import Record, Sample
from ..sources.voc import CLASS_MAPS, IMAGES, LABELS, LISTS, OBJECTS, VOID
from .png import InstancePngWriter
from .writer import category

MOST = VOID - 1
"""objects of an image, and classes, that a palette holds beside void"""


class VocWriter(InstancePngWriter):
    """Writes JPEGImages, SegmentationObject, SegmentationClass, Annotations, a list in ImageSets, and labelmap.txt.

    What is to be ignored in all objects of an image is void.
    """

    image_folder = IMAGES

    def begin(self) -> None:
        self._stems: list[str] = []

    def add(self, sample: Sample) -> None:
        annotations = self.objects(sample)
        named = {category(each) for each in annotations} | self.categories.keys()
        if len(annotations) > MOST or len(named) > MOST:
            raise DataError(
                f"{sample.where}: has {len(annotations)} masks, the set {len(named)} categories; a palette "
                f"holds {MOST}; write instance_png or coco"
            )
        kinds = [self.number(category(each)) + 1 for each in annotations]
        objects = self._map(sample, list(enumerate(annotations, 1))).astype(np.uint8)
        classes = np.array([0, *kinds], np.uint8)[objects]
        void = _void(sample, annotations)
        objects[void], classes[void] = VOID, VOID
        kept = sum("ignore" in each and np.array_equal(sample.mask(each, "ignore"), void) for each in annotations)
        self.losses["regions to ignore left out"] -= kept
        stem = self.place_image(sample).rpartition(".")[0]
        self._paint(OBJECTS, stem, objects)
        self._paint(CLASS_MAPS, stem, classes)
        self._describe(sample, annotations, stem)
        self._stems.append(stem)

    def finish(self) -> None:
        colours = palette()
        lines = ["# label:color_rgb:parts:actions\n", f"background:{_colour(colours[0])}::\n"]
        lines += [f"{_escaped(name)}:{_colour(colours[number + 1])}::\n" for name, number in self.categories.items()]
        for path, text in ((LABELS, lines), (f"{LISTS}/train.txt", [f"{stem}\n" for stem in self._stems])):
            with replacing(self.folder / path) as temporary:
                temporary.write_text("".join(text), encoding="utf-8")

    def _paint(self, folder: str, stem: str, values: NDArray[np.uint8]) -> None:
        picture = Image.fromarray(values, "L")
        picture.putpalette(palette().ravel().tolist())
        with replacing(self.folder / folder / f"{stem}.png") as temporary:
            picture.save(temporary)

    def _describe(self, sample: Sample, annotations: list[Record], stem: str) -> None:
        """The boxes, in VOC's XML, whose pixels count from 1."""
        root = ElementTree.Element("annotation")
        ElementTree.SubElement(root, "filename").text = stem + sample.image_path.suffix
        height, width = sample.size
        size = ElementTree.SubElement(root, "size")
        for name, value in (("width", width), ("height", height), ("depth", 3)):
            ElementTree.SubElement(size, name).text = str(value)
        ElementTree.SubElement(root, "segmented").text = "1"
        for annotation in annotations:
            each = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(each, "name").text = category(annotation)
            x, y, w, h = (int(side) for side in rle.box(annotation["segmentation"]))
            box = ElementTree.SubElement(each, "bndbox")
            for name, value in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + w), ("ymax", y + h)):
                ElementTree.SubElement(box, name).text = str(value)
        ElementTree.indent(root)
        with replacing(self.folder / "Annotations" / f"{stem}.xml") as temporary:
            ElementTree.ElementTree(root).write(temporary, encoding="utf-8")


def palette() -> NDArray[np.uint8]:
    """256×3 colours as VOC has them: three bits of a number at a time become the highest of red, green and blue."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (numbers >> (3 * bit + channel) & 1) << (7 - bit)
    return colours.astype(np.uint8)


def _escaped(name: str) -> str:
    """A name without what has a meaning in a labelmap.txt, which is written as in a URL."""
    return re.sub(r"[%:#\r\n]", lambda sign: f"%{ord(sign[0]):02X}", name)


def _colour(colour: Any) -> str:
    return ",".join(str(int(part)) for part in colour)


def _void(sample: Sample, annotations: list[Record]) -> NDArray[np.bool_]:
    """What every object of an image ignores."""
    if not annotations or not all("ignore" in each for each in annotations):
        return np.zeros(sample.size, bool)
    return np.logical_and.reduce([sample.mask(each, "ignore") for each in annotations])
