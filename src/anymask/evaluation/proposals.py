"""Object proposals: how many of the labelled objects are among the thousand best masks of an image (§7.3, D.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..predict.automask.generator import SamAutomaticMaskGenerator
from ..predict.predictor import SamPredictor
from ..task import rle
from . import average_recall
from .baselines import Felzenszwalb
from .protocol import Baselines, EvaluationProtocol, LabelledImage, Metric, Row


class Proposer(Protocol):
    """What proposes masks: a model's generator, or a baseline."""

    def proposals(self, pixels: NDArray[np.uint8], /) -> list[rle.RLE]:
        """Masks of all that may be an object in an H×W×3 image, best first."""


class ModelProposals:
    """All masks that a model finds, ranked by the mean of predicted IoU and stability."""

    def __init__(self, generator: SamAutomaticMaskGenerator) -> None:
        self.generator = generator

    def proposals(self, pixels: NDArray[np.uint8]) -> list[rle.RLE]:
        """Masks, best first."""
        found = self.generator.candidates(pixels)
        return [c.mask for c in sorted(found, key=lambda c: -(c.predicted_iou + c.stability))]


@dataclass(frozen=True)
class Proposals(EvaluationProtocol):
    """AR@1000, whatever the category: of all objects, by size, and by how frequent their category is in LVIS."""

    points: int = 64
    """points along each side of the grid"""
    nms: float = 0.9
    """box IoU beyond which two masks are duplicates"""

    name: ClassVar[str] = "proposals"
    refines: ClassVar[bool] = False
    baselines: ClassVar[Baselines] = {"felzenszwalb": Felzenszwalb}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points < 1:
            raise ConfigError(f"points: expected at least 1, got {self.points}")

    def subject(self, predictor: SamPredictor) -> Proposer:
        """The generator of all masks, with this grid; none is dropped for its predicted IoU or stability (D.3)."""
        return ModelProposals(
            SamAutomaticMaskGenerator(
                predictor.model,
                points_per_side=self.points,
                pred_iou_thresh=0,
                stability_score_thresh=0,
                box_nms_thresh=self.nms,
                runtime=predictor.runtime,
            )
        )

    def evaluate(self, subject: Proposer, image: LabelledImage) -> list[Row]:
        """A row an object: the share of IoU thresholds at which the best 1, 10, 100 and 1000 masks find it."""
        if not image.objects:
            return []
        truths = [rle.encode(target.mask) for target in image.objects]
        records = [target.record for target in image.objects]
        areas = [record.get("area", rle.area(truth)) for record, truth in zip(records, truths, strict=True)]
        frequencies = [record.get("frequency", "") for record in records]
        found = average_recall.recall_rows(
            subject.proposals(image.pixels), truths, areas, frequencies if all(frequencies) else None
        )
        return [{"image": image.name, "id": t.id, **row} for t, row in zip(image.objects, found, strict=True)]

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """AR at 1, 10, 100 and 1000 proposals an image; the last also by size and frequency."""
        names = ("image", "id")
        for name, value in average_recall.summarise([{k: v for k, v in row.items() if k not in names} for row in rows]):
            yield Metric(name, int(value) if name == "objects" else value)
