"""Images at the boundary: paths, files' content, PIL images and arrays of any depth to H×W×3 uint8 RGB, upright."""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import ImageError

MIN_SIDE = 4
"""shortest side, in pixels, on which a mask makes sense"""
MAX_ASPECT = 100
"""longest side over shortest; beyond it the image would be a line in the model's square frame"""

Source = Any
"""a path, the bytes of an image file, a PIL image, or an array: H×W, H×W×1, H×W×3 or H×W×4, of any depth"""


def read_image(source: Source, channels: str = "RGB", name: str | None = None) -> NDArray[np.uint8]:
    """Bring an image to H×W×3 uint8 RGB as a person sees it: EXIF rotation applied, on black where it is clear.

    Integer arrays of 16 bits are scaled down by 257; float arrays are taken as 0 to 1, or as 0 to 255 where
    they exceed 1. `channels` is the order of a colour array, "RGB" or "BGR"; files carry their own. `name` is what an
    error calls the source; its path, or what kind of thing it is, where it is None.

    Raises ImageError for a missing, broken, animated or non-image file, an array that is no image, and an image
    with a side under 4 pixels or more than 100 times as long as wide.
    """
    if isinstance(source, (str, PathLike, bytes)):
        name = name or _name(source)
        with _opened(source, name) as opened:
            image = _from_pil(opened, name)
    elif isinstance(source, Image.Image):
        name = name or "image"
        image = _from_pil(source, name)
    else:
        name = name or "array"
        image = _from_array(np.asarray(source), name, channels)
    height, width = image.shape[:2]
    _check_shape(height, width, name)
    return image


def image_size(source: str | PathLike[str] | bytes, name: str | None = None) -> tuple[int, int]:
    """Height and width that `read_image` would give for a file or its bytes, from the header.

    Raises ImageError, as that does, for all that the header tells. A PNG without EXIF is read to its end, for there
    may be some behind the pixels.
    """
    name = name or _name(source)
    with _opened(source, name) as image:
        width, height = image.size
        if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:  # a quarter turn
            width, height = height, width
    _check_shape(height, width, name)
    return height, width


def _name(source: str | PathLike[str] | bytes) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _check_shape(height: int, width: int, name: str) -> None:
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError(
            f"{name}: {width}×{height} pixels; expected sides of at least {MIN_SIDE} pixels and at most "
            f"{MAX_ASPECT}:1; crop it or cut it into tiles"
        )


def _check_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be read ({reason}); check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name}: is a folder; name an image file")
    if not status.st_size:
        raise ImageError(f"{name}: the file is empty; expected an image")


@contextmanager
def _opened(source: str | PathLike[str] | bytes, name: str) -> Iterator[Image.Image]:
    """The image of a file, its header read; what Pillow raises, then or while pixels are read, becomes ImageError."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name}: is empty; expected an image")
    else:
        _check_file(Path(source), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                frames = getattr(image, "n_frames", 1)
                if frames > 1 and image.format != "MPO":  # phones put a preview behind the photo of an MPO
                    raise ImageError(f"{name}: holds {frames} frames; save the one you want as PNG or JPEG")
                yield image
    except UnidentifiedImageError:
        expected = "expected JPEG, PNG, TIFF, WebP or the like"
        raise ImageError(f"{name}: not an image that Pillow can read; {expected}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError(f"{name}: over {Image.MAX_IMAGE_PIXELS:,} pixels; see `anymask everything --tile`") from None
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(f"{name}: the image is cut short or damaged ({error}); get a whole copy") from None


def fit_within(image: NDArray[np.uint8], longest: int) -> tuple[NDArray[np.uint8], float]:
    """An H×W×3 image made smaller where a side is over `longest`, and its scale, 1 where it is not."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale == 1:
        return image, scale
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, sides, interpolation=cv2.INTER_AREA), np.uint8), scale


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
