"""CVAT's XML for images: polygons, boxes, ellipses and painted masks of all images in one file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from . import shapes
from .records import check_image, inside, reading, sample_names

EXPECTED = "CVAT's XML for images 1.1: image elements with name, width and height, and the shapes in them"
WITHOUT_AREA = ("points", "polyline", "tag", "skeleton", "cuboid")


def open_cvat(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """The samples of an XML that CVAT exported for images, in its order.

    Shapes of one label and one group_id other than 0 become one object; points and lines have no mask and are left out.
    `images` is the folder of the images; that of the XML, or `images` in it, where it is None. Raises DataError where
    it is none; an image that is not on disk raises it when read.
    """
    path = Path(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read as XML ({reason}); expected {EXPECTED}") from None
    found = root.findall("image")
    if not found:
        raise DataError(f"{path}: holds no images; expected {EXPECTED}")
    beside = path.parent / "images"
    folder = Path(images) if images is not None else beside if beside.is_dir() else path.parent
    places = [inside(folder, each.get("name"), f"{path}: image {i}") for i, each in enumerate(found)]
    names = sample_names([place.relative_to(folder) for place in places], path)
    return [
        Sample(path, name, partial(_read, path, place, name, element), place)
        for place, name, element in zip(places, names, found, strict=True)
    ]


def _read(where: Path, path: Path, name: str, element: ElementTree.Element) -> Record:
    check_image(f"{where}: image {name}", path)
    with reading(f"{where}: image {name}", EXPECTED):
        height, width = int(element.attrib["height"]), int(element.attrib["width"])
    objects = shapes.Objects()
    for index, shape in enumerate(element):
        with reading(f"{where}: image {name}, {shape.tag} {index}", EXPECTED):
            mask = _mask(shape, height, width)
            if mask is None:
                continue
            group = shape.get("group_id", "0")
            key = (shape.attrib["label"], group) if group != "0" else index
            attributes = {each.attrib["name"]: each.text for each in shape.findall("attribute")}
            record = {"id": index + 1, "category": shape.attrib["label"]}
            objects.add(key, record | ({"attributes": attributes} if attributes else {}), mask)
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": objects.annotations()}


def _mask(shape: ElementTree.Element, height: int, width: int) -> rle.RLE | None:
    kind = shape.tag
    if kind in WITHOUT_AREA:
        return None
    if kind == "polygon":
        corners = [[float(number) for number in pair.split(",")] for pair in shape.attrib["points"].split(";")]
        return shapes.polygons([corners], height, width)
    if kind == "mask":
        return _painted(shape, height, width)
    if kind == "box":
        x0, y0, x1, y1 = (float(shape.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
        return shapes.rectangle(x0, y0, x1 - x0, y1 - y0, height, width)
    if kind == "ellipse":
        cx, cy, rx, ry = (float(shape.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
        return shapes.ellipse((cx, cy), (rx, ry), height, width, np.deg2rad(float(shape.get("rotation", 0))))
    raise DataError(f"is a {kind}; expected polygon, mask, box, ellipse, points, polyline or tag")


def _painted(shape: ElementTree.Element, height: int, width: int) -> rle.RLE:
    """A mask of a box, whose runs go along the rows, background first."""
    left, top, w, h = (int(shape.attrib[side]) for side in ("left", "top", "width", "height"))
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    if min(runs) < 0 or sum(runs) != h * w or min(left, top) < 0 or left + w > width or top + h > height:
        raise DataError(f"its runs or its box {left}, {top}, {w}×{h} do not fit the image of {width}×{height}")
    painted = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(h, w)
    return rle.encode_part(painted, top, left, (height, width))
