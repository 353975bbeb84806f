"""The folder of photos: which there are, where they lie, and new ones put into it, never outside of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ..dataset.sa1b import IMAGE_SUFFIXES
from ..errors import ImageError
from ..files import replacing
from ..task.image import image_size

SUFFIX_OF = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}


class PhotoFolder:
    """The photos of a folder and its subfolders; those whose names begin with a dot are left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def names(self) -> Iterator[str]:
        """The names of all photos, the paths inside the folder with /."""
        for path in sorted(self.folder.rglob("*")):
            inside = path.relative_to(self.folder)
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not _is_hidden(inside):
                yield inside.as_posix()

    def path(self, name: str) -> Path:
        """Where a photo lies. Raises ImageError where that is outside the folder, as behind a link."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise ImageError(f"{name}: leads out of the folder; put the photo itself into it")
        return path

    def add(self, name: str, content: bytes) -> str:
        """Put a new photo into the folder, under a name of its own; that name.

        Raises ImageError for what is no photo, and OutputError where it cannot be written.
        """
        image_size(content, _plain(name))
        stem, suffix = _stem(name), _suffix(content)
        number, target = 1, self.folder / (stem + suffix)
        while target.exists():
            number += 1
            target = self.folder / f"{stem}-{number}{suffix}"
        with replacing(target) as temporary:
            temporary.write_bytes(content)
        return target.name


def _is_hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _plain(name: str) -> str:
    """The last part of a name that a browser sent, whatever system it is from."""
    return re.split(r"[/\\]", name)[-1]


def _stem(name: str) -> str:
    """A name for a file without its ending: letters, digits and a few signs, never hidden."""
    plain = unicodedata.normalize("NFC", _plain(name)).rpartition(".")[0] or "photo"
    return re.sub(r"[^\w\-+. ]", "_", plain).strip(". ")[:100] or "photo"


def _suffix(content: bytes) -> str:
    """The ending that goes with what a file is. Raises ImageError for a kind that is not kept."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        found = SUFFIX_OF.get("JPEG" if image.format == "MPO" else image.format or "")
        if found is None:
            raise ImageError(f"{image.format}: is not kept; upload {', '.join(SUFFIX_OF)}")
        return found
