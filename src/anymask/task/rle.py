"""Masks as COCO run-length encoding, through pycocotools: encode, decode, area, and the uncompressed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from ..errors import DataError

RLE = dict[str, Any]
"""{"size": [height, width], "counts": str}, column by column, beginning with background."""


def encode(mask: NDArray[Any]) -> RLE:
    """Encode an H×W mask as compressed RLE whose counts are text, so that it goes into JSON as it is."""
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode(rle: RLE) -> NDArray[np.bool_]:
    """Decode compressed or uncompressed RLE to an H×W boolean mask.

    Raises DataError where the record has no size or counts, or the runs do not fill the size.
    """
    compressed = _compressed(rle)
    try:
        mask: NDArray[np.bool_] = coco.decode(compressed).astype(bool)
    except ValueError as error:
        raise DataError(f"RLE of size {rle['size']}: {error}; the counts do not fit the size") from error
    return mask


def area(rle: RLE) -> int:
    """Number of foreground pixels, without decoding."""
    return int(coco.area(_compressed(rle)))


def to_uncompressed(mask: NDArray[np.bool_]) -> RLE:
    """Encode an H×W mask with the counts as a list of run lengths, the form that SA-1B's authors hand around."""
    flat = np.asarray(mask, bool).ravel(order="F")
    counts = _run_lengths(flat)
    if flat.size and flat[0]:
        counts.insert(0, 0)
    return {"size": [int(n) for n in mask.shape], "counts": counts}


def _run_lengths(flat: NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of equal values."""
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return [int(n) for n in np.diff(np.concatenate([[0], edges, [flat.size]]))]


def _compressed(rle: RLE) -> RLE:
    try:
        size, counts = rle["size"], rle["counts"]
    except (TypeError, KeyError):
        raise DataError("a mask is not RLE: expected a record with 'size' and 'counts'") from None
    if isinstance(counts, list):
        if sum(counts) != size[0] * size[1]:
            raise DataError(f"RLE counts add up to {sum(counts)} pixels, but size {size} has {size[0] * size[1]}")
        compressed: RLE = coco.frPyObjects({"size": size, "counts": counts}, size[0], size[1])
        return compressed
    return {"size": size, "counts": counts.encode("ascii") if isinstance(counts, str) else counts}
