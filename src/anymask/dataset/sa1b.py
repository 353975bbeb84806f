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
            record = json.loads(self.record_path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{self.record_path}: cannot be read as JSON ({error})") from None
        if not isinstance(record, dict) or not {"image", "annotations"} <= record.keys():
            raise DataError(f"{self.record_path}: expected an SA-1B record with 'image' and 'annotations'")
        return record

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """The records of the masks of objects; crowd regions are left out."""
        return [a for a in self.record["annotations"] if not a.get("iscrowd")]

    @property
    def image_path(self) -> Path:
        """Where the image lies. Raises DataError for a name that points out of the folder."""
        name = self.record["image"].get("file_name", "")
        if not name or Path(name).name != name:
            raise DataError(f"{self.record_path}: file_name {name!r} is not the name of a file in the same folder")
        return self.record_path.with_name(name)

    def image(self) -> NDArray[np.uint8]:
        """H×W×3 uint8 RGB."""
        return read_image(self.image_path)

    def mask(self, annotation: dict[str, Any]) -> NDArray[np.bool_]:
        """The H×W mask of one annotation. Raises DataError where its size is not the image's."""
        image, size = self.record["image"], annotation.get("segmentation", {}).get("size")
        if size != [image["height"], image["width"]]:
            raise DataError(
                f"{self.record_path}: mask {annotation.get('id')} has size {size}, "
                f"the image {[image['height'], image['width']]}"
            )
        return rle.decode(annotation["segmentation"])


def open_folder(folder: str | Path) -> list[Sample]:
    """The samples of an SA-1B folder, by name. Raises DataError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images with an SA-1B JSON record each")
    samples = [Sample(path) for path in sorted(folder.glob("*.json")) if path.name != "source.json"]
    if not samples:
        raise DataError(f"{folder}: holds no .json records; expected an SA-1B folder")
    return samples
