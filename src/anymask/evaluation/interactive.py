"""Clicks until the mask is good: how many it takes (NoC), and the IoU after each (Sofiiuk et al., 2021; D.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..errors import ConfigError
from ..task.metrics import number_of_clicks
from .baselines import Disc, Felzenszwalb
from .clicker import AT_ONCE, click_through
from .protocol import Baselines, EvaluationProtocol, LabelledImage, Metric, Row, Segmenter
from .summaries import at, clicks_in_words, mean, object_rows


@dataclass(frozen=True)
class Interactive(EvaluationProtocol):
    """NoC@85 and NoC@90, where an object that never gets there counts as the most clicks, and how many those are."""

    clicks: int = 20
    """most clicks an object gets"""

    name: ClassVar[str] = "interactive"
    baselines: ClassVar[Baselines] = {"disc": Disc, "felzenszwalb": Felzenszwalb}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clicks < 1:
            raise ConfigError(f"clicks: expected at least 1, got {self.clicks}")

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """A row an object: `ious`, after each click."""
        rows = [{**row, "ious": []} for row in object_rows(image)]
        if rows:
            subject.set_image(image.pixels)
        for start in range(0, len(rows), AT_ONCE):
            for sessions in click_through(subject, image.name, image.objects[start : start + AT_ONCE], self.clicks):
                for row, session in zip(rows[start:], sessions, strict=False):
                    row["ious"].append(session.iou)
        return rows

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Clicks to reach an IoU of .85 and of .90, failures to, and the mean IoU after each number of clicks."""
        for percent in (85, 90):
            needed = [number_of_clicks(row["ious"], percent / 100) for row in rows]
            counted = [{**row, "noc": clicks or self.clicks} for row, clicks in zip(rows, needed, strict=True)]
            yield mean(f"NoC@{percent}", counted, at("noc"))
            yield Metric(f"failures over {self.clicks} clicks @{percent}", needed.count(None))
        for k in range(1, self.clicks + 1):
            shown = k in (1, 2, 3, 5, 10, self.clicks)
            yield mean(f"{clicks_in_words(k)}, mean IoU", rows, at("ious", k - 1), not shown)
        yield Metric("objects", len(rows))
