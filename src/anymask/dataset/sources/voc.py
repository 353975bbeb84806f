"""Pascal VOC's segmentation: for each image a PNG of objects and one of classes, with palettes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from .label_map import LabelMap, read_labels
from .records import check_image, check_size, is_image

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""of VOC itself, from 1 on"""
VOID = 255
"""value of pixels that count neither way"""
IMAGES, OBJECTS, CLASS_MAPS, LISTS = "JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"
LABELS = "labelmap.txt"
"""names of classes in their order, background first, a line each as name:colour:parts:actions"""


def open_voc(path: str | Path, images: str | Path | None = None, *, split: str = "") -> list[Sample]:
    """The samples of a folder in VOC's layout, which has SegmentationObject, and SegmentationClass for the categories.

    Args:
        path: the folder, such as VOCdevkit/VOC2012.
        images: the folder of the images; JPEGImages in it where it is None.
        split: a list in ImageSets/Segmentation, such as val; all PNGs of objects where it is empty.

    What is void is the `ignore` of every object. Classes are VOC's own, or those of a labelmap.txt. Raises DataError
    where there are no PNGs; an image that is not on disk raises it when read.
    """
    path = Path(path)
    folder = Path(images or path / IMAGES)
    names = _listed(path, split) if split else sorted(file.stem for file in (path / OBJECTS).glob("*.png"))
    if not names:
        raise DataError(f"{path}: holds no {OBJECTS}/*.png; expected Pascal VOC's layout")
    found = {file.stem: file for file in sorted(folder.iterdir()) if is_image(file)} if folder.is_dir() else {}
    places = [found.get(name, folder / f"{name}.jpg") for name in names]
    classes = _classes(path)
    return [
        Sample(path / OBJECTS / f"{name}.png", name, partial(_read, path, name, place, classes), place)
        for name, place in zip(names, places, strict=True)
    ]


def _listed(path: Path, split: str) -> list[str]:
    file = path / LISTS / f"{split}.txt"
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [line if (path / OBJECTS / f"{line}.png").is_file() else line.split()[0] for line in lines]
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(each.stem for each in (path / LISTS).glob("*.txt"))) or "none"
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: cannot be read ({reason}); there are the splits {known} (option split)") from None


def _classes(path: Path) -> dict[int, str]:
    file = path / LABELS
    if not file.is_file():
        return dict(enumerate(CLASSES, 1))
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {number: unquote(line.split(":")[0]) for number, line in enumerate(lines) if number}


def _read(path: Path, name: str, image: Path, classes: Mapping[int, str]) -> Record:
    check_image(str(path / OBJECTS / f"{name}.png"), image)
    objects = read_labels(path / OBJECTS / f"{name}.png")
    height, width = check_size(path / OBJECTS / f"{name}.png", objects.shape, image)
    file = path / CLASS_MAPS / f"{name}.png"
    kinds = read_labels(file) if file.is_file() else None
    if kinds is not None:
        check_size(file, kinds.shape, image)
    void = objects == VOID
    ignore = {"ignore": rle.encode(void)} if void.any() else {}
    annotations = []
    for number in np.unique(objects[~void]).tolist():
        if number:
            mask = objects == number
            category = _category(mask, kinds, classes, file)
            record = {"id": number, "segmentation": rle.encode(mask), "area": int(np.count_nonzero(mask))}
            annotations.append(record | ({"category": category} if category else {}) | ignore)
    about = {"image_id": name, "file_name": image.name, "width": width, "height": height}
    return {"image": about, "annotations": annotations}


def _category(mask: np.ndarray, kinds: LabelMap | None, classes: Mapping[int, str], file: Path) -> str | None:
    """The class that most of an object's pixels have."""
    if kinds is None:
        return None
    values, times = np.unique(kinds[mask], return_counts=True)
    known = [(count, value) for value, count in zip(values.tolist(), times.tolist(), strict=True) if value in classes]
    if not known:
        raise DataError(f"{file}: has the classes {values.tolist()} where an object is; expected 1 to {max(classes)}")
    return classes[max(known)[1]]
