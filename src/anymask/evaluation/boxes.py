"""The ground-truth box of each object as prompt: mean IoU of the answer, and of the best of three (§7.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..dataset.sa1b import Sample
from ..errors import DataError
from ..predict.predictor import SamPredictor
from ..task.boxes import mask_boxes
from ..task.metrics import iou
from ..task.prompts import Prompt


def evaluate(predictor: SamPredictor, samples: Iterable[Sample]) -> Iterator[dict[str, float]]:
    """Yield the figures of each object: `single` (IoU of the mask for unambiguous prompts), `scored` (of the best
    scored of three), `oracle` (best of three).

    The box encloses the ground-truth mask's pixels, their far edges included.
    """
    for sample in samples:
        predictor.set_image(sample.image())
        truths = sample.masks()
        if not truths:
            continue
        boxes = mask_boxes(np.stack(truths)) + np.array([0, 0, 1, 1])
        prompts = [Prompt(box=box) for box in boxes]
        three = predictor.predict_many(prompts, multimask_output=True)
        single = predictor.predict_many(prompts, multimask_output=False)
        for truth, many, one in zip(truths, three, single, strict=True):
            each = iou(many.masks, truth)
            yield {
                "single": float(iou(one.masks[0], truth)),
                "scored": float(each[many.scores.argmax()]),
                "oracle": float(each.max()),
            }


def summarise(figures: Sequence[dict[str, float]]) -> Iterator[tuple[str, float]]:
    """Means over all objects. Raises DataError for no objects."""
    if not figures:
        raise DataError("the data hold no masks to score; expected at least one that is not empty")
    yield "box, single mask, mean IoU", float(np.mean([f["single"] for f in figures]))
    yield "box, best-scored of three, mean IoU", float(np.mean([f["scored"] for f in figures]))
    yield "box, best of three, mean IoU", float(np.mean([f["oracle"] for f in figures]))
    yield "objects", float(len(figures))
