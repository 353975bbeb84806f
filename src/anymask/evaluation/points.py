"""One click at the centre of each object: mean IoU of the best-scored mask, and of the best of three (§7.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..dataset.sa1b import Sample
from ..errors import DataError
from ..predict.predictor import SamPredictor
from ..task.clicks import centre_click
from ..task.metrics import iou
from ..task.prompts import Prompt


def evaluate(predictor: SamPredictor, samples: Iterable[Sample]) -> Iterator[dict[str, float]]:
    """Yield the figures of each object: `scored` (IoU of the mask with the best predicted IoU), `oracle` (best
    IoU of the three), `predicted` (the best predicted IoU itself).

    The click is the point of the mask farthest from its edge, at full resolution.
    """
    for sample in samples:
        predictor.set_image(sample.image())
        truths = sample.masks()
        if not truths:
            continue
        prompts = [Prompt([centre_click(truth)]) for truth in truths]
        for truth, result in zip(truths, predictor.predict_many(prompts, multimask_output=True), strict=True):
            each = iou(result.masks, truth)
            best = result.scores.argmax()
            yield {
                "scored": float(each[best]),
                "oracle": float(each.max()),
                "predicted": float(result.scores[best]),
            }


def summarise(figures: Sequence[dict[str, float]]) -> Iterator[tuple[str, float]]:
    """Means over all objects, and the correlation of predicted with true IoU. Raises DataError for no objects."""
    if not figures:
        raise DataError("the data hold no masks to score; expected at least one that is not empty")
    yield "1 click, best-scored mask, mean IoU", float(np.mean([f["scored"] for f in figures]))
    yield "1 click, best of three, mean IoU", float(np.mean([f["oracle"] for f in figures]))
    pairs = np.array([[f["predicted"], f["scored"]] for f in figures]).T
    if (pairs.std(axis=1) > 0).all():
        yield "correlation of predicted with true IoU", float(np.asarray(np.corrcoef(pairs))[0, 1])
    yield "objects", float(len(figures))
