"""Which images and masks of a set go into another: by what they are, or by chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from ..errors import ConfigError
from ..task import rle
from .sample import Record, Sample


@dataclass(frozen=True)
class Filter:
    """What masks and images have to be to stay; a mask without the figure that is asked for does not."""

    categories: Sequence[str] = ()
    """patterns of categories, of which one has to match"""
    without: Sequence[str] = ()
    """patterns of categories, none of which may match"""
    min_area: float = 0
    """pixels; below 1, share of the image"""
    max_area: float = float("inf")
    """pixels; up to 1, share of the image"""
    min_iou: float | None = None
    """the predicted IoU"""
    min_stability: float | None = None
    """the stability score"""
    names: Sequence[str] = ()
    """patterns of images' names, of which one has to match"""
    min_masks: int = 1
    """masks that an image has to have left"""
    max_masks: int | None = None
    """masks that an image may have left"""

    def __post_init__(self) -> None:
        if self.min_area > self.max_area and (self.min_area < 1) == (self.max_area <= 1):
            raise ConfigError(f"min_area {self.min_area:g}: is over max_area {self.max_area:g}; no mask is both")

    def __call__(self, sample: Sample) -> Sample | None:
        """The sample with the masks that stay, or None where it does not."""
        if self.names and not any(fnmatch(sample.name, pattern) for pattern in self.names):
            return None
        kept = [each for each in sample.record["annotations"] if self._keeps(sample, each)]
        if len(kept) < self.min_masks or (self.max_masks is not None and len(kept) > self.max_masks):
            return None
        return sample.with_annotations(kept)

    def _keeps(self, sample: Sample, annotation: Record) -> bool:
        category = str(annotation.get("category") or "")
        if self.categories and not any(fnmatch(category, pattern) for pattern in self.categories):
            return False
        if any(fnmatch(category, pattern) for pattern in self.without):
            return False
        for key, least in (("predicted_iou", self.min_iou), ("stability_score", self.min_stability)):
            score = annotation.get(key)
            if least is not None and not (isinstance(score, (int, float)) and score >= least):
                return False
        if self.min_area <= 0 and self.max_area == float("inf"):
            return True
        area, pixels = sample.read_mask(annotation, rle.area), sample.size[0] * sample.size[1]
        least = self.min_area * (pixels if self.min_area < 1 else 1)
        most = self.max_area * (pixels if self.max_area <= 1 else 1)
        return least <= area <= most


def choose(samples: Sequence[Sample], images: int, seed: int = 0) -> list[Sample]:
    """So many samples by chance, in their order. Raises ConfigError where there are fewer."""
    if not 0 < images <= len(samples):
        raise ConfigError(f"images {images}: expected 1 to {len(samples)}, for as many there are")
    return [samples[i] for i in sorted(random.Random(seed).sample(range(len(samples)), images))]
