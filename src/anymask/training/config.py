"""What a training run needs to know: a recipe, read from TOML and changed by key=value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..settings import check_types, field_names, parse_value, read_toml, refuse_unknown, tables


@dataclass(frozen=True)
class Stage:
    """A part of the run at one input size."""

    size: int
    """side of the model frame, in pixels"""
    steps: int
    """optimiser steps"""
    batch: int
    """images per step"""
    objects: int
    """objects per image"""
    spread: float = 0.0
    """share of an ambiguous prompt's loss that all three masks bear alike, and not the best one alone"""

    def __post_init__(self) -> None:
        check_types(self)
        if min(self.steps, self.batch, self.objects) < 1 or self.size < 32 or self.size % 32:
            raise ConfigError(f"stage: expected positive counts and a size that is a multiple of 32, got {self}")


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    model: str
    """name of the architecture in the registry"""
    sources: dict[str, float]
    """folder of each source below the data's root, and its share of the images"""
    stages: tuple[Stage, ...]
    """one after another"""
    images: int = 0
    """most images that each source gives, drawn by the seed; 0 for all"""
    start: str = ""
    """"lite0" for ImageNet weights in a light encoder, a checkpoint's path, or empty for random weights"""
    rounds: int = 2
    """rounds of prompts per object: the first one, and then corrections"""
    lr: float = 6e-4
    """peak learning rate"""
    encoder_lr: float = 0.4
    """learning rate of the encoder's backbone, relative to `lr`"""
    weight_decay: float = 0.05
    """decoupled weight decay, on matrices alone"""
    warmup: int = 100
    """steps of linear warm-up"""
    clip: float = 1.0
    """largest norm of the gradient"""
    bf16: bool = True
    """compute in bfloat16 where that is safe"""
    seed: int = 0
    """of everything that is drawn"""
    workers: int = 1
    """processes that prepare images"""
    save_every: int = 100
    """steps between checkpoints"""
    log_every: int = 10
    """steps between lines of the log"""

    def __post_init__(self) -> None:
        check_types(self)
        if not self.stages:
            raise ConfigError("stages: expected at least one, written [[stages]]")
        if self.lr <= 0 or self.rounds < 1:
            raise ConfigError(f"expected lr > 0 and rounds ≥ 1, got lr={self.lr} rounds={self.rounds}")
        if min(self.save_every, self.log_every) < 1 or min(self.workers, self.warmup, self.seed, self.images) < 0:
            raise ConfigError("expected save_every, log_every at least 1; images, workers, warmup, seed not negative")
        for name, share in self.sources.items():
            if isinstance(share, bool) or not isinstance(share, (int, float)):
                raise ConfigError(f"sources.{name}: expected a number, the source's share, got {share!r}")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return dataclasses.asdict(self)


def read_recipe(path: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a TOML recipe and apply changes such as "lr=1e-4" or "sources.coco=0.5" (values in TOML's syntax).

    Raises ConfigError for a missing file, broken TOML, an unknown key or a wrong value.
    """
    record = read_toml(path)
    for change in changes:
        _apply(record, change)
    try:
        refuse_unknown(record, field_names(Recipe))
        stages = tuple(Stage(**stage) for stage in tables(record, "stages", Stage))
        return Recipe(**{**record, "stages": stages})
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _apply(record: dict[str, Any], change: str) -> None:
    key, separator, value = change.partition("=")
    if not separator:
        raise ConfigError(f"{change!r}: expected key=value")
    *parents, last = key.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
        if not isinstance(record, dict):
            raise ConfigError(f"{change!r}: {parent} holds no further keys")
    record[last] = parse_value(value)
