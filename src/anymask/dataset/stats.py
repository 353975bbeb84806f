"""What a set holds, as the paper describes SA-1B: how many masks, how large, where they lie and how they bend (§5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..processes import chunks, spread
from ..task.measure import measure
from .problems import Problems, Progress
from .sample import Sample

Counts = NDArray[np.int64]

SIZES, CONCAVITIES, CELLS = 50, 50, 64
"""bins of relative sizes and of concavities, from 0 to 1, and cells of a side of the map of centres"""
CHUNK = 32
"""images that are counted at once"""
IMAGE_KEYS = {"countries": "country", "income_groups": "income_group", "regions": "region"}
MASK_KEYS = {"categories": "category", "annotators": "annotator"}
"""what is counted by name, and the key that it is under in the record of an image, or of a mask"""


def _names() -> dict[str, Counter[str]]:
    return {kind: Counter() for kind in (*MASK_KEYS, *IMAGE_KEYS)}


@dataclass
class Stats:
    """Counts of a set, or of a part of it. Crowd regions are no objects and are counted alone.

    Attributes:
        images: number of images.
        masks: number of masks of objects.
        empty: of these, masks without a pixel, which are nowhere else counted.
        crowds: number of crowd regions.
        masks_per_image: how many images have how many masks.
        size_concavity: SIZES×CONCAVITIES masks by relative size, the square root of the mask's share of its image, and
            by concavity, the share of its convex hull that it leaves open.
        centres: CELLS×CELLS masks, (row, column), by the place of their centre in the image.
        image_sizes: how many images have which (width, height).
        names: how many masks are of each category and annotator, and images of each country, income group and region.
        size_sum: of the relative sizes.
        concavity_sum: of the concavities.
    """

    images: int = 0
    masks: int = 0
    empty: int = 0
    crowds: int = 0
    masks_per_image: Counter[int] = field(default_factory=Counter)
    size_concavity: Counts = field(default_factory=lambda: np.zeros((SIZES, CONCAVITIES), np.int64))
    centres: Counts = field(default_factory=lambda: np.zeros((CELLS, CELLS), np.int64))
    image_sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(default_factory=_names)
    size_sum: float = 0.0
    concavity_sum: float = 0.0

    def add(self, sample: Sample) -> None:
        """Count an image. Raises DataError, with nothing counted, where a mask is none, or not of the image's size."""
        (height, width), annotations = sample.size, sample.annotations
        found = [sample.read_mask(annotation, measure) for annotation in annotations]
        image = sample.record["image"]
        self.images += 1
        self.masks += len(annotations)
        self.crowds += len(sample.record["annotations"]) - len(annotations)
        self.masks_per_image[len(annotations)] += 1
        self.image_sizes[width, height] += 1
        for kind, key in IMAGE_KEYS.items():
            if image.get(key) is not None:
                self.names[kind][str(image[key])] += 1
        for kind, key in MASK_KEYS.items():
            self.names[kind].update(str(each[key]) for each in annotations if each.get(key) is not None)
        full = [each for each in found if each.area]
        self.empty += len(found) - len(full)
        if full:
            areas, hulls = np.array([(each.area, each.hull_area) for each in full]).T
            self._bin(np.sqrt(areas / (height * width)), 1 - areas / hulls)
            x, y = (np.array([each.centre for each in full]) / (width, height)).T
            np.add.at(self.centres, (_bins(y, CELLS), _bins(x, CELLS)), 1)

    def _bin(self, sizes: NDArray[np.float64], concavities: NDArray[np.float64]) -> None:
        np.add.at(self.size_concavity, (_bins(sizes, SIZES), _bins(concavities, CONCAVITIES)), 1)
        self.size_sum += float(sizes.sum())
        self.concavity_sum += float(concavities.sum())

    def merge(self, other: Stats) -> None:
        """Add the counts of another part."""
        for name in ("images", "masks", "empty", "crowds", "size_sum", "concavity_sum", "size_concavity", "centres"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.masks_per_image.update(other.masks_per_image)
        self.image_sizes.update(other.image_sizes)
        for kind, counts in other.names.items():
            self.names[kind].update(counts)

    def summary(self) -> dict[str, Any]:
        """All counts and the figures that follow from them, JSON-ready."""
        full = max(self.masks - self.empty, 1)
        by_sides = sorted(self.image_sizes.items(), key=lambda item: (-item[1], item[0]))
        return {
            "images": self.images,
            "masks": self.masks,
            "empty_masks": self.empty,
            "crowd_regions": self.crowds,
            "masks_per_image": {
                "mean": self.masks / max(self.images, 1),
                "median": _median(self.masks_per_image),
                "counts": {str(number): times for number, times in sorted(self.masks_per_image.items())},
            },
            "relative_size": {"mean": self.size_sum / full, "counts": self.size_concavity.sum(1).tolist()},
            "concavity": {"mean": self.concavity_sum / full, "counts": self.size_concavity.sum(0).tolist()},
            "centres": self.centres.tolist(),
            "image_sizes": {f"{width}×{height}": times for (width, height), times in by_sides},
            **{kind: dict(counts.most_common()) for kind, counts in self.names.items()},
        }


def gather(
    samples: Sequence[Sample],
    workers: int = 1,
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> Stats:
    """The counts of a set, in one pass; no mask is decoded, and memory does not grow with the images.

    Args:
        samples: of any source.
        workers: processes.
        problems: takes what is wrong with samples, which are then not counted.
        progress: called now and then.

    Raises DataError for a sample that is wrong, unless `problems` keep going.
    """
    problems = problems or Problems()
    total, done = Stats(), 0
    for part, faults, images in spread(partial(_count, problems.keep_going), chunks(samples, CHUNK), workers):
        total.merge(part)
        problems.found += faults
        done += images
        if progress:
            progress(done, len(samples))
    return total


def same_sizes(stats: Sequence[Stats]) -> list[NDArray[np.float64]]:
    """For each set the share of masks in each bin of concavity, had all sets their masks' sizes alike.

    As the paper's figure 6 does by drawing masks, for larger ones are more concave: bins of size count by their mean
    share in the sets, those that are empty in a set for none.
    """
    tables = [each.size_concavity.astype(np.float64) for each in stats]
    shared = np.all([table.sum(1) > 0 for table in tables], axis=0)
    if not shared.any():
        shared = np.ones(SIZES, bool)
    weights = np.mean([table.sum(1) / max(table.sum(), 1) for table in tables], axis=0) * shared
    weights /= max(weights.sum(), 1e-12)
    return [weights @ (table / np.maximum(table.sum(1, keepdims=True), 1)) for table in tables]


def _count(keep_going: bool, samples: Sequence[Sample]) -> tuple[Stats, list[str], int]:
    """The counts of some samples, what was wrong with others, and how many they were together."""
    stats, problems = Stats(), Problems(keep_going)
    for sample in samples:
        with problems.noted():
            stats.add(sample)
        sample.forget()
    return stats, problems.found, len(samples)


def _bins(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Of `count` bins from 0 to 1 that of each value; 1 itself is in the last."""
    return (values * count).astype(np.int64).clip(0, count - 1)


def _median(counts: Mapping[int, int]) -> float:
    if not counts:
        return 0.0
    numbers = sorted(counts)
    ends = np.cumsum([counts[number] for number in numbers])
    low, high = np.searchsorted(ends, [(ends[-1] + 1) // 2, ends[-1] // 2 + 1])
    return (numbers[low] + numbers[high]) / 2
