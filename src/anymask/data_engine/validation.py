"""Validation while a run goes on: how well a model answers clicks and boxes on images that are held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from ..dataset.sample import Object, Sample
from ..errors import DataError
from ..evaluation.clicker import click_through
from ..evaluation.protocol import LabelledImage, Segmenter
from ..model.sam import Sam
from ..predict.predictor import SamPredictor
from ..task.boxes import mask_boxes
from ..task.metrics import iou
from ..task.prompts import Prompt
from .examples import Answer, Example, Gallery

CLICKS = {1: "1 click", 3: "3 clicks"}
"""after how many clicks the masks are judged, and the figure's name"""
BOX = "box"


@dataclass(frozen=True)
class Validator:
    """Judges a model on images that it is not trained on; fit for `training.judge.Validate`.

    The same images give the same objects at every step. Each is asked for in the evaluation's way (§7.1, D.1, D.4):
    by a click at its centre, for which the best scored of three masks counts; by two more, each at the centre of the
    largest error, for one mask; and by the box around its labelled mask, for one mask.
    """

    out: Path | None = None
    """folder of the run, whose `examples` gets a page for each validation and an index; None for no pages"""
    per_image: int = 5
    """most objects of an image, drawn by its name"""
    limit: int = 300
    """most objects of a validation"""
    shown: int = 12
    """most objects on a page, drawn from as many images as there are"""

    def __call__(self, sam: Sam, samples: Sequence[Sample], step: int) -> dict[str, float]:
        """Mean IoU over the objects by kind of prompt, and the number of `objects`.

        Raises DataError where the images hold none.
        """
        predictor = SamPredictor(sam, runtime="torch")  # follows weights that are trained
        gallery = Gallery(step)
        found: list[dict[str, float]] = []
        each = -(-self.shown // max(1, len(samples)))
        for image in self._images(samples):
            answers = ask(predictor, image)
            found += [{name: answer.iou for name, answer in one.items()} for one in answers]
            room = min(each, self.shown - len(gallery)) if self.out else 0
            for target, one in zip(image.objects[:room], answers, strict=False):
                gallery.add(Example(image.name, image.pixels, target, one))
        if not found:
            raise DataError("the images held out hold no masks; hold out more, or name another validation.source")
        figures = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        figures["objects"] = len(found)
        if self.out:
            gallery.write(self.out / "examples", figures)
        return figures

    def _images(self, samples: Sequence[Sample]) -> Iterator[LabelledImage]:
        """The images with the objects that are asked for, so long as these are within the limit."""
        left = self.limit
        for sample in samples:
            objects = _draw(sample, min(self.per_image, left))
            if objects:
                yield LabelledImage(sample.name, sample.image(), objects, sample.record)
            left -= len(objects)
            if not left:
                return


def ask(segmenter: Segmenter, image: LabelledImage) -> list[dict[str, Answer]]:
    """The answers to the clicks on each object of an image, and to its box, by name."""
    segmenter.set_image(image.pixels)
    answers: list[dict[str, Answer]] = [{} for _ in image.objects]
    rounds = click_through(segmenter, image.name, image.objects, max(CLICKS))
    for click, sessions in enumerate(rounds, start=1):
        if click in CLICKS:
            for one, session in zip(answers, sessions, strict=True):
                one[CLICKS[click]] = Answer(session.prompt(), session.mask, session.iou)
    boxes = mask_boxes(np.stack([target.mask for target in image.objects])) + np.array([0, 0, 1, 1])
    prompts = [Prompt(box=box) for box in boxes]
    predictions = segmenter.predict_many(prompts, multimask_output=False)
    for one, target, prompt, prediction in zip(answers, image.objects, prompts, predictions, strict=True):
        mask = prediction.masks[0]
        agreement = float(iou(target.counted(mask), target.counted(target.mask)))
        one[BOX] = Answer(prompt, mask, agreement)
    return answers


def _draw(sample: Sample, most: int) -> list[Object]:
    """So many of the objects of an image, drawn by its name; empty masks are left out."""
    annotations = sample.annotations
    order = np.random.default_rng(crc32(sample.name.encode())).permutation(len(annotations))
    chosen = [annotations[i] for i in order[:most]]
    part = replace(sample, read=lambda: {**sample.record, "annotations": chosen})
    return part.objects(skip_empty=True)
