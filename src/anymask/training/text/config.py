"""What the training of a text detector needs to know: a recipe, read from TOML."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...settings import build, check_types, read_toml, table
from ..config import Source, apply_change


@dataclass(frozen=True)
class TextSource(Source):
    """Images whose masks have categories, which are the names to learn."""

    views: int = 4
    """views of each image that are kept on disk: the first as it is, the others changed"""
    partly: bool = False
    """whether an image may hold more things of its categories than those that are marked"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views < 1:
            raise ConfigError(f"views: expected at least 1, got {self.views}")


@dataclass(frozen=True)
class TextRecipe:
    """A whole run."""

    model: str
    """name of the detector"""
    sources: dict[str, TextSource]
    """name of each source to its share or to a table"""
    steps: int
    """optimiser steps"""
    batch: int = 16
    """views per step"""
    names: int = 72
    """names that the cells of a step choose from: those of its views, and others drawn at random"""
    width: int = 192
    """channels of the detector's neck"""
    mixers: tuple[int, int] = (3, 1)
    """residual blocks of the neck at stride 32 and 16"""
    size: int = 512
    """side of the model frame, in pixels"""
    jitter: tuple[float, float] = (0.5, 1.8)
    """range of the factor by which an image is enlarged or made smaller in its views"""
    colour: float = 1.0
    """strength of changes of brightness, contrast and colour"""
    absent: tuple[str, ...] = ()
    """labels that an image shows only where its source has them"""
    vocabulary: str = ""
    """TOML file with other names of the labels; empty for the one inside the package"""
    plain: float = 0.5
    """share of the names that stand alone; the others are in a sentence"""
    distil: float = 0.25
    """weight of what the ImageNet classifier says of a cell, by its thousand classes' names"""
    sentences: float = 0.25
    """weight of a sentence meaning its noun"""
    dropout: float = 0.0
    """share of the backbone's channels that are dropped while the neck learns"""
    held_out: float = 0.1
    """share of each source's images that the scores are calibrated on, and that are not trained on"""
    lr: float = 1e-3
    """peak learning rate"""
    weight_decay: float = 0.05
    """decoupled weight decay, on matrices alone"""
    warmup: int = 100
    """steps of linear warm-up; then the rate comes down by half a cosine"""
    clip: float = 2.0
    """largest norm of the gradient"""
    bf16: bool = True
    """compute the neck in bfloat16"""
    seed: int = 0
    """of everything that is drawn"""
    validate_every: int = 400
    """steps between two looks at the held-out images; 0 for none"""
    save_every: int = 100
    """steps between checkpoints"""
    log_every: int = 10
    """steps between lines of the log"""

    def __post_init__(self) -> None:
        check_types(self)
        sources = {name: _source(name, value) for name, value in self.sources.items()}
        object.__setattr__(self, "sources", sources)
        if not sources or not sum(source.share for source in sources.values()):
            raise ConfigError("sources: expected at least one with a share above 0")
        for name in ("steps", "batch", "width", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.names < 2 or self.size < 64 or self.size % 32:
            raise ConfigError("expected at least 2 names, and a size that is a multiple of 32, 64 or more")
        if not 0 < self.jitter[0] <= self.jitter[1] or self.colour < 0:
            raise ConfigError("expected a jitter from low to high and a colour that is not negative")
        if not (0 <= self.plain <= 1 and 0 <= self.dropout < 1 and 0 < self.held_out < 1) or self.lr <= 0:
            raise ConfigError("expected plain from 0 to 1, dropout below 1, held_out between 0 and 1, lr above 0")
        if (
            min(self.distil, self.sentences, self.weight_decay, self.warmup, self.clip, self.seed) < 0
            or self.validate_every < 0
        ):
            raise ConfigError(
                "expected distil, sentences, weight_decay, warmup, clip, seed and validate_every not negative"
            )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return dataclasses.asdict(self)


def read_text_recipe(path: str | Path, changes: Iterable[str] = ()) -> TextRecipe:
    """Read a TOML recipe and apply changes such as "lr=1e-4" (values in TOML's syntax).

    Raises ConfigError for a missing file, broken TOML, an unknown key or a wrong value.
    """
    record = read_toml(path)
    for change in changes:
        apply_change(record, change)
    try:
        recipe: TextRecipe = build(TextRecipe, record)
        return recipe
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _source(name: str, value: Any) -> TextSource:
    if isinstance(value, TextSource):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = {"share": float(value)}
    source: TextSource = table({f"sources.{name}": value}, f"sources.{name}", TextSource)
    return source
