"""Masks as COCO run-length encoding, through pycocotools: encode, decode, area, and the uncompressed form."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as whole
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from ..errors import DataError

RLE = dict[str, Any]
"""{"size": [height, width], "counts": str}, column by column, beginning with background."""

INVALID = "invalid"
"""key under which a reader says why there is no mask"""
WHOLE = 1 << 26
"""pixels of an image up to which all of them are decoded where a part is asked for, which takes milliseconds"""
MUCH = 1 / 1000
"""part of a larger image's pixels from which on decoding all of them is faster than finding each"""


def encode(mask: NDArray[Any]) -> RLE:
    """Encode an H×W mask as compressed RLE whose counts are text, so that it goes into JSON as it is."""
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_part(mask: NDArray[np.bool_], top: int, left: int, shape: tuple[int, int], step: int = 1) -> RLE:
    """As `encode`, of a mask of `shape` (height, width) that is empty but for an h×w part of it.

    With a `step` each pixel of the part stands for step×step of the mask, as far as that reaches.
    """
    import cv2

    (height, width), (h, w) = shape, mask.shape
    changed = np.zeros((w, h + 1), bool)
    if mask.any():
        turned = cv2.transpose(np.ascontiguousarray(mask).view(np.uint8)).reshape(w, h)
        changed[:, 0], changed[:, -1] = turned[:, 0], turned[:, -1]
        np.not_equal(turned[:, 1:], turned[:, :-1], out=changed[:, 1:-1])
    columns, rows = np.divmod(np.flatnonzero(changed), h + 1)
    if step > 1:
        columns, rows = _enlarged(columns, rows, step, w)
        inside = columns < width - left
        columns, rows = columns[inside], np.minimum(rows[inside], height - top)
    changes = (left + columns) * height + top + rows
    joined = np.flatnonzero(changes[1:] == changes[:-1])  # a run that goes on at the top of the next column
    changes = np.delete(changes, np.concatenate([joined, joined + 1]))
    runs = np.diff(np.concatenate([[0], changes, [height * width]]))
    runs = runs[: len(runs) - (runs[-1] == 0)]
    found = coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": found["counts"].decode("ascii")}


