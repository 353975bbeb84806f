"""YOLO's labels for segmentation: a text file an image, each line a class and a polygon in shares of the sides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError
from ..sample import Record, Sample
from . import shapes
from .records import check_image, is_image, sample_names, upright_size

EXPECTED = "expected a data.yaml with train and names, or a folder with images/ and labels/"
LINE = "expected class x1 y1 x2 y2 x3 y3 …"
SPLITS = ("train", "val", "valid", "test")
"""folders that divide a set"""
CLASSES = "classes.txt"
"""the names of the classes, one a line, that some tools put beside the labels"""
SLACK = 0.01
"""how far beyond the image a corner may lie, in shares of its sides, and be taken for rounded"""

Labelled = tuple[Path, Path]
"""an image, and the file of its labels, which need not be there"""


def open_yolo(path: str | Path, images: str | Path | None = None, *, split: str = "train") -> list[Sample]:
    """The samples of a YOLO set for segmentation, by name; an image without a file of labels has no objects.

    Args:
        path: a data.yaml, or a folder with one, or with images/ and labels/, or that of the labels.
        images: the folder of the images, where it is not the images/ that belongs to labels/.
        split: what is taken of it: a key of the data.yaml, or a folder where images and labels are divided so.

    Raises DataError where there are no labels, or some without an image, and ConfigError where a data.yaml is to be
    read without PyYAML; a line that is wrong raises DataError when it is read.
    """
    path = Path(path)
    yaml = path / "data.yaml" if path.is_dir() else path
    names: Mapping[int, str] = {}
    if yaml.is_file():
        content = _read_yaml(yaml)
        names = _names(yaml, content.get("names"))
        places = _of_yaml(yaml, content, split)
        if images is not None and (len(places) > 1 or places[0].is_file()):
            raise DataError(f"--images: {yaml} lists several places for {split}; expected one folder")
        found = [pair for place in places for pair in _labelled(place, images)]
    else:
        folder = _of_folder(path, split)
        names = _listed_names(folder)
        found = _in_folder(Path(images or _swap(folder, "labels", "images")), folder)
    found = sorted(found)
    root = os.path.commonpath([image.absolute().parent for image, _ in found])
    ids = sample_names([image.absolute().relative_to(root) for image, _ in found], path)
    return [
        Sample(labels if labels.is_file() else image, name, partial(_read, labels, image, name, names), image)
        for (image, labels), name in zip(found, ids, strict=True)
    ]


def _labelled(place: Path, images: str | Path | None) -> list[Labelled]:
    """The images of a folder, or those that a text file lists, with their labels."""
    if place.is_dir():
        return _in_folder(Path(images or place), _swap(place, "images", "labels"))
    listed = [place.parent / line.strip() for line in _lines(place) if line.strip()]
    found = [(image, _swap(image, "images", "labels").with_suffix(".txt")) for image in listed]
    if not any(labels.is_file() for _, labels in found):
        raise DataError(f"{place}: none of the {len(found)} images that it lists has labels; {EXPECTED}")
    return found


def _in_folder(images: Path, labels: Path) -> list[Labelled]:
    """All images of a folder and its subfolders. Raises DataError for labels without an image."""
    for folder, what in ((labels, "labels (.txt)"), (images, "images")):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected one of {what}, as there are images/ and labels/")
    texts = {file.relative_to(labels).with_suffix("") for file in labels.rglob("*.txt") if file.name != CLASSES}
    if not texts:
        raise DataError(f"{labels}: holds no labels; expected NAME.txt beside images/NAME.jpg")
    places = {file: file.relative_to(images).with_suffix("") for file in images.rglob("*") if is_image(file)}
    for text in sorted(texts.difference(places.values())):
        raise DataError(f"{labels / text}.txt: has no image {images / text}.jpg, .png or the like; add or remove it")
    return [(image, labels / f"{place}.txt") for image, place in places.items()]


def _of_folder(path: Path, split: str) -> Path:
    """The folder of labels in, or that is, `path`."""
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; {EXPECTED}")
    labels = next((place for place in (path / "labels", path / split / "labels") if place.is_dir()), path)
    parts = [name for name in SPLITS if (labels / name).is_dir()]
    if not parts:
        return labels
    if split not in parts:
        raise DataError(f"option split={split}: {labels} is divided into {', '.join(parts)}; name one of these")
    return labels / split


def _of_yaml(file: Path, content: Mapping[str, Any], split: str) -> list[Path]:
    """The folders of images, or the text files that list them, that a data.yaml names for a split."""
    named = content.get(split)
    listed: list[Any] = named if isinstance(named, list) else [named]
    if not listed or not all(isinstance(place, str) and place for place in listed):
        there = ", ".join(key for key in SPLITS if content.get(key)) or "none"
        raise DataError(f"{file}: names no folder of images for the split {split!r}; it has {there} (option split)")
    root = file.parent / str(content.get("path") or "")
    root = root if root.is_dir() else file.parent  # it names where the set lay when it was made
    return [_place(file, root, place) for place in listed]


def _place(file: Path, root: Path, name: str) -> Path:
    """A place that a data.yaml names; exports of Roboflow write ../train for the folder train beside the data.yaml."""
    for place in (root / name, root / name.removeprefix("../")):
        if place.exists():
            return place
    raise DataError(f"{file}: names {root / name}, which is not there; {EXPECTED}")


def _swap(path: Path, old: str, new: str) -> Path:
    """A path with the last folder of its name swapped; the same where there is none."""
    parts = list(path.parts)
    if old not in parts:
        return path
    parts[len(parts) - 1 - parts[::-1].index(old)] = new
    return Path(*parts)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f"{file}: reading it needs PyYAML; pip install 'anymask[train]', or name the folder of labels instead"
        ) from None
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = f"line {mark.line + 1}" if mark else getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{file}: cannot be read as YAML ({reason}); {EXPECTED}") from None
    if not isinstance(content, dict):
        raise DataError(f"{file}: is no table of keys; {EXPECTED}")
    return content


def _names(file: Path, names: Any) -> dict[int, str]:
    """The names of classes by number, from a list or a table."""
    listed = dict(enumerate(names)) if isinstance(names, list) else names or {}
    if not isinstance(listed, dict) or not all(isinstance(number, int) for number in listed):
        raise DataError(f"{file}: has the names {names!r:.60}; expected a list, or numbers with a name each")
    return {number: str(name) for number, name in listed.items()}


def _listed_names(labels: Path) -> dict[int, str]:
    for folder in (labels, labels.parent, labels.parent.parent):
        if (folder / CLASSES).is_file():
            return dict(enumerate(line.strip() for line in _lines(folder / CLASSES)))
    return {}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: cannot be read as text ({reason})") from None


def _read(labels: Path, image: Path, name: str, names: Mapping[int, str]) -> Record:
    check_image(str(labels), image)
    height, width = upright_size(image)
    annotations = list(_annotations(labels, names, height, width)) if labels.is_file() else []
    record = {"image_id": name, "file_name": image.name, "width": width, "height": height}
    return {"image": record, "annotations": annotations}


def _annotations(labels: Path, names: Mapping[int, str], height: int, width: int) -> Iterator[Record]:
    """An annotation for each line, whose number is its id."""
    for number, line in enumerate(_lines(labels), 1):
        if not line.strip():
            continue
        try:
            label, corners = _parse(line, names)
            mask = shapes.polygons([corners * (width, height)], height, width)
        except DataError as error:
            raise DataError(f"{labels}: line {number} {error}") from None
        record: Record = {"id": number, "segmentation": mask, "class_id": label}
        yield record | ({"category": names[label]} if label in names else {})


def _parse(line: str, names: Mapping[int, str]) -> tuple[int, np.ndarray]:
    """The class of a line, and its corners, P×2 in shares of the image's sides. Raises DataError where it is wrong."""
    try:
        label, *numbers = (float(text) for text in line.split())
    except ValueError:
        raise DataError(f"is no list of numbers: {line.strip()!r:.40}; {LINE}") from None
    if label < 0 or not label.is_integer():
        raise DataError(f"has the class {label:g}; expected a whole number from 0 on")
    if names and label not in names:
        raise DataError(f"has the class {label:.0f}, which has no name; expected one of {min(names)} to {max(names)}")
    if len(numbers) == 4:
        raise DataError(
            f"is a label for detection, a class and a box, and not for segmentation; {LINE}; export polygons, or let "
            "a model make masks of the boxes"
        )
    if len(numbers) % 2:
        raise DataError(f"has {len(numbers)} coordinates, an odd number; {LINE}, without a score at its end")
    if len(numbers) < 6:
        raise DataError(f"has {len(numbers) // 2} points, too few for a polygon; {LINE}")
    corners = np.array(numbers).reshape(-1, 2)
    if not (np.abs(corners - 0.5) <= 0.5 + SLACK).all():
        raise DataError(
            f"has corners from {corners.min():g} to {corners.max():g}; expected shares of the image's width and "
            "height, 0 to 1"
        )
    return int(label), corners.clip(0, 1)
