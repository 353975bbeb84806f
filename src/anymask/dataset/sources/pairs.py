"""Image files and the files of their masks, matched by name."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ...errors import DataError
from .records import is_image


@dataclass(frozen=True)
class Pair:
    """An image and its masks' file, under the name they share."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairing:
    """How the name of an image follows from that of its masks' file."""

    mask_ending: str = ".png"
    """what the masks' files end in, such as _label.png"""
    image_ending: str = ""
    """what the images end in, such as _rgb.png; empty for any suffix of an image"""
    swap: tuple[str, str] = ("", "")
    """a part of the masks' paths, and what stands for it in the images'"""
    only: Sequence[str] = ()
    """patterns of names to take, such as thu_*; all where there are none"""

    def pairs(self, masks: Path, images: Path) -> list[Pair]:
        """All pairs in two folders and their subfolders, by name.

        Raises DataError where there are no masks, or an image is missing.
        """
        if not masks.is_dir():
            raise DataError(f"{masks}: no such folder; expected files of masks that end in {self.mask_ending}")
        files = sorted(masks.rglob(f"*{glob.escape(self.mask_ending)}"))
        names = [file.relative_to(masks).as_posix().removesuffix(self.mask_ending) for file in files]
        chosen = [(file, name) for file, name in zip(files, names, strict=True) if self._takes(name)]
        if not chosen:
            of = f" named like {', '.join(self.only)}" if self.only else ""
            raise DataError(f"{masks}: holds no files of masks{of} that end in {self.mask_ending}")
        listings: dict[Path, dict[str, Path]] = {}
        pairs = []
        for file, name in chosen:
            place = images / name.replace(*self.swap) if self.swap[0] else images / name
            if place.parent not in listings:
                listings[place.parent] = self._listing(place.parent, set(files))
            image = listings[place.parent].get(place.name)
            if image is None:
                ending = self.image_ending or "(.jpg, .png, …)"
                raise DataError(f"{file}: has no image {place}{ending}; name the folder of images (--images)")
            pairs.append(Pair(name, image, file))
        return pairs

    def _takes(self, name: str) -> bool:
        return not self.only or any(fnmatch(Path(name).name, pattern) for pattern in self.only)

    def _listing(self, folder: Path, masks: set[Path]) -> dict[str, Path]:
        """The images in a folder by name without ending."""
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        if self.image_ending:
            return {file.name.removesuffix(self.image_ending): file for file in files if self._is_named(file)}
        return {file.stem: file for file in files if is_image(file) and file not in masks}

    def _is_named(self, file: Path) -> bool:
        return file.name.endswith(self.image_ending)
