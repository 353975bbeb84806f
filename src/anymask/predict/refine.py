"""Refinement of one mask: prompt after prompt, each seeing the last mask's logits, and each can be undone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..task.ambiguity import Pick, choose
from ..task.prompts import Prompt
from ..task.regions import clean
from .predictor import SamPredictor


@dataclass(frozen=True, eq=False)
class State:
    """The prompts so far and the mask they gave.

    Attributes:
        points: P×2 in original pixels.
        labels: P.
        box: 4, or None.
        mask: H×W bool, or None before the first prompt.
        score: predicted IoU of the mask.
        logits: h×w, what the next prediction sees.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    box: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = None
    score: float = 0.0
    logits: NDArray[np.float32] | None = None


class Refinement:
    """An object in the image of a predictor, made better click by click.

    Args:
        predictor: a predictor with an image set.
        pick: which of the three masks a single click means.
        keep_parts: leave stray components and holes as the model gave them.
    """

    def __init__(self, predictor: SamPredictor, pick: Pick = "best", keep_parts: bool = False) -> None:
        self.predictor = predictor
        self.pick: Pick = pick
        self.keep_parts = keep_parts
        self._states = [State(np.zeros((0, 2)), np.zeros(0, np.int64))]
        self._now = 0

    @property
    def state(self) -> State:
        """The prompts and the mask as they are now."""
        return self._states[self._now]

    def add_point(self, x: float, y: float, label: int = 1) -> State:
        """Click on the object (label 1) or on background (label 0)."""
        now = self.state
        points = np.concatenate([now.points, [[x, y]]])
        return self._advance(replace(now, points=points, labels=np.append(now.labels, label)))

    def set_box(self, box: Any) -> State:
        """Draw a box around the object: x0, y0, x1, y1. It takes the place of an earlier one."""
        return self._advance(replace(self.state, box=np.asarray(box, np.float64)))

    def undo(self) -> State:
        """Go back one prompt. Raises PromptError where there is none."""
        if not self._now:
            raise PromptError("nothing to undo: no prompt has been given")
        self._now -= 1
        return self.state

    def redo(self) -> State:
        """Take back an undo. Raises PromptError where there is none."""
        if self._now + 1 == len(self._states):
            raise PromptError("nothing to redo")
        self._now += 1
        return self.state

    def _advance(self, asked: State) -> State:
        """Predict for the new prompts, and forget what was undone; a prompt that fails changes nothing."""
        prompt = Prompt(asked.points, asked.labels, asked.box, asked.logits)
        result = self.predictor.predict_many([prompt])[0]
        best = choose(result.scores, result.masks.sum(axis=(1, 2)), self.pick)
        mask = result.masks[best] if self.keep_parts else clean(result.masks[best])
        state = replace(asked, mask=mask, score=float(result.scores[best]), logits=result.logits[best])
        self._states = [*self._states[: self._now + 1], state]
        self._now += 1
        return state
