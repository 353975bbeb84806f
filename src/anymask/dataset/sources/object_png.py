"""Images with one file of a mask an object, in a folder of the image's own or under a name that begins like its."""

from __future__ import annotations

import glob
import os
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from .label_map import read_labels
from .records import check_size, is_image, sample_names, upright_size


def open_object_png(
    path: str | Path,
    images: str | Path | None = None,
    *,
    image_pattern: str = "**/*.jpg",
    mask_pattern: str = "{folder}/{stem}_*.png",
    category: str | None = None,
) -> list[Sample]:
    """The samples of a folder of images, and of the masks in the folder `path`, which may be the same.

    Args:
        path: the folder of the masks.
        images: the folder of the images; `path` where it is None.
        image_pattern: which files are images, relative to their folder.
        mask_pattern: which files are the masks of an image, relative to theirs, where {folder} and {stem} stand for
            those of the image: {folder}/../masks/*.png for masks in a folder beside the image's. All pixels but 0
            are the object's.
        category: what all objects are.

    Raises DataError where there are no images, or the pattern has another name in braces.
    """
    folder, masks = Path(images or path), Path(path)
    for name, pattern in (("image", image_pattern), ("mask", mask_pattern)):
        if Path(pattern).is_absolute():
            raise DataError(f"option {name}_pattern={pattern}: expected a pattern relative to the folder")
    files = sorted(file for file in folder.glob(image_pattern) if is_image(file)) if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: holds no images named {image_pattern}; expected those that the masks belong to")
    try:
        patterns = [_pattern(mask_pattern, file.relative_to(folder)) for file in files]
    except (KeyError, IndexError, ValueError):
        raise DataError(
            f"option mask_pattern={mask_pattern!r}: expected only {{folder}} and {{stem}} in braces"
        ) from None
    names = sample_names([file.relative_to(folder) for file in files], folder)
    return [
        Sample(file, name, partial(_read, file, name, masks, pattern, category), file)
        for file, name, pattern in zip(files, names, patterns, strict=True)
    ]


def _pattern(mask_pattern: str, image: Path) -> str:
    """The pattern of an image's masks, without steps up, which pathlib's glob does not take."""
    folder, stem = glob.escape(image.parent.as_posix()), glob.escape(image.stem)
    return os.path.normpath(mask_pattern.format(folder=folder, stem=stem))


def _read(image: Path, name: str, masks: Path, pattern: str, category: str | None) -> Record:
    height, width = upright_size(image)
    annotations: list[Record] = []
    for file in sorted(masks.glob(pattern)):
        if file == image:
            continue
        mask = read_labels(file) != 0
        check_size(file, mask.shape, image)
        record = {"id": len(annotations) + 1, "segmentation": rle.encode(mask), "area": int(np.count_nonzero(mask))}
        annotations.append(record | {"file": file.name} | ({"category": category} if category else {}))
    return {
        "image": {"image_id": name, "file_name": image.name, "width": width, "height": height},
        "annotations": annotations,
    }
