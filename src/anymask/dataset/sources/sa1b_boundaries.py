"""SA-1B records, each beside a PNG of boundaries: bit k of a pixel is set where person k drew one (BSDS500)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from ...task import rle
from ..sa1b import open_folder
from ..sample import Record, Sample


def open_sa1b_boundaries(path: str | Path) -> list[Sample]:
    """The samples of an SA-1B folder, their records with `boundaries`, one RLE a person, those without any left out.

    Raises DataError where there are no records; a PNG that is missing or of another size raises it when read.
    """
    return [replace(sample, read=partial(_read, sample)) for sample in open_folder(path)]


def _read(sample: Sample) -> Record:
    record, size, path = sample.record, sample.size, sample.where.with_suffix(".png")
    sample.forget()
    try:
        with Image.open(path) as png:
            bits = np.asarray(png)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a PNG of boundaries beside the record") from None
    if bits.dtype != np.uint8 or list(bits.shape) != size:
        raise DataError(f"{path}: expected one channel of 8 bits and {size}, got {bits.dtype} {list(bits.shape)}")
    people = [(bits >> k & 1).astype(bool) for k in range(8)]
    return {**record, "boundaries": [rle.encode(drawn) for drawn in people if drawn.any()]}
