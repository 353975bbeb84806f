"""Edges from the masks of everything, judged by the boundaries that people drew on BSDS500 (§7.2, D.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, DataError
from ..predict.automask.grid import point_grid
from ..predict.predictor import SamPredictor
from ..task import rle
from ..task.boxes import mask_boxes, nms
from ..task.prompts import PromptBatch
from .edge_detectors import canny, mask_edges, sobel, suppress_non_maxima
from .edge_matching import EdgeCounts, edge_row, person_row, summarise
from .protocol import Baselines, Deferred, EvaluationProtocol, LabelledImage, Metric, Row

MASKS_AT_ONCE = 64
"""masks that are held at full size at a time"""


class EdgeDetector(Protocol):
    """What finds edges: a model, or a baseline."""

    def edges(self, pixels: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """An H×W map of thin edges from 0 to 1, of an H×W×3 image."""


class ModelEdges:
    """The outlines of all masks that a model finds: three for each point of a grid, duplicates dropped, none judged.

    Args:
        predictor: with the model.
        points: points along each side of the grid.
        nms: box IoU beyond which two masks are duplicates.
    """

    def __init__(self, predictor: SamPredictor, points: int, nms: float) -> None:
        self.predictor, self.points, self.nms = predictor, points, nms

    @torch.no_grad()
    def edges(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """An H×W map of thin edges from 0 to 1."""
        self.predictor.set_pixels(pixels)
        low_res, iou = self._decode(pixels.shape[1], pixels.shape[0])
        boxes = np.concatenate([mask_boxes(logits > 0) for logits in self._full_size(low_res)])
        keep = torch.as_tensor(nms(boxes, iou.cpu().numpy(), self.nms))
        each = (logits for chunk in self._full_size(low_res[keep]) for logits in chunk)
        return suppress_non_maxima(mask_edges(each, pixels.shape[:2]))

    def _decode(self, width: int, height: int) -> tuple[Tensor, Tensor]:
        """Low-resolution logits N×h×w and predicted IoU N of all masks."""
        predictor = self.predictor
        points = point_grid(self.points) * [width, height]
        prompts = PromptBatch.clicks(points, predictor.frame, predictor.device)
        logits, iou = predictor.runtime.decode(predictor.embedding, prompts)
        return logits.flatten(0, 1), iou.flatten(0, 1)

    def _full_size(self, low_res: Tensor) -> Iterator[NDArray[np.float32]]:
        """Logits at full size, n×H×W at a time; the cut-off is 0."""
        threshold = self.predictor.model.mask_threshold
        for chunk in low_res.split(MASKS_AT_ONCE):
            yield (self.predictor.frame.masks_to_original(chunk[:, None])[:, 0] - threshold).cpu().numpy()


@dataclass(frozen=True)
class Filter:
    """A classical edge detector."""

    edges: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class HeldOutPerson:
    """Not a detector: each person's boundaries are judged by those of the others."""


@dataclass(frozen=True)
class Edges(EvaluationProtocol):
    """ODS, OIS, AP and R50, after the rules of BSDS500's own benchmark."""

    points: int = 16
    """points along each side of the grid"""
    nms: float = 0.7
    """box IoU beyond which two masks are duplicates"""

    name: ClassVar[str] = "edges"
    refines: ClassVar[bool] = False
    baselines: ClassVar[Baselines] = {
        "canny": partial(Filter, canny),
        "sobel": partial(Filter, sobel),
        "person": HeldOutPerson,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points < 1:
            raise ConfigError(f"points: expected at least 1, got {self.points}")

    def subject(self, predictor: SamPredictor) -> EdgeDetector:
        """The outlines of the model's masks."""
        return ModelEdges(predictor, self.points, self.nms)

    def evaluate(self, subject: EdgeDetector | HeldOutPerson, image: LabelledImage) -> Deferred:
        """A row for the image: at each threshold the counts of boundary pixels, and of those that were matched."""
        people = _boundaries(image)
        if isinstance(subject, HeldOutPerson):
            if len(people) < 2:
                raise DataError(f"{image.name}: boundaries of one person; expected two or more, to hold one out")
            return partial(person_row, image.name, people)
        return partial(edge_row, image.name, subject.edges(image.pixels), people)

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """F at the best threshold of all (ODS) and of each image (OIS), AP, recall at a precision of .5 (R50)."""
        scores = summarise([EdgeCounts.from_row(row) for row in rows])
        yield Metric("ODS", scores.ods)
        if len(scores.curve.thresholds) > 1:
            yield Metric("OIS", scores.ois)
            yield Metric("AP", scores.average_precision)
            yield Metric("R50", scores.recall_at_50)
        yield Metric("ODS, recall", scores.ods_recall, detail=True)
        yield Metric("ODS, precision", scores.ods_precision, detail=True)
        yield Metric("ODS, threshold", scores.ods_threshold, detail=True)
        curve = zip(scores.curve.thresholds, scores.curve.recall, scores.curve.precision, strict=True)
        for threshold, recall, precision in curve:
            yield Metric(f"recall at threshold {threshold:.2f}", float(recall), detail=True)
            yield Metric(f"precision at threshold {threshold:.2f}", float(precision), detail=True)
        yield Metric("images", len(rows))


def _boundaries(image: LabelledImage) -> NDArray[np.bool_]:
    """What A people drew: A×H×W. Raises DataError where the labels have no boundaries."""
    drawn = image.record.get("boundaries")
    if not isinstance(drawn, list) or not drawn:
        raise DataError(
            f"{image.name}: its labels have no boundaries; expected BSDS500 (its groundTruth, --format bsds; or SA-1B "
            "records, each beside a PNG whose bit k is set where person k drew a boundary)"
        )
    people = [rle.decode(each) for each in drawn]
    for one in people:
        if one.shape != image.pixels.shape[:2]:
            raise DataError(f"{image.name}: boundaries of {one.shape}, the image has {image.pixels.shape[:2]}")
    return np.stack(people)
