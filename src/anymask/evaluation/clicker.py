"""The simulated annotator: clicks on the objects of an image in step, each where the last answer is wrong (D.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..dataset.sample import Object
from ..predict.predictor import Prediction
from ..task.clicks import centre_of_error_click
from ..task.metrics import iou
from ..task.prompts import Label, Prompt
from .protocol import Segmenter

AT_ONCE = 32
"""objects that are clicked on in step, so that crowded images fit into memory"""

Sampling = Literal["centre", "random"]
"""the first click lies deepest in the object, or anywhere in it; later ones lie deepest in the error"""


class Session:
    """One object, the clicks on it, and the answer to them.

    Attributes:
        target: the object.
        mask: the H×W mask that the last answer gave, the best scored of it; empty before the first.
        score: the IoU that the model predicted for it.
        ious: IoU of each mask of the last answer with the object, what is to be ignored left out: M.
        iou: that of `mask`.
    """

    def __init__(self, target: Object, rng: np.random.Generator | None) -> None:
        self.target = target
        self.mask = np.zeros_like(target.mask)
        self.score = 0.0
        self.ious = np.zeros(1)
        self.iou = 0.0
        self._points: list[tuple[float, float]] = []
        self._labels: list[Label] = []
        self._logits: NDArray[np.float32] | None = None
        self._rng = rng
        self._truth = target.counted(target.mask)

    def click(self) -> bool:
        """Click where the mask is wrong; False where nothing is, or all of that was clicked on before."""
        if self._rng is None or self._points:
            found = centre_of_error_click(self.target.counted(self.mask), self._truth, self._points)
        else:
            found = _anywhere(self._truth, self._rng)
        if found is not None:
            self._points.append(found[0])
            self._labels.append(found[1])
        return found is not None

    def prompt(self) -> Prompt:
        """All clicks, with the logits of the last mask where the segmenter gives any."""
        return Prompt(self._points, self._labels, mask=self._logits)

    def take(self, answer: Prediction) -> None:
        """Note the answer to the prompt."""
        best = int(answer.scores.argmax())
        self.mask, self.score = answer.masks[best], float(answer.scores[best])
        self.ious = iou(self.target.counted(answer.masks), self._truth)
        self.iou = float(self.ious[best])
        self._logits = answer.logits[best] if answer.logits.size else None


def click_through(
    segmenter: Segmenter, image: str, objects: Sequence[Object], clicks: int, sampling: Sampling = "centre"
) -> Iterator[list[Session]]:
    """Yield the state of all objects after each of `clicks` clicks.

    The first click is ambiguous, and the best scored of three masks is taken; later ones give one mask, and see the
    logits of the last. An object whose mask is perfect gets no more clicks and keeps its answer. A random click is
    seeded by the image's name and the object's id.
    """
    sessions = [Session(target, _rng(image, target) if sampling == "random" else None) for target in objects]
    for click in range(clicks):
        asked = [session for session in sessions if session.click()]
        if asked:
            answers = segmenter.predict_many([session.prompt() for session in asked], click == 0)
            for session, answer in zip(asked, answers, strict=True):
                session.take(answer)
        yield sessions


def _anywhere(truth: NDArray[np.bool_], rng: np.random.Generator) -> tuple[tuple[float, float], Label]:
    """A click on a pixel drawn evenly from those of an object."""
    row, column = divmod(int(rng.choice(np.flatnonzero(truth))), truth.shape[1])
    return (column + 0.5, row + 0.5), Label.FOREGROUND


def _rng(image: str, target: Object) -> np.random.Generator:
    return np.random.default_rng(crc32(f"{image}/{target.id}".encode()))
