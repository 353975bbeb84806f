"""Several sets as one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .sample import Sample


def merged(sets: Mapping[Path, Sequence[Sample]]) -> list[Sample]:
    """The samples of several sets, in order; those that share a name are named after their sets, too.

    `sets` has the path that each was opened by; of that the set's name is what tells it from the others.
    """
    times = Counter(sample.name for samples in sets.values() for sample in samples)
    names = names_of(list(sets))
    return [
        replace(sample, name=f"{name}/{sample.name}") if times[sample.name] > 1 else sample
        for name, samples in zip(names, sets.values(), strict=True)
        for sample in samples
    ]


def names_of(paths: Sequence[Path]) -> list[str]:
    """What tells paths apart: as little of their ends as that takes."""
    whole = [Path(os.path.abspath(path)).with_suffix("").parts[1:] for path in paths]
    for length in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-length:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return [str(number) for number in range(len(paths))]


class OwnIds:
    """Gives samples whose image_id no earlier one has: where one repeats, the sample's name takes its place."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def __call__(self, sample: Sample) -> Sample:
        """The sample with an image_id of its own."""
        image = sample.record["image"]
        number = image.get("image_id")
        if isinstance(number, (int, str)) and number in self._seen:
            return sample.with_record({**sample.record, "image": {**image, "image_id": sample.name}})
        self._seen.add(number if isinstance(number, (int, str)) else None)
        return sample