def _enlarged(
    columns: NDArray[np.int64], rows: NDArray[np.int64], step: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The changes down the columns where each of these is `step` columns, and each row `step` rows."""
    counts = np.bincount(columns, minlength=width)
    first = counts.cumsum() - counts
    repeated = np.repeat(np.arange(width), step)
    times = counts[repeated]
    within = np.arange(times.sum()) - np.repeat(times.cumsum() - times, times)
    return np.repeat(np.arange(width * step), times), rows[np.repeat(first[repeated], times) + within] * step


def decode(rle: RLE) -> NDArray[np.bool_]:
    """Decode compressed or uncompressed RLE to an H×W boolean mask, whose columns lie one after another in memory.

    Raises DataError where the record has no size or counts, or the runs do not fill the size.
    """
    (height, width), lengths = runs(rle)
    mask: NDArray[np.bool_] = _filled([lengths], height, width)[0]
    return mask


def decode_all(masks: Sequence[RLE], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode N masks of one `shape`, (height, width): N×H×W, as `decode` does each.

    Raises DataError as that does, and for a mask of another size.
    """
    found = []
    for place, mask in enumerate(masks):
        size, lengths = runs(mask)
        if size != list(shape):
            raise DataError(f"mask at place {place} has size {size}, expected {list(shape)}")
        found.append(lengths)
    return _filled(found, *shape)


def _filled(lengths: Sequence[NDArray[np.int64]], height: int, width: int) -> NDArray[np.bool_]:
    """N×H×W masks of the lengths of their runs, background first."""
    if not lengths:
        return np.zeros((0, height, width), bool)
    values = np.concatenate([np.arange(len(each)) % 2 == 1 for each in lengths])
    filled: NDArray[np.bool_] = np.repeat(values, np.concatenate(lengths)).reshape(len(lengths), width, height)
    return filled.transpose(0, 2, 1)


def area(rle: RLE) -> int:
    """Number of foreground pixels, without decoding."""
    return int(runs(rle)[1][1::2].sum())


def iou(a: Sequence[RLE], b: Sequence[RLE]) -> NDArray[np.float64]:
    """Intersection over union of N with M masks, all of one size, as N×M, without decoding."""
    found = coco.iou([_compressed(mask) for mask in a], [_compressed(mask) for mask in b], [False] * len(b))
    return np.asarray(found, np.float64).reshape(len(a), len(b))


def union(masks: Sequence[RLE]) -> RLE:
    """The pixels that are in any of the masks, all of one size; nothing is decoded."""
    if len(masks) == 1:
        return masks[0]
    merged = coco.merge([_compressed(mask) for mask in masks])
    return {"size": [int(n) for n in merged["size"]], "counts": merged["counts"].decode("ascii")}


def contains(rle: RLE, points: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of N×2 points (x, y) lie on foreground, without decoding; points outside the image do not."""
    (height, width), lengths = runs(rle)
    ends = lengths.cumsum()
    x, y = np.floor(np.asarray(points, np.float64)).astype(np.int64).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & (np.searchsorted(ends, x * height + y, side="right") % 2 == 1))


def box(rle: RLE) -> list[float]:
    """x, y, width and height of a mask, without decoding it."""
    return [float(side) for side in coco.toBbox(_compressed(rle))]


def decode_part(rle: RLE, area: tuple[int, int, int, int], step: int = 1) -> NDArray[np.bool_]:
    """The mask in x0, y0, x1, y1, every `step`th pixel of each axis; the time goes with that, not with the image."""
    x0, y0, x1, y1 = area
    columns, rows = np.arange(x0, x1, step), np.arange(y0, y1, step)
    pixels = rle["size"][0] * rle["size"][1]
    if pixels <= WHOLE or len(rows) * len(columns) > MUCH * pixels:
        return decode(rle)[y0:y1:step, x0:x1:step]
    part = np.zeros((len(rows), len(columns)), bool)
    left, top, width, height = box(rle)
    across = slice(*np.searchsorted(columns, (left, left + width)))
    down = slice(*np.searchsorted(rows, (top, top + height)))
    x, y = np.meshgrid(columns[across], rows[down])
    part[down, across] = contains(rle, np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
    return part


class Decoded(Sequence[NDArray[np.bool_]]):
    """Masks as a sequence that decodes each when it is looked at, so that many large ones need no memory.

    With a `step` each mask is as large as an image of which every so many pixels of both axes are taken.
    """

    def __init__(self, records: Sequence[RLE], step: int = 1) -> None:
        self._records = records
        self._step = step

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        chosen = self._records[index]
        if isinstance(index, slice):
            return Decoded(chosen, self._step)
        height, width = chosen["size"]
        return decode_part(chosen, (0, 0, width, height), self._step)


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


def runs(rle: RLE) -> tuple[list[int], NDArray[np.int64]]:
    """[height, width], and the lengths of the runs down the columns, background first.

    Raises DataError where the record has no size or counts, or the runs do not fill the size.
    """
    if isinstance(rle, dict) and INVALID in rle:
        raise DataError(rle[INVALID])
    try:
        height, width = (whole(side) for side in rle["size"])
        counts = rle["counts"].encode("ascii") if isinstance(rle["counts"], str) else rle["counts"]
        found = _parse(counts) if isinstance(counts, bytes) else np.array([whole(run) for run in counts], np.int64)
    except (TypeError, KeyError, ValueError, OverflowError):
        raise DataError("a mask is not RLE: expected a record with 'size', [height, width], and 'counts'") from None
    if min(height, width, found.min(initial=0)) < 0 or found.sum() != height * width:
        raise DataError(f"RLE counts add up to {found.sum()} pixels, but size {rle['size']} has {height * width}")
    return [height, width], found


def _compressed(rle: RLE) -> RLE:
    """The record in pycocotools' form, checked, for where the runs fall short that reads memory at random."""
    (height, width), found = runs(rle)
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        return {"size": [height, width], "counts": counts.encode("ascii") if isinstance(counts, str) else counts}
    compressed: RLE = coco.frPyObjects({"size": [height, width], "counts": found.tolist()}, height, width)
    return compressed


def _parse(counts: bytes) -> NDArray[np.int64]:
    """The runs in compressed counts; raises ValueError where they are cut.

    Each is a signed number in base 32, low digits first; from the fourth on it is the difference to the run two before.
    """
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits & 32 == 0)  # the digit that ends a number
    if not len(last) or last[-1] != len(digits) - 1 or digits.min() < 0 or digits.max() > 63:
        raise ValueError("the counts are cut short, or no counts")
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    runs: NDArray[np.int64] = np.add.reduceat((digits & 31) << 5 * place, first)
    runs -= (digits[last] >> 4 & 1) << 5 * (last - first + 1)
    runs[1::2], runs[2::2] = runs[1::2].cumsum(), runs[2::2].cumsum()
    return runs
