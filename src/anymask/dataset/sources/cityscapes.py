"""Cityscapes' polygons, and those of sets laid out like it: a JSON an image, whose later objects cover earlier ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from . import shapes
from .records import check_image, is_image, read_json, reading, sample_names

ENDING, IMAGE_ENDING = "_polygons.json", "_leftImg8bit"
IMAGES = "leftImg8bit"
GROUP = "group"
"""what the labels of several objects in one end in, such as persongroup"""
EXPECTED = "Cityscapes' JSON with imgHeight, imgWidth and objects, each with label and polygon"


def open_cityscapes(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """The samples of a folder of NAME_gtFine_polygons.json, or the like, in any subfolders, by name.

    An object is what of its polygon no later one covers; those whose label ends in group are crowds.

    Args:
        path: the folder, such as gtFine or gtFine/val.
        images: the folder of NAME_leftImg8bit.png with like subfolders; where it is None, that of `path` with
            leftImg8bit in the place of gtFine, or `path` itself.

    Raises DataError where there are no such files; an image that is not on disk raises it when read.
    """
    path = Path(path)
    files = sorted(path.rglob(f"*{ENDING}")) if path.is_dir() else []
    if not files:
        raise DataError(f"{path}: holds no *{ENDING}; expected Cityscapes' polygons")
    listings: dict[Path, dict[str, Path]] = {}
    found = {file: _image(path, Path(images) if images is not None else None, file, listings) for file in files}
    names = sample_names([file.parent.relative_to(path) / _stem(file) for file in files], path)
    return [
        Sample(file, name, partial(_read, file, image), image)
        for (file, image), name in zip(found.items(), names, strict=True)
    ]


def is_group(label: str) -> bool:
    """Whether a label is of several objects in one."""
    return label.endswith(GROUP) and label.removesuffix(GROUP).isalpha()


def _stem(file: Path) -> str:
    """The name of an image: its file's without _gtFine_polygons.json, or the like."""
    return file.name.removesuffix(ENDING).rpartition("_")[0] or file.name.removesuffix(ENDING)


def _image(path: Path, images: Path | None, file: Path, listings: dict[Path, dict[str, Path]]) -> Path:
    """The image of a JSON, whatever its suffix; folders are listed once."""
    inner = file.parent.relative_to(path).parts
    if images is not None:
        folders = [images.joinpath(*inner)]
    else:
        whole = file.parent.resolve().parts
        last = max((place for place, part in enumerate(whole) if part.startswith("gt")), default=None)
        swapped = [] if last is None else [Path(*whole[:last], IMAGES, *whole[last + 1 :])]
        folders = [*swapped, file.parent]
    for folder in folders:
        if folder not in listings:
            there = sorted(folder.iterdir()) if folder.is_dir() else []
            listings[folder] = {each.stem: each for each in there if is_image(each)}
        if _stem(file) + IMAGE_ENDING in listings[folder]:
            return listings[folder][_stem(file) + IMAGE_ENDING]
    return folders[0] / f"{_stem(file)}{IMAGE_ENDING}.png"


def _read(file: Path, image: Path) -> Record:
    check_image(str(file), image)
    content = read_json(file, EXPECTED)
    with reading(str(file), EXPECTED):
        height, width, objects = int(content["imgHeight"]), int(content["imgWidth"]), list(content["objects"])
    painted = np.zeros((height, width), np.int64)
    labels: list[str] = []
    for place, each in enumerate(objects):
        with reading(f"{file}: object {place}", EXPECTED):
            labels.append(str(each["label"]))
            painted[rle.decode(shapes.polygons([each["polygon"]], height, width))] = place + 1
    annotations = []
    for number in np.unique(painted).tolist():
        if number:
            label = labels[number - 1]
            record = {"id": number, "segmentation": rle.encode(painted == number)}
            about = {"category": label.removesuffix(GROUP), "iscrowd": 1} if is_group(label) else {"category": label}
            annotations.append(record | about)
    told = {"image_id": _stem(file), "file_name": image.name, "width": width, "height": height}
    return {"image": told, "annotations": annotations}
