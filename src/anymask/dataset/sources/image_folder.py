"""A folder of images without labels, as a model may learn from another one by (distillation)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...errors import DataError
from ...task.image import image_size
from ..sa1b import IMAGE_SUFFIXES
from ..sample import Record, Sample
from .records import is_image, sample_names


def open_images(folder: str | Path) -> list[Sample]:
    """The samples of all images in a folder and its subfolders, by name; none of them has annotations.

    Names that begin with a dot are left out. No file is opened before its sample is looked at. Raises DataError
    where there are no images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images ({', '.join(IMAGE_SUFFIXES)})")
    paths = [path for path in sorted(folder.rglob("*")) if is_image(path) and not _is_hidden(path, folder)]
    if not paths:
        raise DataError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}), nor do its subfolders")
    names = sample_names([path.relative_to(folder) for path in paths], folder)
    return [Sample(path, name, partial(_read, path), path) for path, name in zip(paths, names, strict=True)]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read(path: Path) -> Record:
    """The record of an image, its size from the header of the file. Raises ImageError where it is none."""
    height, width = image_size(path)
    return {"image": {"file_name": path.name, "width": width, "height": height}, "annotations": []}
