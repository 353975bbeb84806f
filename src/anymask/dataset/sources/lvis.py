"""LVIS: a COCO JSON whose images lie in COCO's folders, and whose categories say how frequent they are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from ...errors import DataError
from ..problems import Problems
from ..sample import Record, Sample
from .coco import EXPECTED, Tables, category_name, read_tables, samples
from .records import reading

NAMES = {"neg_category_ids": "neg_categories", "not_exhaustive_category_ids": "not_exhaustive_categories"}
"""lists of categories in the record of an image, and those of their names"""
FREQUENCIES = ("f", "c", "r")
"""frequent, common, rare: in over 100, over 10, and fewer images of the training split"""


def open_lvis(path: str | Path, images: str | Path | None = None, *, problems: Problems | None = None) -> list[Sample]:
    """The samples of an LVIS JSON, v0.5 or v1, in its order.

    Each annotation has its category's `frequency`; the record of the image keeps neg_category_ids and
    not_exhaustive_category_ids, and has their names as `neg_categories` and `not_exhaustive_categories`.

    Args:
        path: the JSON.
        images: COCO's folder, with train2017 and val2017 in it, or the one of these that is needed; the folder of
            the JSON where it is None.
        problems: takes records that are wrong, without which the others are read.

    Raises DataError as `open_coco` does, and where a category has no frequency.
    """
    tables = read_tables(Path(path), problems=problems)
    for number, category in tables.categories.items():
        if category.get("frequency") not in FREQUENCIES:
            raise DataError(
                f"{tables.path}: category {number}: has the frequency {category.get('frequency')!r}; expected f, c or "
                "r as in LVIS; open another COCO JSON as coco"
            )
    folder = Path(images or tables.path.parent)
    files = [_file(image, tables.path) for image in tables.images.values()]
    if files and all(Path(file).parent.name == folder.name for file in files):
        folder = folder.parent
    for number, image in tables.images.items():
        _add_frequencies(tables, number, image)
    return samples(tables, folder, files)


def _file(image: Record, path: Path) -> str:
    """The file of an image in its split's folder, such as val2017/000000397133.jpg."""
    url = image.get("coco_url")
    name = "/".join(Path(urlparse(url).path).parts[-2:]) if isinstance(url, str) else image.get("file_name")
    if not isinstance(name, str):
        raise DataError(f"{path}: image {image['id']}: has neither coco_url nor file_name")
    image["file_name"] = Path(name).name
    return name


def _add_frequencies(tables: Tables, number: int | str, image: Record) -> None:
    with reading(f"{tables.path}: image {number}", EXPECTED):
        for key, names in NAMES.items():
            image[names] = [category_name(category, tables.categories) for category in image.get(key, [])]
    for annotation in tables.annotations[number]:
        with reading(f"{tables.path}: annotation {annotation['id']}", EXPECTED):
            annotation["frequency"] = tables.categories[annotation["category_id"]]["frequency"]
