"""Whether it works as well for everyone: mean IoU by group of people, with intervals that tell chance apart (§6)."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

from ..dataset.sample import Object
from ..errors import ConfigError, DataError
from .clicker import Sampling
from .points import Points
from .protocol import EvaluationProtocol, LabelledImage, Metric, Row, Segmenter
from .summaries import at, clicks_in_words, mean


@dataclass(frozen=True)
class Fairness(EvaluationProtocol):
    """Mean IoU of each group at 1 and 3 clicks, and which groups' intervals do not overlap."""

    group: str
    """the column that tells the group: a key of the annotation, of its `attributes`, or a column of `table`"""
    table: str = ""
    """CSV file with the columns `image` (the image's name), `id` (the object's) and the group's; empty for none"""
    clicks: tuple[int, ...] = (1, 3)
    """after how many clicks the masks are judged"""
    sampling: Sampling = "random"
    """where the first click lies in the object; the paper draws it at random here"""

    name: ClassVar[str] = "fairness"

    def __post_init__(self) -> None:
        super().__post_init__()
        Points(self.clicks, self.sampling)  # raises for what it does not take

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """The rows of the points' protocol with the `group`, for the objects that are in one."""
        groups = {target.id: self._group(image, target) for target in image.objects}
        some = [target for target in image.objects if groups[target.id]]
        chosen = LabelledImage(image.name, image.pixels, some, image.record)
        rows = Points(self.clicks, self.sampling).evaluate(subject, chosen)
        return [{**row, "group": groups[row["id"]]} for row in rows]

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Means by group, and a flag with the gap for each pair of groups whose intervals do not overlap."""
        if not rows:
            raise DataError(f"--group {self.group}: no object has such a value; see the keys of the annotations")
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row["group"]].append(row)
        for click in self.clicks:
            means = {
                group: mean(
                    f"{self.group} {group}, {clicks_in_words(click)}, mean IoU",
                    groups[group],
                    at("iou", str(click)),
                )
                for group in sorted(groups)
            }
            yield from means.values()
            for a, b in _apart(means):
                gap = abs(means[a].value - means[b].value)
                yield Metric(f"⚑ {a} and {b} differ, {clicks_in_words(click)}: intervals do not overlap, gap", gap)
        for group in sorted(groups):
            yield Metric(f"objects, {self.group} {group}", len(groups[group]))

    def _group(self, image: LabelledImage, target: Object) -> str | None:
        """The group that an object is in; None where it says nothing."""
        if self.table:
            return _read_table(self.table, self.group).get((image.name, str(target.id)))
        places: list[Any] = [target.record, target.record.get("attributes"), image.record.get("image")]
        for place in places:
            if isinstance(place, Mapping) and place.get(self.group) not in (None, ""):
                return str(place[self.group])
        return None


def _apart(means: Mapping[str, Metric]) -> Iterator[tuple[str, str]]:
    """The pairs of groups whose intervals have nothing in common."""
    for a, b in combinations(means, 2):
        first, second = means[a].interval, means[b].interval
        if first and second and (first[1] < second[0] or second[1] < first[0]):
            yield a, b


@lru_cache(maxsize=1)
def _read_table(path: str, column: str) -> dict[tuple[str, str], str]:
    """The groups by image and object. Raises ConfigError where the file has no such columns."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"image", "id", column} - set(reader.fieldnames or ())
            if missing:
                raise ConfigError(f"{path}: has no column {', '.join(sorted(missing))}; expected image, id, {column}")
            return {(row["image"], row["id"]): row[column] for row in reader if row[column]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); expected a CSV file") from None
