"""What the tests of the protocols share: labelled images made by hand, and a segmenter whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.evaluation.protocol import LabelledImage
from anymask.predict.predictor import Prediction

HEIGHT, WIDTH = 40, 60


@pytest.fixture()
def block():
    """Makes the mask of a rectangle, from its first row and column to those after its last."""

    def make(top, bottom, left, right, shape=(HEIGHT, WIDTH)):
        mask = np.zeros(shape, bool)
        mask[top:bottom, left:right] = True
        return mask

    return make


@pytest.fixture()
def labelled():
    """Makes a labelled image of objects, or of masks, which get the ids 1, 2 and so on."""

    def make(objects, name="photo", shape=(HEIGHT, WIDTH), image=(), **record):
        height, width = shape
        found = [each if isinstance(each, Object) else Object(n, each) for n, each in enumerate(objects, 1)]
        size = {"file_name": f"{name}.jpg", "height": height, "width": width}
        return LabelledImage(name, np.zeros((*shape, 3), np.uint8), found, {"image": {**size, **dict(image)}, **record})

    return make


class Scripted:
    """Answers each prompt with the masks and scores that a function of the prompt gives.

    The logits of its masks are numbered through, in the order of the answers. What it was asked is kept.
    """

    def __init__(self, answer):
        self.answer = answer
        self.images, self.calls, self.given = [], [], []

    def set_image(self, image):
        self.images.append(image)

    def predict_many(self, prompts, multimask_output=None):
        self.calls.append((list(prompts), multimask_output))
        return [self._predict(prompt, multimask_output) for prompt in prompts]

    def _predict(self, prompt, multimask_output):
        masks, scores = self.answer(prompt, multimask_output)
        first = sum(len(each.masks) for each in self.given)
        logits = np.arange(first, first + len(masks), dtype=np.float32)[:, None, None] * np.ones((4, 4), np.float32)
        self.given.append(Prediction(np.stack(masks), np.array(scores, np.float32), logits))
        return self.given[-1]

    @property
    def prompts(self):
        """All prompts that it was asked, in order."""
        return [prompt for prompts, _ in self.calls for prompt in prompts]


@pytest.fixture()
def scripted():
    """The class of segmenters that answer as they are told."""
    return Scripted


@pytest.fixture()
def step_by_step():
    """Makes a segmenter that answers the k-th click on an object with the k-th of its masks, and the last for ever.

    An object is known by its first click. At that click the mask comes between two that are scored lower.
    """

    def make(*objects):
        def answer(prompt, several):
            x, y = (int(n) for n in prompt.points[0])
            [masks] = [masks for truth, masks in objects if truth[y, x]]
            mask = masks[min(len(prompt.points), len(masks)) - 1]
            if not several:
                return [mask], [0.7]
            return [mask & False, mask, ~mask], [0.3, 0.8, 0.2]

        return Scripted(answer)

    return make


@pytest.fixture()
def figures():
    """Makes a protocol's figures, by name, of some images."""

    def make(protocol, subject, *images):
        rows = [row for image in images for row in protocol.evaluate(subject, image)]
        return {metric.name: metric.value for metric in protocol.summarise(rows)}

    return make
