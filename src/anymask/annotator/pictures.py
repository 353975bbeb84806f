"""Pictures of photos for the page: thumbnails, previews and tiles, as JPEG."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import MissingError, OutputError
from ..files import replacing
from ..task.image import fit_within, read_image

TILE = 512
"""side of a tile, in pixels"""
THUMBNAIL, PREVIEW = 256, 2048
"""longest sides"""
KEPT_BYTES = 512 << 20
"""of photos in memory, which tiles are cut from"""
QUALITY = 90


class Pictures:
    """Makes pictures of photos, and keeps the small ones on disk. Several threads may ask at once.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[tuple[Path, str, int], NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def pixels(self, path: Path, stamp: str, level: int = 0) -> NDArray[np.uint8]:
        """A photo H×W×3, upright, at 1/2^level of its size. `stamp` changes with the file. Raises ImageError."""
        key = (path, stamp, level)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = read_image(path) if level == 0 else _halved(self.pixels(path, stamp, level - 1))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return found

    def fitted(self, path: Path, stamp: str, longest: int) -> bytes:
        """A photo whose longer side is at most `longest`. Raises ImageError."""
        name = f"{longest}-{stamp}.jpg"
        return self._on_disk(name, lambda: _jpeg(fit_within(self.pixels(path, stamp), longest)[0]))

    def tile(self, path: Path, stamp: str, level: int, x: int, y: int) -> bytes:
        """One tile of a photo at 1/2^level of its size. Raises ImageError, and MissingError for one that it has not."""
        height, width = self.pixels(path, stamp).shape[:2]
        top = max(0, (max(height, width) - 1).bit_length())
        if not 0 <= level <= top:
            raise MissingError(f"tile: level {level}; expected 0 to {top}")
        part = self.pixels(path, stamp, level)[max(0, y) * TILE : (y + 1) * TILE, max(0, x) * TILE : (x + 1) * TILE]
        if min(x, y) < 0 or not part.size:
            raise MissingError(f"tile {x},{y}: the image has none there at level {level}")
        return _jpeg(part)

    def _on_disk(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What is kept under a name; a disk that cannot be written costs the keeping alone."""
        path = self._folder / name[-6:-4] / name
        try:
            return path.read_bytes()
        except OSError:
            made = make()
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(made)
        except OutputError:
            pass
        return made


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At half its size, rounded up, each pixel the mean of four."""
    import cv2

    height, width = pixels.shape[:2]
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    half = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY)
    return content.getvalue()
