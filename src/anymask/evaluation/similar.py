"""Examples as prompts: how many of the masks most like one are of the same category (ours)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ConfigError, DataError
from ..predict.predictor import SamPredictor
from .protocol import EvaluationProtocol, LabelledImage, Metric, Row


@dataclass(frozen=True)
class Similar(EvaluationProtocol):
    """Precision among the masks most like each labelled mask, of all labelled masks in other images.

    Masks are the people's, so that only the likeness is judged. Chance is the precision of masks drawn at random.
    Objects without another of their category in another image are not asked about.
    """

    nearest: int = 5
    """masks that are looked at"""

    name: ClassVar[str] = "similar"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nearest < 1:
            raise ConfigError(f"nearest: expected at least 1, got {self.nearest}")

    def evaluate(self, subject: SamPredictor, image: LabelledImage) -> list[Row]:
        """A row an object: its category and what it shows."""
        named = [target for target in image.objects if target.category is not None]
        if not named:
            return []
        subject.set_image(image.pixels)
        shown = subject.finder.describe(np.stack([target.mask for target in named]))
        return [
            {"image": image.name, "id": target.id, "category": target.category, "shows": np.round(row, 5).tolist()}
            for target, row in zip(named, shown, strict=True)
        ]

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Precision among the nearest, and of chance."""
        if not rows:
            raise DataError("the labels name no categories; expected a category on the masks")
        shown = np.array([row["shows"] for row in rows])
        images, categories = (np.array([row[key] for row in rows]) for key in ("image", "category"))
        elsewhere = images[:, None] != images[None]
        same = (categories[:, None] == categories[None]) & elsewhere
        likeness = np.where(elsewhere, shown @ shown.T, -np.inf)
        asked = np.flatnonzero(same.any(axis=1))
        if not len(asked):
            raise DataError("no two images have an object of one category; expected some to look for")
        order = np.argsort(-likeness[asked], axis=1, kind="stable")[:, : self.nearest]
        precision = np.take_along_axis(same[asked], order, axis=1).mean(axis=1)
        chance = same[asked].sum(axis=1) / elsewhere[asked].sum(axis=1)
        yield Metric(f"precision@{self.nearest}", float(precision.mean()))
        yield Metric(f"precision@{self.nearest} by chance", float(chance.mean()))
        yield Metric("objects", len(asked))
