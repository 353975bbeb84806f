"""COCO's instances: one JSON with images, categories and annotations, and a folder of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...task import rle
from ..problems import Problems
from ..sample import Record, Sample
from . import shapes
from .records import check_image, find_by_name, inside, read_json, reading, sample_names, upright_size

EXPECTED = "a COCO JSON with the lists images, annotations and categories"
Id = int | str


@dataclass
class Tables:
    """A COCO JSON, checked as a whole: all ids are there once, and known where they are referred to."""

    path: Path
    content: Record
    images: dict[Id, Record]
    categories: dict[Id, Record]
    annotations: dict[Id, list[Record]]
    """by image, each with the name of its category"""


def open_coco(
    path: str | Path, images: str | Path | None = None, *, nested: bool = False, problems: Problems | None = None
) -> list[Sample]:
    """The samples of a COCO JSON, in its order.

    Args:
        path: the JSON.
        images: the folder of the images; that of the JSON where it is None.
        nested: whether to look for images in all subfolders, by bare name.
        problems: takes records that are wrong, without which the others are read.

    Raises DataError where it is none, an id repeats, or an annotation refers to an image or a category that is not
    there. An image that is not on disk raises it when read.
    """
    tables = read_tables(Path(path), problems=problems)
    if problems is not None and problems.keep_going:
        _leave_out_repeated(tables, problems)
    return samples(tables, Path(images or tables.path.parent), [image["file_name"] for image in named(tables)], nested)


def read_tables(path: Path, instances: bool = True, problems: Problems | None = None) -> Tables:
    """Read and check a COCO JSON; without `instances`, annotations need no ids of their own.

    With `problems` that keep going, records that are wrong are left out.
    """
    content = read_json(path, EXPECTED)
    problems = problems or Problems()
    keys = ("images", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise DataError(f"{path}: is no such JSON; expected {EXPECTED}")
    images = by_id(path, content["images"], "image", problems)
    categories = by_id(path, content.get("categories") or [], "category", problems)
    annotations = content["annotations"]
    if instances:
        annotations = list(by_id(path, annotations, "annotation", problems).values())
    grouped: dict[Id, list[Record]] = {number: [] for number in images}
    for index, annotation in enumerate(annotations):
        where = f"{path}: annotation {annotation['id'] if instances else f'at place {index}'}"
        with problems.noted(), reading(where, EXPECTED):
            number = annotation["image_id"]
            if number not in grouped:
                raise DataError(f"has the image_id {number!r}, which no image has")
            if "category_id" in annotation:
                annotation["category"] = category_name(annotation["category_id"], categories)
            grouped[number].append(annotation)
    return Tables(path, content, images, categories, grouped)


def by_id(path: Path, records: Any, what: str, problems: Problems | None = None) -> dict[Id, Record]:
    """Records by id. Raises DataError where one has none, or another's; `problems` may take it, and the first stays."""
    problems = problems or Problems()
    found: dict[Id, Record] = {}
    for index, record in enumerate(records):
        with problems.noted():
            number = record.get("id") if isinstance(record, dict) else None
            if not isinstance(number, (int, str)):
                raise DataError(f"{path}: {what} at place {index}: has no id; expected a number or a name of its own")
            if number in found:
                raise DataError(f"{path}: {what} {number}: occurs twice; give each an id of its own")
            found[number] = record
    return found


def category_name(number: Any, categories: dict[Id, Record]) -> str | None:
    """The name of a category. Raises DataError for a category that is not there."""
    if number not in categories:
        raise DataError(f"has the category_id {number!r}, which no category has")
    name = categories[number].get("name")
    return name if isinstance(name, str) else None


def named(tables: Tables) -> list[Record]:
    """The records of the images. Raises DataError where one has no file name."""
    for number, image in tables.images.items():
        if not isinstance(image.get("file_name"), str):
            raise DataError(f"{tables.path}: image {number}: has no file_name; expected {EXPECTED}")
    return list(tables.images.values())


def _leave_out_repeated(tables: Tables, problems: Problems) -> None:
    """Leave out images whose file an earlier one has, and note each."""
    first: dict[Any, Id] = {}
    for number, image in list(tables.images.items()):
        with problems.noted():
            file = image.get("file_name")
            if first.setdefault(file, number) != number:
                del tables.images[number]
                raise DataError(f"{tables.path}: image {number}: has the file {file} of image {first[file]}")


def samples(tables: Tables, folder: Path, files: Sequence[str], nested: bool = False) -> list[Sample]:
    """A sample for each image, which lies in `folder` under the name in `files`."""
    paths = locate(tables, folder, files, nested)
    names = sample_names([Path(file) for file in files], tables.path)
    return [
        Sample(tables.path, name, partial(_read, tables.path, path, image, tables.annotations[number]), path)
        for name, path, (number, image) in zip(names, paths, tables.images.items(), strict=True)
    ]


def locate(tables: Tables, folder: Path, files: Sequence[str], nested: bool) -> list[Path]:
    """Where the images lie. Raises DataError for a name that leads out of the folder."""
    wheres = (f"{tables.path}: image {number}" for number in tables.images)
    paths = [inside(folder, file, where) for file, where in zip(files, wheres, strict=True)]
    if not nested:
        return paths
    found = find_by_name(folder, [path.name for path in paths])
    return [found[path.name] for path in paths]


def image_record(image: Record, path: Path) -> Record:
    """SA-1B's record of an image, with what its own record adds; its size from the file where that does not tell."""
    if "height" in image and "width" in image:
        return {**image, "image_id": image["id"]}
    height, width = upright_size(path)
    return {**image, "image_id": image["id"], "height": height, "width": width}


def to_rle(segmentation: Any, height: int, width: int) -> rle.RLE:
    """A mask in RLE from any of COCO's forms: RLE with text or with a list of counts, or polygons.

    Raises DataError for anything else.
    """
    if isinstance(segmentation, dict):
        compressed = isinstance(segmentation.get("counts"), str)
        return segmentation if compressed else rle.encode(rle.decode(segmentation))
    if isinstance(segmentation, list):
        return shapes.polygons(segmentation, height, width)
    raise DataError(f"its segmentation is {segmentation!r:.40}; expected RLE or a list of polygons")


def _read(where: Path, path: Path, image: Record, annotations: list[Record]) -> Record:
    check_image(f"{where}: image {image['id']}", path)
    record = image_record(image, path)
    masks = []
    for annotation in annotations:
        segmentation: rle.RLE
        try:
            with reading(f"annotation {annotation['id']}", EXPECTED):
                segmentation = to_rle(annotation["segmentation"], record["height"], record["width"])
        except DataError as error:
            segmentation = {rle.INVALID: str(error)}  # which is told by whoever looks at the mask
        masks.append({**annotation, "segmentation": segmentation})
    return {"image": record, "annotations": masks}
