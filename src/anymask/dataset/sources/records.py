"""What loaders share: reading JSON, finding image files, and saying which record is malformed."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import DataError, ImageError
from ..sa1b import IMAGE_SUFFIXES

ORIENTATION = 0x0112
"""EXIF's tag for how the camera was held; 5 to 8 stand for a quarter turn"""


def read_json(path: Path, expected: str) -> Any:
    """The content of a JSON file. Raises DataError, with what was `expected`, where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read as JSON ({reason}); expected {expected}") from None


@contextmanager
def reading(where: str, expected: str) -> Iterator[None]:
    """Let what a malformed record raises become a DataError that says where it is and what was `expected`."""
    try:
        yield
    except ImageError:
        raise  # it names its own file
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except KeyError as error:
        raise DataError(f"{where}: has no {error}; expected {expected}") from None
    except (AttributeError, IndexError, OSError, OverflowError, TypeError, ValueError) as error:
        raise DataError(f"{where}: is malformed ({error}); expected {expected}") from None


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as a person sees it, from the file's header. Raises DataError where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its pixels are not read here
            with Image.open(path) as image:
                width, height = image.size
                turned = image.getexif().get(ORIENTATION, 1) >= 5
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        reason = getattr(error, "strerror", None) or "not an image that Pillow can read"
        raise DataError(f"{path}: {reason}; expected an image") from None
    return (width, height) if turned else (height, width)


def check_size(where: Path, shape: Sequence[int], image: Path) -> tuple[int, int]:
    """Height and width of `image`. Raises DataError where labels of another `shape`, H×W, lie in `where`."""
    height, width = upright_size(image)
    if tuple(shape) != (height, width):
        raise DataError(
            f"{where}: is {shape[1]}×{shape[0]} pixels (width × height), its image {image} is {width}×{height}"
        )
    return height, width


def check_image(where: str, image: Path) -> None:
    """Raise DataError where an image that a record in `where` lists is not on disk."""
    if not image.is_file():
        raise DataError(f"{where}: no image {image}; name the folder that the images are in with images (--images)")


def is_image(path: Path) -> bool:
    """Whether a file is named like an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def inside(folder: Path, name: Any, where: str) -> Path:
    """The file that a record lists as `name`. Raises DataError for no name, or one that leads out of the folder."""
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: has the file name {name!r}; expected a path relative to the folder of images")
    relative = Path(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"{where}: the file name {name!r} leads out of the folder of images; make it relative to that")
    return folder / relative


def find_by_name(folder: Path, files: Iterable[str]) -> dict[str, Path]:
    """Where files lie in a folder or its subfolders, by bare name; one that is nowhere is taken to be at the top.

    Raises DataError where two files have one of the names.
    """
    wanted = set(files)
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.name in wanted and found.setdefault(path.name, path) != path:
            raise DataError(f"{folder}: holds {path.name} twice, {found[path.name]} and {path}; remove one")
    return {name: found.get(name, folder / name) for name in wanted}


def sample_names(files: Sequence[Path], where: Path) -> list[str]:
    """A name for each image: its path without suffix, or with it where names would repeat.

    Raises DataError where a file is listed twice.
    """
    short = Counter(file.with_suffix("").as_posix() for file in files)
    names = [
        file.as_posix() if short[file.with_suffix("").as_posix()] > 1 else file.with_suffix("").as_posix()
        for file in files
    ]
    for name, times in Counter(names).items():
        if times > 1:
            raise DataError(f"{where}: lists the image {name} {times} times; merge its records")
    return names
