"""Ambiguity: choosing among the three masks of a prompt, and how stable a mask is (§3, §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import ConfigError

if TYPE_CHECKING:
    import torch

Pick = Literal["best", "largest", "smallest"]


def choose(scores: Any, areas: Any, pick: Pick = "best") -> int:
    """Index of one among M masks: the best-scored, or the largest (whole) or smallest (sub-part) that is not empty."""
    scores, areas = np.asarray(scores, np.float64), np.asarray(areas)
    if pick == "best":
        return int(scores.argmax())
    if pick == "largest":
        return int(areas.argmax())
    if pick == "smallest":
        return int(np.where(areas > 0, areas, np.iinfo(np.int64).max).argmin())
    raise ConfigError(f"pick: expected best, largest or smallest, got {pick!r}")


def stability_score(logits: torch.Tensor, threshold: float, offset: float) -> torch.Tensor:
    """How little N×H×W masks change where the cut-off moves by `offset` either way: IoU of the two, N (§5).

    A mask that is empty at the lower cut-off has the score 0.
    """
    inner, outer = _pixels_over(logits, threshold + offset), _pixels_over(logits, threshold - offset)
    return inner / outer.clamp(min=1)


def _pixels_over(logits: torch.Tensor, level: float) -> torch.Tensor:
    """How many pixels of N×H×W are over a level, N."""
    import torch

    over = (logits > level).flatten(1)
    if over.device.type != "cpu":
        return over.sum(1)
    return torch.tensor([np.count_nonzero(mask) for mask in over.numpy()])  # PyTorch makes integers of all first
