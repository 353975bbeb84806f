"""Samples of any source into a folder of another format, which is there as a whole or not at all."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, DataError, ImageError, OutputError
from ..files import make_folder
from .export.formats import WRITTEN
from .export.writer import Holes, Images
from .sample import Sample


@dataclass
class Converted:
    """What a conversion gave.

    Attributes:
        images: written.
        masks: of these images.
        losses: what the format could not hold, in words, and how often.
        skipped: what was wrong with the samples that were left out, a line each.
    """

    images: int = 0
    masks: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)


def convert(
    samples: Sequence[Sample],
    out: Path,
    format: str,
    *,
    holes: Holes = "join",
    images: Images = "copy",
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write samples into a new folder.

    Args:
        samples: of any source.
        out: the folder, which must not be there, or be empty.
        format: one of WRITTEN.
        holes: what becomes of holes and parts in formats of polygons.
        images: whether images are copied, linked to or left where they are.
        keep_going: leave out samples that are wrong, rather than stop.
        progress: called with the samples that are done, and all.

    Raises ConfigError for a format that is not known, OutputError where the folder holds something or cannot be
    written, and DataError or ImageError for a sample that is wrong, or where none is right.
    """
    if format not in WRITTEN:
        raise ConfigError(f"format {format!r}: cannot be written; expected one of {', '.join(WRITTEN)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is there and not empty; name another folder with -o, or remove it")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    make_folder(unfinished)
    result = Converted()
    try:
        writer = WRITTEN[format](unfinished, holes, images)
        for done, sample in enumerate(samples, 1):
            try:
                sample.check_masks()
                writer.add(sample)
                result.images += 1
                result.masks += len(sample.record["annotations"])
            except (DataError, ImageError) as error:
                if not keep_going:
                    raise
                result.skipped.append(str(error))
            sample.forget()
            if progress:
                progress(done, len(samples))
        if not result.images:
            raise DataError(f"{out}: would be empty, for no sample is right; the first: {result.skipped[0]}")
        writer.finish()
        result.losses = +writer.losses
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return result
