"""GazeTracker: what somebody looks at, as masks: each fixation of the gaze is a prompt (§7.1, D.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..task.gaze import Fixation, FixationDetector, GazeSample
from ..task.prompts import Prompt
from .predictor import SamPredictor

DISPERSION = 0.04
"""of a fixation, by default, as a share of the image's longer side; about a degree where it fills a screen"""


class GazeMask(NamedTuple):
    """A fixation with the mask of what is looked at, H×W, its score, and the prompt that gave it."""

    fixation: Fixation
    mask: NDArray[np.bool_]
    score: float
    prompt: Prompt


class GazeTracker:
    """Turns gaze samples, as they come, into masks on the image that a predictor has.

    A sample costs next to nothing, but for the two of each fixation that a mask is decoded for: the one that confirms
    it and the one that ends it, whose centre is surer. So the delay is bounded: `duration` and a decode.

    Args:
        predictor: with its image set.
        dispersion: most that the samples of a fixation spread, in original pixels; by default 4 % of the longer side.
        duration: least length of a fixation, in seconds.
        gap: longest time without a valid sample within a fixation, in seconds.

    Raises NoImageError where no image is set, ConfigError for settings out of range.
    """

    def __init__(
        self,
        predictor: SamPredictor,
        dispersion: float | None = None,
        duration: float = 0.1,
        gap: float = 0.075,
    ) -> None:
        self.predictor = predictor
        side = max(predictor.original_size)
        spread = DISPERSION * side if dispersion is None else dispersion
        self.detector = FixationDetector(spread, duration, gap, max(1.0, duration))

    def add(self, time: float, x: float, y: float, valid: bool = True) -> GazeMask | None:
        """Take the next sample, in seconds and original pixels; a mask where it confirms or ends a fixation.

        A fixation off the image gives none. Raises DataError for a time that is not after the last.
        """
        return self.look(self.detector.add(GazeSample(time, x, y, valid)))

    def finish(self) -> GazeMask | None:
        """Say that no more samples come; the mask of the fixation that this ends."""
        return self.look(self.detector.finish())

    def look(self, fixation: Fixation | None) -> GazeMask | None:
        """The mask of a fixation; None without one, and for one off the image."""
        height, width = self.predictor.original_size
        if fixation is None or not (0 <= fixation.x <= width and 0 <= fixation.y <= height):
            return None
        prompt = Prompt([[fixation.x, fixation.y]], [1])
        masks, scores, _ = self.predictor.predict(prompt.points, prompt.labels)
        best = int(scores.argmax())
        return GazeMask(fixation, masks[best], float(scores[best]), prompt)
