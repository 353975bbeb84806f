"""Makes the masks of a human study: objects are drawn from data sets, and each source answers one click on each (E)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..dataset.sample import Object, Sample
from ..predict.predictor import Prediction
from ..task.clicks import centre_click
from ..task.prompts import Prompt
from .human import GROUND_TRUTH, Entry, draw
from .human_page import Item
from .protocol import Segmenter

LEAST_AREA = 24**2
"""pixels of the smallest objects that people are asked about, as in the paper"""


def make_items(
    data: Mapping[str, Sequence[Sample]],
    sources: Mapping[str, Segmenter],
    objects: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Item]:
    """The masks to rate: of each drawn object one from each source, the best scored of three, and the ground truth.

    Args:
        data: samples by data set.
        sources: segmenters by name.
        objects: how many are drawn, spread over data sets and sizes.
        seed: of the draw.
        progress: told of the images done, and how many there are.

    Raises what `draw` raises.
    """
    names = [*sources, GROUND_TRUTH]
    found: dict[tuple[str, str], Sample] = {}
    entries: list[Entry] = []
    for title, samples in data.items():
        for sample in samples:
            for annotation in sample.annotations:
                if (area := sample.area(annotation)) >= LEAST_AREA:
                    number = f"{sample.name}/{annotation.get('id')}"
                    found[title, number] = sample
                    entries += [Entry(name, title, number, area) for name in names]
            sample.forget()
    drawn = draw(entries, objects, seed)
    images = {(entry.data, found[entry.object].name): found[entry.object] for entry in drawn}
    items: list[Item] = []
    for done, ((title, name), sample) in enumerate(images.items(), start=1):
        wanted = {entry.object_id for entry in drawn if entry.data == title}
        targets = [target for target in sample.objects() if f"{name}/{target.id}" in wanted]
        items += _items(title, sample, targets, sources)
        progress(done, len(images))
    return items


def _items(title: str, sample: Sample, targets: Sequence[Object], sources: Mapping[str, Segmenter]) -> list[Item]:
    """The masks of some objects of an image from all sources."""
    pixels = sample.image()
    prompts = [Prompt([centre_click(target.mask)]) for target in targets]
    masks = {GROUND_TRUTH: [target.mask for target in targets]}
    for source, segmenter in sources.items():
        segmenter.set_image(pixels)
        masks[source] = [_best(answer) for answer in segmenter.predict_many(prompts, multimask_output=True)]
    return [
        Item(source, title, f"{sample.name}/{target.id}", int(target.mask.sum()), pixels, mask, prompt)
        for source, answers in masks.items()
        for target, mask, prompt in zip(targets, answers, prompts, strict=True)
    ]


def _best(answer: Prediction) -> np.ndarray:
    return np.asarray(answer.masks[answer.scores.argmax()])
