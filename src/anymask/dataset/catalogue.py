"""The data sets of the paper's evaluation: opened by name, and sampled as there (Table 7, D.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..errors import DataError
from .data_set import DataSet, Part
from .formats import open_data
from .other_sets import OTHER_SETS
from .sample import Sample
from .zero_shot_sets import ZERO_SHOT_SETS

CATALOGUE: dict[str, DataSet] = {one.name: one for one in ZERO_SHOT_SETS}
"""the 23 sets of Table 7"""

OTHERS: dict[str, DataSet] = {one.name: one for one in OTHER_SETS}
"""the sets of the other protocols"""

MASKS_SAMPLED = 10_000
"""about how many masks the paper took of a set with over 15 000 (D.1)"""


def find_set(name: str) -> DataSet:
    """A data set by name. Raises DataError, with the nearest names, for one that is not known."""
    known = CATALOGUE | OTHERS
    if name not in known:
        near = get_close_matches(name, known, n=3) or known
        raise DataError(f"{name!r}: no such data set in the catalogue; did you mean {', '.join(near)}?")
    return known[name]


def open_set(name: str, root: str | Path) -> list[Sample]:
    """The samples of a data set of the catalogue, all of its split, from the folder `root`/`name`.

    Raises DataError for a name that is not known; for a set that is not there, with what to get and where to put it;
    and whatever the loader of its format raises.
    """
    dataset = find_set(name)
    folder = Path(root) / dataset.name
    for part in dataset.parts:
        for place in (part.path, part.images):
            if place is not None and not (folder / place).exists():
                raise DataError(
                    f"{dataset.title}: {folder / place} is not there; get it from {dataset.home} and put it into "
                    f"{folder}: {dataset.layout}"
                )
    samples = [sample for part in dataset.parts for sample in _open_part(dataset, part, folder)]
    if len({sample.name for sample in samples}) < len(samples):
        raise DataError(f"{folder}: two images of its parts have one name; give each part a name of its own")
    return samples


def sample_as_paper(samples: Sequence[Sample], dataset: DataSet, seed: int = 0) -> list[Sample]:
    """As many images, drawn at random, as have about 10 000 masks; all of a set that the paper took whole (D.1).

    Only the images drawn are read. Which ones the paper drew is not known; the same seed draws the same here.
    """
    if not dataset.sampled:
        return list(samples)
    order = np.random.default_rng(seed).permutation(len(samples))
    chosen: list[int] = []
    masks = 0
    for index in order:
        if masks >= MASKS_SAMPLED:
            break
        found = len(samples[index].annotations)
        samples[index].forget()
        masks += found
        chosen += [int(index)] if found else []
    return [samples[index] for index in sorted(chosen)]


def _open_part(dataset: DataSet, part: Part, folder: Path) -> list[Sample]:
    images = None if part.images is None else folder / part.images
    samples = open_data(folder / part.path, dataset.format, images, **dataset.options)
    if not part.name:
        return list(samples)
    return [dataclasses.replace(sample, name=f"{part.name}/{sample.name}") for sample in samples]
