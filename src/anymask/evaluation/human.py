"""The human study of mask quality: masks to be rated are drawn, and what people gave them is read back (§7.1, E)."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import ConfigError, DataError
from .protocol import Metric
from .statistics import mean_interval
from .summaries import SIZES

GROUND_TRUTH = "ground truth"
"""the source of the masks that came with the data"""
GOOD = 7
"""from this rating on, errors are small and few"""


@dataclass(frozen=True)
class Entry:
    """What is known of a mask, and hidden from the rater.

    Attributes:
        source: who made it: a model's name, or `GROUND_TRUTH`.
        data: the data set.
        object_id: unique in the data set, and the same for the masks that all sources made of one object.
        area: pixels of the object, by the ground truth.
    """

    source: str
    data: str
    object_id: str
    area: int

    @property
    def object(self) -> tuple[str, str]:
        """Data set and id."""
        return self.data, self.object_id

    @property
    def size(self) -> str:
        """COCO's size class: small, medium or large."""
        return next(size for size, (low, high) in SIZES.items() if low <= self.area < high)


@dataclass(frozen=True)
class Rating:
    """What a rater gave a mask, 1 to 10, and the seconds that it took."""

    rater: str
    entry: Entry
    value: int
    seconds: float


E = TypeVar("E", bound=Entry)


def draw(entries: Iterable[E], objects: int, seed: int = 0) -> list[E]:
    """Draw objects, each with its mask from every source, so that all sources are judged on the same.

    The objects are spread evenly over the data sets, and within each over the size classes, as far as there are any.
    The order of `entries` does not matter. Raises ConfigError for fewer than one object, and DataError for two masks of
    one object from the same source, and where fewer objects have a mask from every source.
    """
    if objects < 1:
        raise ConfigError(f"count: expected at least 1 object, got {objects}")
    complete = _complete(entries)
    if len(complete) < objects:
        raise DataError(
            f"{len(complete)} objects have a mask from every source, {objects} were asked for; ask for fewer"
        )
    rng = random.Random(seed)
    keys = sorted(complete)
    rng.shuffle(keys)
    waiting: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        waiting[key[0]][complete[key][0].size].append(key)
    drawn: Counter[Any] = Counter()
    chosen: list[E] = []
    for _ in range(objects):
        data = min((name for name, sizes in waiting.items() if any(sizes.values())), key=lambda name: drawn[name])
        size = min((size for size, left in waiting[data].items() if left), key=lambda size: drawn[data, size])
        drawn.update([data, (data, size)])
        chosen += complete[waiting[data][size].pop()]
    return chosen


def _complete(entries: Iterable[E]) -> dict[tuple[str, str], list[E]]:
    """The masks of each object that every source has one of, in the order of the sources' names."""
    masks: dict[tuple[str, str], dict[str, E]] = defaultdict(dict)
    for entry in entries:
        if entry.source in masks[entry.object]:
            raise DataError(
                f"{entry.data}: two masks of object {entry.object_id} are from {entry.source}; leave one out"
            )
        masks[entry.object][entry.source] = entry
    sources = sorted({source for each in masks.values() for source in each})
    return {key: [each[source] for source in sources] for key, each in masks.items() if len(each) == len(sources)}


def read_ratings(paths: Iterable[str | Path], key_path: str | Path) -> list[Rating]:
    """The ratings of several raters, a file each, with what the key says of their masks.

    A rater need not have rated all. Raises DataError, naming file and mask, for a file that is none, for ratings of
    another study or of an unknown mask, for those not 1 to 10, and for two files by one rater.
    """
    study, entries = _read_key(Path(key_path))
    ratings: list[Rating] = []
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        record = _read(path, {"study": str, "rater": str, "ratings": dict}, "the ratings that the page saves")
        if record["study"] != study:
            raise DataError(f"{path}: rates study {record['study']}, the key {key_path} is of {study}; use its own key")
        rater = record["rater"].strip()
        if not rater:
            raise DataError(f"{path}: has no rater; write a name under 'rater'")
        if rater in files:
            raise DataError(f"{path}: is by {rater}, as is {files[rater]}; leave one out, or give each rater a name")
        files[rater] = path
        for number, given in record["ratings"].items():
            if number not in entries:
                raise DataError(f"{path}: mask {number} is not in the key {key_path}; remove it")
            ratings.append(Rating(rater, entries[number], *_checked(given, f"{path}: mask {number}")))
    return ratings


