"""A moving average of the weights, which is steadier than the weights themselves (Polyak & Juditsky 1992)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """The average of a module's weights over about 1 / (1 - decay) steps; early on over all steps so far.

    Args:
        module: what is averaged.
        decay: share of the average that each update keeps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {name: value.detach().clone() for name, value in _weights(module).items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights as they are after `step` steps."""
        now = _weights(module)
        weight = 1 - min(self.decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(self.weights.values()), [now[name] for name in self.weights], weight)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """What training changes."""
    return {name: value for name, value in module.named_parameters() if value.requires_grad}
