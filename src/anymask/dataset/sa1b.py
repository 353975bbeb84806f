"""SA-1B's format on disk: a folder of images, each with a JSON record of its masks as COCO RLE (§5)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from ..errors import DataError
from .sample import Record, Sample

SOURCE, PRIVACY = "source.json", "privacy.json"
"""what tells of a whole set in its folder, and of what was blurred in it"""
BESIDE = (SOURCE, PRIVACY)
"""JSONs that are no records of images"""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def open_folder(folder: str | Path, images: str | Path | None = None) -> list[Sample]:
    """The samples of an SA-1B folder, by name; the images lie in it, or in another one.

    Raises DataError where there are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images with an SA-1B JSON record each")
    paths = json_files(folder)
    if not paths:
        raise DataError(f"{folder}: holds no .json records; expected an SA-1B folder")
    beside = Path(images) if images is not None else None
    if beside is not None and not beside.is_dir():
        raise DataError(f"{beside}: no such folder; expected the images of {folder}")
    return [Sample(path, path.stem, partial(_read, path), folder=beside) for path in paths]


def json_files(folder: Path, deep: bool = False) -> list[Path]:
    """The JSONs in a folder, and in its subfolders where it is `deep`, by name; not those that tell of a whole set."""
    found = folder.rglob("*.json") if deep else folder.glob("*.json")
    return sorted(path for path in found if path.name not in BESIDE)


def _read(path: Path) -> Record:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); expected an SA-1B record") from None
    return record
