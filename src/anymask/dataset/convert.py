"""Samples of any source into a folder of another format, which is there as a whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, DataError
from ..files import new_folder
from .card import Card, Source
from .export.formats import WRITTEN
from .export.writer import Holes, Images
from .problems import Problems, Progress
from .sample import Sample

Change = Callable[[Sample], "Sample | None"]
"""gives a sample as it is to be written, or None where it is left out"""


@dataclass(frozen=True)
class Target:
    """How samples are written.

    Attributes:
        format: one of WRITTEN.
        holes: what becomes of holes and parts in formats of polygons.
        images: whether images are copied, linked to or left where they are.
        categories: those that are numbered first, so that several sets number alike.

    Raises ConfigError for a format that is not known.
    """

    format: str = "sa1b"
    holes: Holes = "join"
    images: Images = "copy"
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format not in WRITTEN:
            raise ConfigError(f"format {self.format!r}: cannot be written; expected one of {', '.join(WRITTEN)}")


@dataclass(frozen=True)
class Origin:
    """What the card of new data tells of how it came to be."""

    sources: Sequence[Source] = ()
    made: str = ""
    """what was done, as a command"""


@dataclass
class Converted:
    """What was written.

    Attributes:
        images: written.
        masks: of these images.
        losses: what the format could not hold, in words, and how often.
        left_out: images that were not to be written.
    """

    images: int = 0
    masks: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


def convert(
    samples: Sequence[Sample],
    out: Path,
    target: Target,
    *,
    change: Change | None = None,
    problems: Problems | None = None,
    origin: Origin | None = None,
    progress: Progress | None = None,
    beside: Callable[[Path], None] | None = None,
) -> Converted:
    """Write samples into a new folder, with a data card.

    Args:
        samples: of any source.
        out: the folder, which must not be there, or be empty.
        target: the format, and how it is filled.
        change: what becomes of each sample before it is written.
        problems: takes what is wrong with samples; without it the first fault ends it.
        origin: for the card.
        progress: called after each sample.
        beside: writes what else is to lie in the folder.

    Raises OutputError where the folder holds something or cannot be written, and DataError or ImageError for a sample
    that is wrong, or where none is right.
    """
    with new_folder(out) as folder:
        result = fill(samples, folder, target, change, problems or Problems(), origin or Origin(), progress)
        if beside:
            beside(folder)
    return result


def fill(
    samples: Sequence[Sample],
    folder: Path,
    target: Target,
    change: Change | None,
    problems: Problems,
    origin: Origin,
    progress: Progress | None,
) -> Converted:
    """As `convert`, into a folder that the caller makes and, where this fails, removes."""
    result, card = Converted(), Card(origin.sources, origin.made)
    writer = WRITTEN[target.format](folder, target.holes, target.images)
    for name in target.categories:
        writer.number(name)
    for done, sample in enumerate(samples, 1):
        with problems.noted():
            chosen = change(sample) if change else sample
            if chosen is None:
                result.left_out += 1
            else:
                chosen.check_masks()
                writer.add(chosen)
                card.add(chosen.record)
                result.images += 1
                result.masks += len(chosen.record["annotations"])
                chosen.forget()
        sample.forget()
        if progress:
            progress(done, len(samples))
    if not result.images:
        why = f"no image is right; the first fault: {problems.found[0]}" if problems.found else "no image is left"
        raise DataError(f"{folder.name.strip('.').removesuffix('.unfinished')}: would be empty, for {why}")
    writer.finish()
    result.losses = +writer.losses
    card.write(folder, result.losses, len(problems.found))
    return result
