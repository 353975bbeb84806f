"""One image with its labelled masks, whatever format they lie in on disk: every reader gives it SA-1B's record (§5)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..task import rle
from ..task.image import image_size, read_image

T = TypeVar("T")
Record = dict[str, Any]
"""`image` (file_name, width, height) and `annotations`, each with an id and a mask as COCO RLE"""


@dataclass(frozen=True, eq=False)
class Object:
    """A labelled mask, decoded.

    Attributes:
        id: unique in its image.
        mask: H×W, not empty, nor to be ignored as a whole.
        category: name of its class, or None.
        ignore: H×W pixels that count neither way, or None.
        record: the whole annotation.
    """

    id: int | str
    mask: NDArray[np.bool_]
    category: str | None = None
    ignore: NDArray[np.bool_] | None = None
    record: Record = field(default_factory=dict)

    def counted(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """...×H×W masks without the pixels that are to be ignored."""
        return masks if self.ignore is None else masks & ~self.ignore


@dataclass(frozen=True)
class Sample:
    """One image of a data set; pixels and record are read when asked for.

    Attributes:
        where: the file that an error names: the image's own record, or that of the whole set.
        name: unique in its set.
        read: gives the record.
        given_path: where the image lies; None where the record names it.
        folder: where the image lies that the record names; None for beside the record.
        read_bytes: gives the image file's content where it lies inside another file; `given_path` then is its name.
    """

    where: Path
    name: str
    read: Callable[[], Record] = field(repr=False, compare=False)
    given_path: Path | None = None
    read_bytes: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)
    folder: Path | None = None

    @cached_property
    def record(self) -> Record:
        """The whole record. Raises DataError where it is none."""
        record = self.read()
        if not _is_record(record):
            raise DataError(
                f"{self.where}: expected an SA-1B record: 'image' with file_name, width and height, and "
                "'annotations', a list of records"
            )
        return record

    def with_annotations(self, annotations: list[Record]) -> Sample:
        """The sample with other annotations; all else is the same."""
        return self.with_record({**self.record, "annotations": annotations})

    def with_record(self, record: Record) -> Sample:
        """The sample with another record of the same image."""
        return replace(self, read=lambda: record, given_path=self.image_path)

    def forget(self) -> None:
        """Let go of the record; it is read anew when it is asked for again."""
        self.__dict__.pop("record", None)

    @property
    def annotations(self) -> list[Record]:
        """The records of the masks of objects; crowd regions are left out."""
        return [a for a in self.record["annotations"] if not a.get("iscrowd")]

    @property
    def image_path(self) -> Path:
        """Where the image lies. Raises DataError for a name that points out of the folder."""
        if self.given_path is not None:
            return self.given_path
        name = self.record["image"]["file_name"]
        if Path(name).name != name:
            raise DataError(f"{self.where}: file_name {name!r} is not the name of a file in the same folder")
        return self.where.with_name(name) if self.folder is None else self.folder / name

    @property
    def size(self) -> list[int]:
        """[height, width], as the record says."""
        return [self.record["image"]["height"], self.record["image"]["width"]]

    def image(self) -> NDArray[np.uint8]:
        """H×W×3 uint8 RGB. Raises DataError where its size is not the record's, as after a rotation."""
        pixels = read_image(self._image_file(), name=str(self.image_path))
        self._check_size(*pixels.shape[:2])
        return pixels

    def image_bytes(self) -> bytes:
        """The content of the image file. Raises DataError where it cannot be read."""
        if self.read_bytes is not None:
            return self.read_bytes()
        try:
            return self.image_path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.image_path}: cannot be read ({error.strerror}); {self.where} lists it") from None

    def stamp(self) -> tuple[int, ...]:
        """What changes with the files of the record and of the image, as long as these are files of their own."""
        found: list[int] = []
        for path in (self.where, self.given_path or self.where):
            with suppress(OSError):
                status = path.stat()
                found += [status.st_size, status.st_mtime_ns]
        return tuple(found)

    def check_image(self) -> None:
        """Raise what `image` would for all that the image file's header tells, without reading pixels."""
        self._check_size(*image_size(self._image_file(), str(self.image_path)))

    def _image_file(self) -> Path | bytes:
        return self.image_path if self.read_bytes is None else self.read_bytes()

    def _check_size(self, height: int, width: int) -> None:
        if [height, width] != self.size:
            raise DataError(
                f"{self.image_path}: is {width}×{height} pixels (width × height) as a person sees it, its record "
                f"says {self.size[1]}×{self.size[0]}"
            )

    def mask(self, annotation: Record, key: str = "segmentation") -> NDArray[np.bool_]:
        """The H×W mask of one annotation. Raises DataError where it is not RLE or its size is not the image's."""
        return self.read_mask(annotation, rle.decode, key)

    def check_masks(self) -> None:
        """Raise what `mask` would for any of all annotations, without decoding them."""
        for annotation in self.record["annotations"]:
            self.read_mask(annotation, rle.area)

    def read_mask(self, annotation: Record, read: Callable[[rle.RLE], T], key: str = "segmentation") -> T:
        """What `read` gives of a mask in RLE. Raises DataError as `mask` does."""
        where, mask = f"{self.where}: mask {annotation.get('id')}", annotation.get(key, {})
        try:
            found = read(mask)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        if list(mask["size"]) != self.size:
            raise DataError(f"{where} has size {list(mask['size'])}, the image {self.size}")
        return found

    def counted(self, annotation: Record) -> NDArray[np.bool_]:
        """As `mask`, without the pixels that are to be ignored."""
        mask = self.mask(annotation)
        return mask & ~self.mask(annotation, "ignore") if "ignore" in annotation else mask

    def area(self, annotation: Record) -> int:
        """Pixels of a mask. Raises DataError where it is not RLE."""
        area = annotation.get("area")
        if isinstance(area, (int, float)) and area > 0:
            return int(area)
        return int(self.mask(annotation).sum())

    def objects(self, skip_empty: bool = False) -> list[Object]:
        """All objects, decoded and checked. Raises DataError for an empty mask, or an id that repeats or is missing."""
        objects: dict[int | str, Object] = {}
        for annotation in self.annotations:
            number, mask = annotation.get("id"), self.mask(annotation)
            if not isinstance(number, (int, str)):
                raise DataError(f"{self.where}: a mask has the id {number!r}; expected a number or a name of its own")
            if number in objects:
                raise DataError(f"{self.where}: two masks have the id {number}; give each its own")
            ignore = self.mask(annotation, "ignore") if "ignore" in annotation else None
            found = Object(number, mask, annotation.get("category"), ignore, annotation)
            if found.counted(mask).any():
                objects[number] = found
            elif not skip_empty:
                raise DataError(f"{self.where}: mask {number} is empty; remove it, or leave such out with --skip-empty")
        return list(objects.values())


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
