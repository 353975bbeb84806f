"""Clicks at the centre of each object, and then at the centre of the largest error: mean IoU (§7.1, D.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np

from ..errors import ConfigError
from ..settings import refuse_unknown
from ..task.metrics import boundary_iou
from .baselines import Disc, Felzenszwalb
from .clicker import AT_ONCE, Sampling, Session, click_through
from .protocol import Baselines, EvaluationProtocol, LabelledImage, Metric, Row, Segmenter
from .summaries import at, by_category, by_size, clicks_in_words, mean, object_rows


@dataclass(frozen=True)
class Points(EvaluationProtocol):
    """Mean IoU of the best-scored mask after each number of clicks, and of the best of three after the first."""

    clicks: tuple[int, ...] = (1, 2, 3, 5, 9)
    """after how many clicks the masks are judged"""
    sampling: Sampling = "centre"
    """where the first click lies in the object"""

    name: ClassVar[str] = "points"
    baselines: ClassVar[Baselines] = {"disc": Disc, "felzenszwalb": Felzenszwalb}

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unknown([self.sampling], get_args(Sampling), "sampling")
        if not self.clicks or min(self.clicks) < 1:
            raise ConfigError(f"clicks: expected numbers of 1 or more, got {self.clicks}")
        object.__setattr__(self, "clicks", tuple(sorted(set(self.clicks))))

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """A row an object: `iou` and `boundary_iou` by number of clicks, and of the first click the `oracle`, which is
        the best IoU of the three masks, and the `predicted` IoU of the best scored."""
        rows = object_rows(image)
        if rows:
            subject.set_image(image.pixels)
        for start in range(0, len(rows), AT_ONCE):
            objects = image.objects[start : start + AT_ONCE]
            rounds = click_through(subject, image.name, objects, self.clicks[-1], self.sampling)
            for click, sessions in enumerate(rounds, start=1):
                for row, session in zip(rows[start:], sessions, strict=False):
                    self._judge(row, session, click)
        return rows

    def _judge(self, row: Row, session: Session, click: int) -> None:
        if click == 1:
            row |= {"iou": {}, "boundary_iou": {}, "oracle": float(session.ious.max()), "predicted": session.score}
        if click in self.clicks:
            row["iou"][str(click)] = session.iou
            counted = session.target.counted
            row["boundary_iou"][str(click)] = boundary_iou(counted(session.mask), counted(session.target.mask))

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Means over all objects, by size and by category, and the correlation of predicted with true IoU."""
        for click in self.clicks:
            answer = "1 click, best-scored mask" if click == 1 else clicks_in_words(click)
            yield mean(f"{answer}, mean IoU", rows, at("iou", str(click)))
        yield mean("1 click, best of three, mean IoU", rows, at("oracle"))
        for click in self.clicks:
            figure = at("boundary_iou", str(click))
            yield mean(f"{clicks_in_words(click)}, boundary IoU", rows, figure, detail=click not in (1, 3))
        first = self.clicks[0]
        yield from by_size(f"{clicks_in_words(first)}, mean IoU", rows, at("iou", str(first)))
        if first == 1:
            yield from _correlation(rows)
        yield Metric("objects", len(rows))
        yield from by_category(f"{clicks_in_words(first)}, mean IoU", rows, at("iou", str(first)))


def _correlation(rows: Sequence[Row]) -> Iterator[Metric]:
    """Pearson's correlation of the predicted IoU with the true one, where both vary."""
    pairs = np.array([[row["predicted"], row["iou"]["1"]] for row in rows]).T
    if (np.ptp(pairs, axis=1) > 0).all():
        yield Metric("correlation of predicted with true IoU", float(np.asarray(np.corrcoef(pairs))[0, 1]))
