"""Where the images of a run come from: several sources with their shares, and what is held out for validation."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

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
        self.samples: dict[str, list[Sample]] = {}
        self.held_out: list[Sample] = []
        for name, source in sources.items():
            samples = _open(root, name, source)
            if validation and validation.every and not validation.source and source.format != "images":
                held = [sample for sample in samples if _is_held_out(sample, validation.share)]
                self.held_out += held
                samples = [sample for sample in samples if not _is_held_out(sample, validation.share)]
            if not samples:
                raise DataError(f"sources.{name}: no image is left to train on; lower validation.share")
            self.samples[name] = _some(samples, images, seed)
        if validation and validation.every:
            if validation.source:
                self.held_out = _open(root, validation.source, Source())
            if not self.held_out:
                raise ConfigError("validation.share: holds no image out; raise it, or name a validation.source")
            self.held_out = _some(self.held_out, validation.images, seed)
        self._sets = list(self.samples.values())
        weights = np.array([source.share for source in sources.values()], np.float64)
        self.shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Sample:
        """A sample of a source drawn by the shares."""
        source = self._sets[rng.choice(len(self._sets), p=self.shares)]
        return source[rng.integers(len(source))]


def _open(root: Path, name: str, source: Source) -> list[Sample]:
    if source.format == "images":
        return open_images(root / (source.path or name))
    images = root / source.images if source.images else None
    return open_data(root / (source.path or name), source.format, images)


def _is_held_out(sample: Sample, share: float) -> bool:
    """By the image's name alone: an image stays on its side when others come or go."""
    return zlib.crc32(sample.name.encode()) / 2**32 < share


def _some(samples: list[Sample], images: int, seed: int) -> list[Sample]:
    """So many samples; a larger number holds those of a smaller one."""
    if not images:
        return samples
    return [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))[:images]]
