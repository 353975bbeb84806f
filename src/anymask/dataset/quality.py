"""How good the masks of a set are, by what can be told without a truth: scores, stray parts and holes (§5)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..processes import chunks, spread
from ..task import rle
from ..task.regions import region_sizes
from .problems import Problems, Progress
from .sample import Record, Sample

CHUNK = 16
"""images that are looked at at once"""


@dataclass(frozen=True)
class Limits:
    """What a mask has to be to pass; those of the paper's automatic masks (appendix B)."""

    predicted_iou: float = 0.88
    stability_score: float = 0.95
    region: int = 100
    """pixels; smaller parts and holes are stray"""


@dataclass
class Scores:
    """One of the scores over all masks that have it."""

    masks: int = 0
    total: float = 0.0
    least: float = float("inf")
    below: int = 0
    """masks under the limit"""

    def add(self, value: float, limit: float) -> None:
        """Count a mask."""
        self.masks += 1
        self.total += value
        self.least = min(self.least, value)
        self.below += value < limit

    def merge(self, other: Scores) -> None:
        """Add the counts of another part."""
        self.masks += other.masks
        self.total += other.total
        self.least = min(self.least, other.least)
        self.below += other.below


class Poor(NamedTuple):
    """A mask that is worth a look; the more limits it misses, and the lower its score, the larger.

    Attributes:
        missed: how many limits it misses.
        lack: by how much its lowest score is under 1; 0 where it has none.
        image: name of its image.
        id: of the mask.
        reasons: the limits that it misses.
    """

    missed: int
    lack: float
    image: str
    id: str
    reasons: tuple[str, ...]


COUNTED = ("several_parts", "with_holes", "stray_parts", "stray_holes", "small", "passing")
"""what masks are counted by"""


@dataclass
class Quality:
    """What was found of a set; crowd regions are left out.

    Attributes:
        images: looked at.
        masks: of these.
        scores: predicted IoU and stability.
        several_parts: masks of more than one 8-connected part.
        with_holes: masks with a hole.
        stray_parts: masks with a part that is under the limit, besides the largest.
        stray_holes: masks with a hole that is under the limit.
        small: masks that are themselves under it.
        passing: masks that miss no limit; a score that is not there is none.
        poorest: masks that miss limits, the worst first.
    """

    images: int = 0
    masks: int = 0
    scores: dict[str, Scores] = field(default_factory=lambda: {"predicted_iou": Scores(), "stability_score": Scores()})
    several_parts: int = 0
    with_holes: int = 0
    stray_parts: int = 0
    stray_holes: int = 0
    small: int = 0
    passing: int = 0
    poorest: list[Poor] = field(default_factory=list)

    def add(self, sample: Sample, limits: Limits, keep: int) -> None:
        """Look at the masks of an image. Raises DataError, with nothing counted, for one that is none."""
        annotations = sample.annotations
        regions = [sample.read_mask(annotation, _regions) for annotation in annotations]
        self.images += 1
        for annotation, (parts, holes) in zip(annotations, regions, strict=True):
            self._add_mask(sample.name, annotation, parts, holes, limits)
        self.poorest = heapq.nlargest(keep, self.poorest)

    def _add_mask(self, image: str, annotation: Record, parts: list[int], holes: list[int], limits: Limits) -> None:
        self.masks += 1
        lack, reasons = 0.0, []
        for name, scores in self.scores.items():
            value = annotation.get(name)
            if isinstance(value, (int, float)) and np.isfinite(value):
                limit = getattr(limits, name)
                scores.add(float(value), limit)
                reasons += [name] * (value < limit)
                lack = max(lack, 1 - float(value))
        found = {
            "several_parts": len(parts) > 1,
            "with_holes": bool(holes),
            "stray_parts": len(parts) > 1 and min(parts) < limits.region,
            "stray_holes": bool(holes) and min(holes) < limits.region,
            "small": sum(parts) < limits.region,
        }
        reasons += [name for name in ("stray_parts", "stray_holes", "small") if found[name]]
        for name, is_so in (found | {"passing": not reasons}).items():
            setattr(self, name, getattr(self, name) + is_so)
        if reasons:
            self.poorest.append(Poor(len(reasons), lack, image, str(annotation.get("id")), tuple(reasons)))

    def merge(self, other: Quality, keep: int) -> None:
        """Add the counts of another part."""
        for name in ("images", "masks", *COUNTED):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, scores in other.scores.items():
            self.scores[name].merge(scores)
        self.poorest = heapq.nlargest(keep, self.poorest + other.poorest)

    def summary(self) -> dict[str, Any]:
        """All counts, JSON-ready."""
        scores = {
            name: {"masks": s.masks, "mean": s.total / s.masks, "least": s.least, "below_limit": s.below}
            for name, s in self.scores.items()
            if s.masks
        }
        poorest = [{"image": each.image, "id": each.id, "misses": each.reasons} for each in self.poorest]
        return {**asdict(self), "scores": scores, "poorest": poorest}


def assess(
    samples: Sequence[Sample],
    limits: Limits | None = None,
    *,
    keep: int = 20,
    workers: int = 1,
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> Quality:
    """Look at all masks of a set.

    Args:
        samples: of any source.
        limits: those of the paper where it is None.
        keep: how many of the poorest masks are listed.
        workers: processes.
        problems: takes what is wrong with samples, which are then left out.
        progress: called now and then.
    """
    problems, total, done = problems or Problems(), Quality(), 0
    work = partial(_assess, limits or Limits(), keep, problems.keep_going)
    for part, faults, images in spread(work, chunks(samples, CHUNK), workers):
        total.merge(part, keep)
        problems.found += faults
        done += images
        if progress:
            progress(done, len(samples))
    return total


def _assess(limits: Limits, keep: int, keep_going: bool, samples: Sequence[Sample]) -> tuple[Quality, list[str], int]:
    found, problems = Quality(), Problems(keep_going)
    for sample in samples:
        with problems.noted():
            found.add(sample, limits, keep)
        sample.forget()
    return found, problems.found, len(samples)


def _regions(mask: rle.RLE) -> tuple[list[int], list[int]]:
    """Pixels of the parts of a mask, and of its holes."""
    x, y, width, height = (int(side) for side in rle.box(mask))
    part = np.pad(rle.decode_part(mask, (x, y, x + width, y + height)), 1)  # so that all that is outside is one
    holes = region_sizes(~part)[1:]  # its first pixel is outside
    return region_sizes(part).tolist(), holes.tolist()
