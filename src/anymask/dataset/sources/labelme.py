"""LabelMe's JSON, one an image: labelled shapes, of which those of one group are parts of one object."""

from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from ...task import rle
from ..sa1b import json_files
from ..sample import Record, Sample
from . import shapes
from .records import check_image, is_image, read_json, reading, sample_names, upright_size

EXPECTED = "a LabelMe JSON with imagePath and shapes, those with label and points"
WITHOUT_AREA = ("point", "points", "line", "linestrip")


def open_labelme(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """The samples of a folder of LabelMe's JSONs, or of a single one, by name.

    Shapes with one label and one group_id become one object; points and lines have no mask and are left out.
    `images` is the folder of the images, named like their JSONs; that of the JSONs where it is None. Raises DataError
    where there are none; an image that is not on disk raises it when read.
    """
    path = Path(path)
    files = json_files(path) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise DataError(f"{path}: holds no .json; expected LabelMe's, one an image")
    folder = Path(images or files[0].parent)
    found = {file.stem: file for file in sorted(folder.iterdir()) if is_image(file)} if folder.is_dir() else {}
    names = sample_names([Path(file.name) for file in files], path)
    places = [found.get(file.stem, folder / f"{file.stem}.jpg") for file in files]
    return [
        Sample(file, name, partial(_read, file, place, name), place)
        for file, name, place in zip(files, names, places, strict=True)
    ]


def _read(file: Path, path: Path, name: str) -> Record:
    check_image(str(file), path)
    height, width = upright_size(path)
    content = read_json(file, EXPECTED)
    with reading(str(file), EXPECTED):
        drawn = list(content["shapes"])
        size = content.get("imageHeight") or height, content.get("imageWidth") or width
    if size != (height, width):
        raise DataError(
            f"{file}: says its image is {size[1]}×{size[0]} pixels wide and high, {path} is {width}×{height}"
        )
    objects = shapes.Objects()
    for index, shape in enumerate(drawn):
        with reading(f"{file}: shape {index}", EXPECTED):
            mask = _mask(shape, height, width)
            if mask is not None:
                group = shape.get("group_id")
                key = (shape["label"], group) if group is not None else index
                objects.add(key, _annotation(index, shape), mask)
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": objects.annotations()}


def _annotation(index: int, shape: Record) -> Record:
    kept = {key: value for key, value in shape.items() if key not in ("points", "mask", "shape_type", "label")}
    return {**kept, "id": index + 1, "category": shape["label"]}


def _mask(shape: Record, height: int, width: int) -> rle.RLE | None:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind in WITHOUT_AREA:
        return None
    if kind == "polygon":
        return shapes.polygons([points], height, width)
    if kind == "mask":
        return _drawn_mask(shape, height, width)
    if kind not in ("rectangle", "circle"):
        raise DataError(f"has the shape_type {kind!r}; expected polygon, rectangle, circle, mask, a point or a line")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return shapes.rectangle(x0, y0, x1 - x0, y1 - y0, height, width)
    radius = float(np.hypot(x1 - x0, y1 - y0))
    return shapes.ellipse((x0, y0), (radius, radius), height, width)


def _drawn_mask(shape: Record, height: int, width: int) -> rle.RLE:
    """A mask that was painted: a PNG of its box, whose first and last pixel are the two points."""
    (left, top), (right, bottom) = [[round(number) for number in point] for point in shape["points"]]
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
        drawn = np.asarray(image) != 0
    if drawn.shape != (bottom - top + 1, right - left + 1) or min(left, top) < 0 or right >= width or bottom >= height:
        raise DataError(f"its mask of shape {drawn.shape} does not fill the box {shape['points']} in the image")
    mask = np.zeros((height, width), bool)
    mask[top : bottom + 1, left : right + 1] = drawn
    return rle.encode(mask)
