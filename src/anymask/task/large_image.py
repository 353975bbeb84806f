"""Images that are too large for memory, read part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .image import read_image

MOST = 2**32
"""pixels, from which on COCO's RLE cannot count them"""


class LargeImage(Protocol):
    """An H×W×3 uint8 RGB image that is read by slices: an array, a `numpy.memmap`, a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """Rows and columns, in steps."""


class Reduced:
    """A large image of which every `step`th pixel of both axes is seen."""

    def __init__(self, image: LargeImage, step: int) -> None:
        self._image = image
        self._step = step
        self.shape = tuple(-(-side // step) for side in image.shape[:2]) + tuple(image.shape[2:])

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        rows, columns = (slice(*part.indices(side)) for part, side in zip(key, self.shape, strict=False))
        return self._image[tuple(_times(part, self._step) for part in (rows, columns))]  # type: ignore[index]


def _times(part: slice, step: int) -> slice:
    return slice(part.start * step, part.stop * step, part.step * step)


def open_large(path: Path) -> LargeImage:
    """An image file that is read by slices: .npy from the disk as it is asked for, all others at once into memory.

    Raises ImageError as `read_image` does, and for an array that is no H×W×3 uint8.
    """
    if path.suffix.lower() != ".npy":
        return read_image(path)
    try:
        image = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{path}: cannot be read as an array ({error}); expected one written with numpy.save"
        ) from None
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise ImageError(f"{path}: expected an array of H×W×3 uint8, got {image.dtype} of {image.shape}")
    return image


def large_shape(image: LargeImage) -> tuple[int, int]:
    """(height, width). Raises ImageError for what is no H×W×3, and for more pixels than a mask's RLE can count."""
    shape = tuple(image.shape)
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        raise ImageError(f"image: expected H×W×3 uint8, read by slices, got shape {shape}")
    if shape[0] * shape[1] >= MOST:
        raise ImageError(f"image: {shape[1]}×{shape[0]} pixels; masks are RLE, which counts to {MOST:,}; cut it in two")
    return shape[0], shape[1]


def read_part(image: LargeImage, box: tuple[int, int, int, int], step: int = 1) -> NDArray[np.uint8]:
    """The pixels of x0, y0, x1, y1, every `step`th of each axis. Raises ImageError where they are not uint8."""
    x0, y0, x1, y1 = box
    pixels = np.asarray(image[y0:y1:step, x0:x1:step])
    if pixels.dtype != np.uint8:
        raise ImageError(f"image: expected uint8, got {pixels.dtype}")
    return np.ascontiguousarray(pixels)
