"""One way to write labelled images in any of the formats that have a written form."""

from __future__ import annotations

from typing import NamedTuple

from .coco import CocoWriter
from .cvat import CvatWriter
from .labelme import LabelmeWriter
from .png import InstancePngWriter, SemanticPngWriter
from .sa1b import Sa1bWriter
from .via import ViaWriter
from .writer import Writer
from .yolo import YoloWriter


class Written(NamedTuple):
    """A format that is written: what its folder holds, and what writes it."""

    layout: str
    writer: type[Writer]


WRITTEN: dict[str, Written] = {
    "sa1b": Written("images, each with SA-1B's record beside it", Sa1bWriter),
    "coco": Written("images/, and annotations.json with masks in RLE", CocoWriter),
    "yolo": Written("images/train/, labels/train/ with polygons, and data.yaml", YoloWriter),
    "labelme": Written("images, each with LabelMe's JSON of polygons beside it", LabelmeWriter),
    "via": Written("images/, and annotations.json with polygons", ViaWriter),
    "cvat": Written("images/, and annotations.xml with painted masks", CvatWriter),
    "instance_png": Written("images/, and masks/ with PNGs whose values are objects", InstancePngWriter),
    "semantic_png": Written("images/, masks/ with PNGs whose values are classes, and classes.json", SemanticPngWriter),
}
