"""SA-1B's format on disk: a folder of images, each with a JSON record of its masks as COCO RLE (§5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..task import rle
from ..task.image import read_image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Sample:
    """One image of a folder with the path of its record; both are read when asked for."""

    record_path: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """The whole record: `image` and `annotations`. Raises DataError where it is none."""
        try:
            record = json.loads(self.record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.record_path}: cannot be read as JSON ({error})") from None
        if not _is_record(record):
            raise DataError(
                f"{self.record_path}: expected an SA-1B record: 'image' with file_name, width and height, and "
                "'annotations', a list of records"
            )
        return dict(record)

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """The records of the masks of objects; crowd regions are left out."""
        return [a for a in self.record["annotations"] if not a.get("iscrowd")]

    @property
    def image_path(self) -> Path:
        """Where the image lies. Raises DataError for a name that points out of the folder."""
        name = self.record["image"]["file_name"]
        if Path(name).name != name:
            raise DataError(f"{self.record_path}: file_name {name!r} is not the name of a file in the same folder")
        return self.record_path.with_name(name)

    @property
    def size(self) -> list[int]:
        """[height, width], as the record says."""
        return [self.record["image"]["height"], self.record["image"]["width"]]

    def image(self) -> NDArray[np.uint8]:
        """H×W×3 uint8 RGB. Raises DataError where its size is not the record's, as after a rotation."""
        pixels = read_image(self.image_path)
        if list(pixels.shape[:2]) != self.size:
            raise DataError(
                f"{self.image_path}: is {pixels.shape[1]}×{pixels.shape[0]} pixels (width × height) as a person sees "
                f"it, its record says {self.size[1]}×{self.size[0]}"
            )
        return pixels

    def mask(self, annotation: dict[str, Any]) -> NDArray[np.bool_]:
        """The H×W mask of one annotation. Raises DataError where it is not RLE or its size is not the image's."""
        where = f"{self.record_path}: mask {annotation.get('id')}"
        try:
            mask = rle.decode(annotation.get("segmentation", {}))
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        if list(mask.shape) != self.size:
            raise DataError(f"{where} has size {list(mask.shape)}, the image {self.size}")
        return mask

    def masks(self) -> list[NDArray[np.bool_]]:
        """The masks of all objects that are not empty."""
        masks = (self.mask(annotation) for annotation in self.annotations)
        return [mask for mask in masks if mask.any()]

    def area(self, annotation: dict[str, Any]) -> int:
        """Pixels of a mask. Raises DataError where it is not RLE."""
        area = annotation.get("area")
        if isinstance(area, (int, float)) and area > 0:
            return int(area)
        return int(self.mask(annotation).sum())


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("image"), dict):
        return False
    image, annotations = record["image"], record.get("annotations")
    sides = [image.get("height"), image.get("width")]
    return (
        all(isinstance(side, int) and side > 0 for side in sides)
        and isinstance(image.get("file_name"), str)
        and bool(image["file_name"])
        and isinstance(annotations, list)
        and all(isinstance(annotation, dict) for annotation in annotations)
    )


def open_folder(folder: str | Path) -> list[Sample]:
    """The samples of an SA-1B folder, by name. Raises DataError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images with an SA-1B JSON record each")
    samples = [Sample(path) for path in sorted(folder.glob("*.json")) if path.name != "source.json"]
    if not samples:
        raise DataError(f"{folder}: holds no .json records; expected an SA-1B folder")
    return samples
