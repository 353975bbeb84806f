"""Images that are too large for memory, read part by part."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError


class LargeImage(Protocol):
    """An H×W×3 uint8 RGB image that is read by slices: an array, a `numpy.memmap`, a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """Rows and columns, in steps."""


def large_shape(image: LargeImage) -> tuple[int, int]:
    """(height, width). Raises ImageError for what is no H×W×3."""
    shape = tuple(image.shape)
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        raise ImageError(f"image: expected H×W×3 uint8, read by slices, got shape {shape}")
    return shape[0], shape[1]


def read_part(image: LargeImage, box: tuple[int, int, int, int], step: int = 1) -> NDArray[np.uint8]:
    """The pixels of x0, y0, x1, y1, every `step`th of each axis. Raises ImageError where they are not uint8."""
    x0, y0, x1, y1 = box
    pixels = np.asarray(image[y0:y1:step, x0:x1:step])
    if pixels.dtype != np.uint8:
        raise ImageError(f"image: expected uint8, got {pixels.dtype}")
    return np.ascontiguousarray(pixels)
