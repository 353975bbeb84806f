"""What every writer does: images into a folder, categories by number, and a count of what its format cannot hold."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

from ...errors import DataError, OutputError
from ...files import make_folder, replacing
from ...task.polygons import Ring, joined, polygons
from ..sa1b import BESIDE
from ..sample import Record, Sample

Holes = Literal["join", "fill", "refuse"]
"""what becomes of holes, and of several parts, where a format has one line for each object: joined by bridges of no
width, so that no pixel is lost where crossings are counted; holes filled and parts made objects; or an error"""
Images = Literal["copy", "link", "none"]
"""whether images are copied, linked to, or left where they are"""


class Writer(ABC):
    """Writes samples one by one into a folder, and at the end what tells of all.

    Args:
        folder: where to; it is made.
        holes: for formats of polygons, see `Holes`.
        images: see `Images`.

    Attributes:
        losses: what the format could not hold, in words, and how often.
        categories: numbers of the categories from 0 on, in the order in which they came.
    """

    image_folder: ClassVar[str] = "images"
    """below `folder`, where images go"""
    image_ending: ClassVar[str] = ""
    """what their names end in, before the suffix"""

    def __init__(self, folder: Path, holes: Holes = "join", images: Images = "copy") -> None:
        self.folder = make_folder(folder)
        self.holes = holes
        self.images = images
        self.losses: Counter[str] = Counter()
        self.categories: dict[str, int] = {}
        self._names: set[str] = set()
        self.begin()

    def begin(self) -> None:  # noqa: B027  most formats gather nothing
        """Make ready for what tells of all samples."""

    @abstractmethod
    def add(self, sample: Sample) -> None:
        """Write a sample. Raises DataError for one that cannot be read, and OutputError where it cannot be written."""

    def finish(self) -> None:  # noqa: B027  most formats have nothing that tells of all
        """Write what tells of all samples."""

    def objects(self, sample: Sample) -> list[Record]:
        """The annotations of a sample's objects; crowd regions are left out and counted."""
        found = sample.annotations
        self.losses["regions to ignore left out"] += sum("ignore" in annotation for annotation in found)
        self.losses["crowd regions left out"] += len(sample.record["annotations"]) - len(found)
        return found

    def number(self, category: str) -> int:
        """The number of a category, a new one where it is new."""
        return self.categories.setdefault(category, len(self.categories))

    def place_image(self, sample: Sample) -> str:
        """Bring a sample's image into the folder of images; its file name there, without folders.

        Raises DataError where another sample has that name.
        """
        source = sample.image_path
        name = image_name(sample)
        if self.image_ending:
            path = Path(name)
            name = path.stem.removesuffix(self.image_ending) + self.image_ending + path.suffix
        stem = Path(name).stem  # which labels are called by
        if stem in self._names:
            raise DataError(f"{sample.where}: another image is called {stem}, too; give each its own name")
        self._names.add(stem)
        if self.images != "none":
            self._bring(sample, source, self.folder / self.image_folder / name)
        return name

    def _bring(self, sample: Sample, source: Path, target: Path) -> None:
        make_folder(target.parent)
        if sample.read_bytes is None:
            _check_readable(source, sample)
        try:
            if sample.read_bytes is not None:
                with replacing(target) as temporary:
                    temporary.write_bytes(sample.read_bytes())
            elif self.images == "link":
                target.unlink(missing_ok=True)
                os.symlink(source.resolve(), target)
            else:
                with replacing(target) as temporary:
                    shutil.copyfile(source, temporary)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written ({error.strerror}); free space, or name another") from error

    def outlines(self, sample: Sample, annotation: Record) -> list[Ring]:
        """The lines, one an object, that stand for a mask in a format of polygons; none for an empty mask.

        Raises DataError for a mask that has holes or several parts where `holes` is "refuse".
        """
        parts = polygons(sample.mask(annotation))
        rings = [ring for part in parts for ring in (part.outer, *part.holes)]
        if not rings:
            self.losses["empty masks left out"] += 1
            return []
        if len(rings) == 1 or self.holes == "join":
            return [joined(rings)]
        holes = sum(len(part.holes) for part in parts)
        if self.holes == "refuse":
            raise DataError(
                f"{sample.where}: mask {annotation.get('id')}: has {len(parts)} parts and {holes} holes, which the "
                "format cannot hold; allow what is lost with --holes fill, or bridges with --holes join"
            )
        self.losses["holes filled"] += holes
        self.losses["parts made objects of their own"] += len(parts) - 1
        return [part.outer for part in parts]


def _check_readable(source: Path, sample: Sample) -> None:
    try:
        source.open("rb").close()
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror}); {sample.where} lists it") from None


def image_name(sample: Sample) -> str:
    """What a sample's image is called where all images lie in one folder, no two by one stem.

    Raises DataError for a name that cannot be written as UTF-8.
    """
    name, suffix = sample.name.replace("/", "__"), sample.image_path.suffix
    if name.endswith(suffix):  # for there is another image of that stem
        name = name.removesuffix(suffix) + suffix.replace(".", "_")
    if f"{name}.json" in BESIDE:
        name += "_"
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{sample.where!r}: has a name that is not UTF-8; rename it") from None
    return name + suffix


def category(annotation: Record) -> str:
    """The category of an annotation, "object" where it has none."""
    return str(annotation.get("category") or "object")
