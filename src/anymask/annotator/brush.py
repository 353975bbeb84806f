"""Masks as Label Studio's brush has them: the run-length packing of thi.ng/rle-pack, of an RGBA picture's bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = 8
"""bits of a value"""
SIZES = (3, 4, 8, 16)
"""bits that the length of a run may take; which, two bits say"""
LONGEST = 1 << SIZES[-1]
"""of a run"""


def pack_brush(mask: NDArray[np.bool_]) -> list[int]:
    """An H×W mask as bytes: all four channels of a pixel 255 on the mask, and 0 elsewhere.

    A run is a 1, two bits for the size of what follows, its length less one, and the value that is repeated.
    """
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    lengths = 4 * np.diff(np.concatenate([starts, [flat.size]]))
    bits = [f"{4 * flat.size:032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "1" * WORD if flat[start] else "0" * WORD
        for done in range(0, length, LONGEST):
            bits += _run(min(LONGEST, length - done), value)
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tolist()


def _run(length: int, value: str) -> tuple[str, ...]:
    which = next(i for i, size in enumerate(SIZES) if length <= 1 << size)
    return "1", f"{which:02b}", f"{length - 1:0{SIZES[which]}b}", value
