"""Calibration: how steep a model's mask logits are, changed without changing a mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from ..errors import ConfigError
from .mask_decoder import MLP
from .sam import Sam


@torch.no_grad()
def scale_logits(sam: Sam, factor: float) -> None:
    """Multiply all mask logits of a model, and have it take logits as prompts on the same scale, in its weights.

    Masks and predicted IoU stay as they are, where the cut-off is 0; what reads logits as certainty changes: stability
    scores, whose offset is to be multiplied alike, and the strength of edges.

    Raises ConfigError for a factor that is not over 0, and for a model whose cut-off is not 0.
    """
    if factor <= 0:
        raise ConfigError(f"factor: expected a number over 0, got {factor}")
    if sam.mask_threshold != 0:
        raise ConfigError(f"mask_threshold: expected 0, got {sam.mask_threshold}: other cut-offs would move the masks")
    for network in cast(Iterable[MLP], sam.mask_decoder.output_hypernetworks_mlps):
        for parameter in network.layers[-1].parameters():
            parameter.mul_(factor)
    cast(nn.Conv2d, sam.prompt_encoder.mask_downscaling[0]).weight.div_(factor)
    if sam.prompt_encoder.drawn is not None:
        sam.prompt_encoder.drawn.softness.mul_(factor)
    sam.weights_hash = ""
