"""The ground-truth box of each object as prompt: mean IoU of the answer, and of the best of three (§7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..dataset.sample import Object
from ..predict.predictor import Prediction
from ..task.boxes import mask_boxes
from ..task.metrics import boundary_iou, iou
from ..task.prompts import Prompt
from .baselines import Disc, Felzenszwalb, GrabCut
from .clicker import AT_ONCE
from .protocol import Baselines, EvaluationProtocol, LabelledImage, Metric, Row, Segmenter
from .summaries import at, by_category, by_size, mean, object_rows


@dataclass(frozen=True)
class Boxes(EvaluationProtocol):
    """Mean IoU of the mask for unambiguous prompts, of the best scored of three, and of the best of three."""

    name: ClassVar[str] = "boxes"
    baselines: ClassVar[Baselines] = {"ellipse": Disc, "felzenszwalb": Felzenszwalb, "grabcut": GrabCut}

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """A row an object: IoU of the `single` mask and its `boundary_iou`, IoU of the best `scored` and the `oracle`.

        The box encloses the ground-truth mask's pixels, their far edges included.
        """
        rows = object_rows(image)
        if rows:
            subject.set_image(image.pixels)
        for start in range(0, len(rows), AT_ONCE):
            objects = image.objects[start : start + AT_ONCE]
            boxes = mask_boxes(np.stack([target.mask for target in objects])) + np.array([0, 0, 1, 1])
            prompts = [Prompt(box=box) for box in boxes]
            three = subject.predict_many(prompts, multimask_output=True)
            single = subject.predict_many(prompts, multimask_output=False)
            for row, target, many, one in zip(rows[start:], objects, three, single, strict=False):
                row |= _judge(target, many, one)
        return rows

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Means over all objects, by size and by category."""
        yield mean("box, single mask, mean IoU", rows, at("single"))
        yield mean("box, best-scored of three, mean IoU", rows, at("scored"))
        yield mean("box, best of three, mean IoU", rows, at("oracle"))
        yield mean("box, boundary IoU", rows, at("boundary_iou"))
        yield from by_size("box, mean IoU", rows, at("single"))
        yield Metric("objects", len(rows))
        yield from by_category("box, mean IoU", rows, at("single"))


def _judge(target: Object, many: Prediction, one: Prediction) -> Row:
    truth, single = target.counted(target.mask), target.counted(one.masks[0])
    each = iou(target.counted(many.masks), truth)
    return {
        "single": float(iou(single, truth)),
        "boundary_iou": boundary_iou(single, truth),
        "scored": float(each[many.scores.argmax()]),
        "oracle": float(each.max()),
    }
