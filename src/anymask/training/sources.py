"""Where the images of a run come from: several sources with their shares, and what is held out for validation."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..dataset.formats import open_data
from ..dataset.sample import Sample
from ..dataset.sources.image_folder import open_images
from ..errors import ConfigError, DataError
from .config import Source, Validation


class Sources:
    """The samples to train on, by source, and those held out.

    Args:
        root: folder below which the sources lie.
        sources: name to source.
        images: most images that each gives to train on, drawn by the seed; 0 for all.
        seed: of that draw.
        validation: what is held out.

    Attributes:
        samples: name to the samples to train on.
        held_out: samples for validation, none of which is trained on.
    """

    def __init__(
        self,
        root: Path,
        sources: Mapping[str, Source],
        images: int = 0,
        seed: int = 0,
        validation: Validation | None = None,
    ) -> None:
        self.samples: dict[str, Sequence[Sample]] = {}
        self.held_out: Sequence[Sample] = []
        judged = validation if validation and validation.every else None
        for name, source in sources.items():
            samples = open_source(root, name, source)
            if judged and not judged.source and source.format != "images":
                out = np.array([is_held_out(sample, judged.share) for sample in samples], bool)
                self.held_out = [*self.held_out, *Part(samples, np.flatnonzero(out))]
                samples = Part(samples, np.flatnonzero(~out))
            if not samples:
                raise DataError(f"sources.{name}: no image is left to train on; lower validation.share")
            self.samples[name] = _some(samples, images, seed)
        if judged:
            if judged.source:
                self.held_out = open_source(root, "validation", judged.source)
                self._refuse_overlap()
            if not self.held_out:
                raise ConfigError("validation.share: holds no image out; raise it, or name a validation.source")
            self.held_out = _some(self.held_out, judged.images, seed)
        self._sets = list(self.samples.values())
        weights = np.array([source.share for source in sources.values()], np.float64)
        self.shares = weights / weights.sum()

    def _refuse_overlap(self) -> None:
        held = {(sample.where, sample.name) for sample in self.held_out}
        for name, samples in self.samples.items():
            both = next((sample for sample in samples if (sample.where, sample.name) in held), None)
            if both:
                raise ConfigError(
                    f"validation.source: {both.where} is also in sources.{name}; name data that is not trained on, or "
                    "leave validation.source out, and a share of each source is held out"
                )

    def draw(self, rng: np.random.Generator) -> Sequence[Sample]:
        """The samples of a source drawn by the shares."""
        return self._sets[rng.choice(len(self._sets), p=self.shares)]


class Part(Sequence[Sample]):
    """Some samples of many, by number: of millions, no more than the numbers is kept."""

    def __init__(self, samples: Sequence[Sample], numbers: NDArray[np.int64]) -> None:
        self._samples, self._numbers = samples, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Part: ...
    def __getitem__(self, index: int | slice) -> Sample | Part:
        if isinstance(index, slice):
            return Part(self._samples, self._numbers[index])
        return self._samples[int(self._numbers[index])]


def open_source(root: Path, name: str, source: Source) -> Sequence[Sample]:
    """The samples of a source below a root. Raises DataError, naming it, where they cannot be read."""
    path = root / (source.path or name)
    if source.format == "images":
        return open_images(path)
    images = root / source.images if source.images else None
    try:
        return open_data(path, source.format, images, **source.options)
    except DataError as error:
        raise DataError(f"sources.{name}: {error}") from None


def is_held_out(sample: Sample, share: float) -> bool:
    """Whether a sample is kept from training.

    By the image's name alone: an image stays on its side when others come or go.
    """
    return zlib.crc32(sample.name.encode()) / 2**32 < share


def _some(samples: Sequence[Sample], images: int, seed: int) -> Sequence[Sample]:
    """So many samples; a larger number holds those of a smaller one."""
    if not images:
        return samples
    return Part(samples, np.random.default_rng(seed).permutation(len(samples))[:images])