def _read_key(path: Path) -> tuple[str, dict[str, Entry]]:
    """The study's id, and what each mask's id stands for."""
    record = _read(path, {"study": str, "items": dict}, "the key that was written with the page")
    entries = {}
    for number, fields in record["items"].items():
        kinds = {"source": str, "data": str, "object_id": str, "area": int}
        if not isinstance(fields, dict) or {name: type(value) for name, value in fields.items()} != kinds:
            raise DataError(f"{path}: mask {number}: expected source, data, object_id and area; write the page anew")
        entries[number] = Entry(**fields)
    return record["study"], entries


def _read(path: Path, fields: dict[str, type], what: str) -> dict[str, Any]:
    """A JSON record that has these fields of these types."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); expected {what}") from None
    if not isinstance(record, dict) or not all(isinstance(record.get(name), kind) for name, kind in fields.items()):
        raise DataError(f"{path}: expected {what}, a record with {', '.join(fields)}")
    return record


def _checked(given: Any, where: str) -> tuple[int, float]:
    """Rating and seconds of one mask."""
    if not isinstance(given, dict):
        raise DataError(f"{where}: expected a record with rating and seconds, got {given!r}")
    value, seconds = given.get("rating"), given.get("seconds")
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10:
        raise DataError(f"{where}: expected a whole rating from 1 to 10, got {value!r}")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
        raise DataError(f"{where}: expected seconds of at least 0, got {seconds!r}")
    return value, float(seconds)


def summarise(ratings: Sequence[Rating]) -> Iterator[Metric]:
    """Mean rating of each source, how sources differ on the same objects, and how far raters agree (figure 9c).

    Intervals are drawn over objects. A difference is taken within each rater's ratings of one object. Raises DataError
    for no ratings.
    """
    if not ratings:
        raise DataError("no ratings; expected at least one file with some")
    by_source = _grouped(ratings, lambda rating: rating.entry.source)
    sources = sorted(by_source, key=lambda source: (source == GROUND_TRUTH, source))
    for source in sources:
        yield _mean(f"{source}, mean rating", by_source[source], lambda rating: rating.value)
    for source in sources:
        yield _mean(f"{source}, share rated {GOOD} or more", by_source[source], lambda rating: rating.value >= GOOD)
    for first, second in combinations(sources, 2):
        yield from _difference(first, second, by_source)
    names = sorted({rating.entry.data for rating in ratings})
    for data in names if len(names) > 1 else ():
        for source in sources:
            some = [rating for rating in by_source[source] if rating.entry.data == data]
            if some:
                yield _mean(f"{source}, mean rating, {data}", some, lambda rating: rating.value)
    yield from _agreement(ratings)
    yield Metric("median seconds to rate a mask", float(np.median([rating.seconds for rating in ratings])), detail=True)
    yield Metric("raters", len({rating.rater for rating in ratings}))
    yield Metric("ratings", len(ratings))
    yield Metric("objects", len({rating.entry.object for rating in ratings}))


def _grouped(ratings: Iterable[Rating], key: Callable[[Rating], Any]) -> dict[Any, list[Rating]]:
    groups: dict[Any, list[Rating]] = defaultdict(list)
    for rating in ratings:
        groups[key(rating)].append(rating)
    return groups


def _mean(name: str, ratings: Sequence[Rating], figure: Callable[[Rating], float]) -> Metric:
    values = [float(figure(rating)) for rating in ratings]
    return Metric(name, float(np.mean(values)), mean_interval(values, [rating.entry.object for rating in ratings]))


def _difference(first: str, second: str, by_source: dict[str, list[Rating]]) -> Iterator[Metric]:
    """The mean of what a rater gave more to the first source than to the second, for the same object."""
    one, other = ({(r.rater, r.entry.object): r.value for r in by_source[source]} for source in (first, second))
    shared = sorted(one.keys() & other.keys())
    if shared:
        values = [float(one[key] - other[key]) for key in shared]
        interval = mean_interval(values, [thing for _, thing in shared])
        yield Metric(f"{first} minus {second}, mean difference on the same object", float(np.mean(values)), interval)


def _agreement(ratings: Sequence[Rating]) -> Iterator[Metric]:
    """The mean absolute difference between two raters on the same mask, over all pairs of raters."""
    values, things = [], []
    for entry, given in _grouped(ratings, lambda rating: rating.entry).items():
        for a, b in combinations(given, 2):
            values.append(float(abs(a.value - b.value)))
            things.append(entry.object)
    if values:
        yield Metric("mean absolute difference between raters", float(np.mean(values)), mean_interval(values, things))
