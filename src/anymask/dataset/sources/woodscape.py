"""WoodScape's instances: a JSON an image, with a polygon and a tag for each object, and a folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..sa1b import json_files
from ..sample import Record, Sample
from . import shapes
from .records import check_image, is_image, read_json, reading, sample_names

EXPECTED = "a WoodScape JSON: of one image, image_width, image_height and annotation, with segmentation and tags each"


def open_woodscape(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """The samples of a folder of JSONs, in any subfolders, by name.

    `images` is the folder of the images; that of the JSONs where it is None. Raises DataError where there are none;
    an image that is not on disk raises it when read.
    """
    path = Path(path)
    files = json_files(path, deep=True) if path.is_dir() else []
    if not files:
        raise DataError(f"{path}: holds no .json; expected WoodScape's, one an image")
    folder = Path(images or path)
    found = {file.stem: file for file in folder.iterdir() if is_image(file)} if folder.is_dir() else {}
    places = [found.get(file.stem, folder / f"{file.stem}.png") for file in files]
    names = sample_names([file.relative_to(path) for file in files], path)
    return [
        Sample(file, name, partial(_read, file, place, name), place)
        for file, place, name in zip(files, places, names, strict=True)
    ]


def _read(file: Path, path: Path, name: str) -> Record:
    check_image(str(file), path)
    content = read_json(file, EXPECTED)
    with reading(str(file), EXPECTED):
        [record] = content.values()
        height, width = record["image_height"], record["image_width"]
        annotations = record["annotation"]
    masks = []
    for index, annotation in enumerate(annotations):
        with reading(f"{file}: annotation {index}", EXPECTED):
            masks.append(_annotation(index, annotation, height, width))
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": masks}


def _annotation(index: int, annotation: Any, height: int, width: int) -> Record:
    kept = {key: value for key, value in annotation.items() if key != "segmentation"}
    kept |= {"id": index + 1, "source_id": annotation.get("id"), "category": annotation["tags"][0]}
    return kept | {"segmentation": shapes.polygons([annotation["segmentation"]], height, width)}
