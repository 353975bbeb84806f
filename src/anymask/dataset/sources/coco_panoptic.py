"""COCO's panoptic segmentation: a JSON, a folder of PNGs whose colours are ids of segments, and a folder of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from .coco import Tables, category_name, image_record, locate, named, read_tables
from .label_map import read_labels
from .records import check_image, reading, sample_names

EXPECTED = "a panoptic record with file_name and segments_info, whose segments have id and category_id"


def open_coco_panoptic(
    path: str | Path,
    images: str | Path | None = None,
    *,
    masks: str | Path | None = None,
    nested: bool = False,
    image_ending: str = "",
) -> list[Sample]:
    """The samples of a panoptic JSON, in its order.

    Args:
        path: the JSON.
        images: the folder of the images; that of the JSON where it is None.
        masks: the folder of the PNGs; one beside the JSON, of its name, where it is None.
        nested: whether to look for images in all subfolders, by bare name.
        image_ending: what to append to an image's id for its file, as Cityscapes needs it; else its file_name.

    Raises DataError where it is none, an id repeats, or an annotation refers to an image or a category that is not
    there. An image that is not on disk raises it when read.
    """
    tables = read_tables(Path(path), instances=False)
    folder = Path(masks or tables.path.with_suffix(""))
    annotations = _by_image(tables)
    if image_ending:
        files = [f"{number}{image_ending}" for number in tables.images]
    else:
        files = [image["file_name"] for image in named(tables)]
    paths = locate(tables, Path(images or tables.path.parent), files, nested)
    names = sample_names([Path(file) for file in files], tables.path)
    return [
        Sample(tables.path, name, partial(_read, tables.path, file, tables.images[number], annotation, folder), file)
        for name, file, (number, annotation) in zip(names, paths, annotations.items(), strict=True)
    ]


def _by_image(tables: Tables) -> dict[int | str, Record]:
    """The one annotation of each image, its segments with the names of their categories."""
    found: dict[int | str, Record] = {}
    for number, records in tables.annotations.items():
        where = f"{tables.path}: image {number}"
        if len(records) != 1:
            raise DataError(f"{where}: has {len(records)} annotations; expected one, with all its segments")
        with reading(where, EXPECTED):
            segments = [
                {**segment, "category": category_name(segment["category_id"], tables.categories)}
                for segment in records[0]["segments_info"]
            ]
            found[number] = {"file_name": records[0]["file_name"], "segments_info": segments}
    return found


def _read(where: Path, path: Path, image: Record, annotation: Record, masks: Path) -> Record:
    check_image(f"{where}: image {image['id']}", path)
    record = image_record({**image, "file_name": path.name}, path)
    file = masks / annotation["file_name"]
    labels = read_labels(file)
    if list(labels.shape) != [record["height"], record["width"]]:
        size = f"{labels.shape[1]}×{labels.shape[0]}"
        raise DataError(
            f"{file}: is {size} pixels (width × height), {where} says {record['width']}×{record['height']} of its image"
        )
    with reading(f"{where}: image {image['id']}", EXPECTED):
        found = [{**one, "segmentation": rle.encode(labels == one["id"])} for one in annotation["segments_info"]]
    return {"image": record, "annotations": found}
