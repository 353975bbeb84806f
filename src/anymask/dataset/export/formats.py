"""One way to write labelled images in any of the formats that have a written form."""

from __future__ import annotations

from .cityscapes import CityscapesWriter
from .coco import CocoWriter
from .cvat import CvatWriter
from .labelme import LabelmeWriter
from .lvis import LvisWriter
from .png import InstancePngWriter, SemanticPngWriter
from .sa1b import Sa1bWriter
from .via import ViaWriter
from .voc import VocWriter
from .writer import Writer
from .yolo import YoloWriter

WRITTEN: dict[str, type[Writer]] = {
    "sa1b": Sa1bWriter,
    "coco": CocoWriter,
    "lvis": LvisWriter,
    "yolo": YoloWriter,
    "labelme": LabelmeWriter,
    "via": ViaWriter,
    "cvat": CvatWriter,
    "voc": VocWriter,
    "cityscapes": CityscapesWriter,
    "instance_png": InstancePngWriter,
    "semantic_png": SemanticPngWriter,
}
"""what writes each format; its docstring says what the folder then holds"""
