"""Labels for masks: which of some names each mask bears, or none (§7.5, ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..model.text.words import check_text
from .text import THRESHOLD, TextFinder


class Label(NamedTuple):
    """A mask's name, None where none of those asked for is likely enough, and the probability of the best one."""

    name: str | None
    score: float


def label_masks(
    finder: TextFinder, masks: NDArray[np.bool_], names: Sequence[str], threshold: float = THRESHOLD
) -> list[Label]:
    """The most likely of some names for each of M×H×W masks of the image that a finder has looked at.

    Args:
        finder: with its image.
        masks: as wholes: a part of a thing gets no name.
        names: what there may be; a name may be a phrase.
        threshold: least probability of a name.

    Raises PromptError for names that are none, NoImageError without an image.
    """
    known = check_names(names)
    scores = finder.likeness(known, masks)
    best = scores.argmax(axis=0)
    return [
        Label(known[i] if score >= threshold else None, float(score))
        for i, score in zip(best, scores[best, np.arange(len(masks))], strict=True)
    ]


def check_names(names: Sequence[str]) -> list[str]:
    """Names fit to be labels, each once. Raises PromptError for an empty list and for what is no text."""
    known = list(dict.fromkeys(check_text(name) for name in names))
    if not known:
        raise PromptError('labels: none are given; name what there may be, such as "car,tree,person"')
    return known
