"""Images at the boundary: paths, PIL images and arrays of any depth to H×W×3 uint8 RGB, upright."""

from __future__ import annotations

import stat
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import ImageError

MIN_SIDE = 4
"""shortest side, in pixels, on which a mask makes sense"""
MAX_ASPECT = 100
"""longest side over shortest; beyond it the image would be a line in the model's square frame"""

Source = Any
"""a path, a PIL image, or an array: H×W, H×W×1, H×W×3 or H×W×4, of any integer or float depth"""


def read_image(source: Source, channels: str = "RGB") -> NDArray[np.uint8]:
    """Bring an image to H×W×3 uint8 RGB as a person sees it: EXIF rotation applied, on black where it is clear.

    Integer arrays of 16 bits are scaled down by 257; float arrays are taken as 0 to 1, or as 0 to 255 where
    they exceed 1. `channels` is the order of a colour array, "RGB" or "BGR"; files carry their own.

    Raises ImageError for a missing, broken, animated or non-image file, an array that is no image, and an image
    with a side under 4 pixels or more than 100 times as long as wide.
    """
    if isinstance(source, (str, PathLike)):
        name, image = str(source), _read_file(Path(source))
    elif isinstance(source, Image.Image):
        name, image = "image", _from_pil(source, "image")
    else:
        name, image = "array", _from_array(np.asarray(source), "array", channels)
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError(
            f"{name}: {width}×{height} pixels; expected sides of at least {MIN_SIDE} pixels and at most "
            f"{MAX_ASPECT}:1; crop it or cut it into tiles"
        )
    return image


def _read_file(path: Path) -> NDArray[np.uint8]:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path}: cannot be read ({reason}); check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path}: is a folder; name an image file")
    if not status.st_size:
        raise ImageError(f"{path}: the file is empty; expected an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                frames = getattr(image, "n_frames", 1)
                if frames > 1 and image.format != "MPO":  # phones put a preview behind the photo of an MPO
                    raise ImageError(f"{path}: holds {frames} frames; save the one you want as PNG or JPEG")
                return _from_pil(image, str(path))
    except UnidentifiedImageError:
        expected = "expected JPEG, PNG, TIFF, WebP or the like"
        raise ImageError(f"{path}: not an image that Pillow can read; {expected}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError(f"{path}: over {Image.MAX_IMAGE_PIXELS:,} pixels; cut it into tiles first") from None
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(f"{path}: the image is cut short or damaged ({error}); get a whole copy") from None


def _from_pil(image: Image.Image, name: str) -> NDArray[np.uint8]:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        array = np.asarray(image)
        deep = image.mode == "I" and array.min(initial=0) >= 0 and array.max(initial=0) < 1 << 16
        return _from_array(array.astype(np.uint16) if deep else array, name)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.array(image.convert("RGB"))


def _from_array(array: NDArray[Any], name: str, channels: str = "RGB") -> NDArray[np.uint8]:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(f"{name}: expected H×W, H×W×1, H×W×3 or H×W×4, got shape {array.shape}")
    if channels not in ("RGB", "BGR"):
        raise ImageError(f"channels: expected 'RGB' or 'BGR', got {channels!r}")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    array = _to_uint8(array, name)
    if array.shape[2] == 4:
        array = np.rint(array[:, :, :3] * (array[:, :, 3:] / 255.0)).astype(np.uint8)
    return np.ascontiguousarray(array[:, :, :: -1 if channels == "BGR" else 1])


def _to_uint8(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ImageError(f"{name}: holds NaN or infinity; expected 0 to 1, or 0 to 255")
        scale = 255.0 if array.max(initial=0.0) <= 1.0 else 1.0
        return np.rint(np.clip(array * scale, 0, 255)).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        if array.dtype.kind == "u" and array.itemsize == 2:
            return np.rint(array / 257.0).astype(np.uint8)
        if array.min(initial=0) >= 0 and array.max(initial=0) <= 255:
            return array.astype(np.uint8)
        raise ImageError(f"{name}: {array.dtype} values beyond 0 to 255; scale them, or pass uint16 or float")
    raise ImageError(f"{name}: expected numbers, got {array.dtype}")
