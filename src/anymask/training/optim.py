"""The optimiser and its learning rates: for each parameter by where it stands, and for all over time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..model.sam import Sam
from ..model.vit import ViTEncoder
from .config import Schedule

POSITIONS = re.compile(r"\.(pos_embed|rel_pos_[hw])$")
"""names of learned positions, which are no matrices for all their dimensions"""
FLOOR = 0.01
"""of the peak learning rate, to which the schedule "constant" comes down"""


def make_optimizer(
    sam: Sam,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.05,
    layer_decay: float = 1.0,
    encoder_lr: float = 1.0,
) -> torch.optim.AdamW:
    """AdamW over what is not frozen; the `peak_lr` of each group is what `schedule` is a factor of (appendix A).

    Args:
        sam: the model.
        lr: peak learning rate.
        betas: decay of the two moving averages.
        weight_decay: decoupled, on matrices alone: not on biases, norms, the positions of a ViT and learned tokens.
        layer_decay: as in ViTDet (Li et al. 2022), the factor of the learning rate from a block of a ViT encoder to
            the one before it: the last one of n blocks has layer_decay, the first layer_decay^n, patch and position
            embeddings layer_decay^(n+1). Other encoders have no such blocks.
        encoder_lr: factor for a light encoder's backbone.
    """
    tokens = {module.weight for module in sam.modules() if isinstance(module, nn.Embedding)}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in sam.named_parameters():
        if parameter.requires_grad:
            factor = _backbone_factor(name, encoder_lr) * _layer_factor(name, sam, layer_decay)
            decays = parameter not in tokens and _is_matrix(name, parameter)
            groups.setdefault((factor, decays), []).append(parameter)
    records: list[dict[str, Any]] = [
        {"params": parameters, "peak_lr": lr * factor, "weight_decay": weight_decay if decays else 0.0}
        for (factor, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(records, lr=lr, betas=betas)


def schedule(
    kind: Schedule, step: int, steps: int, warmup: int = 0, drops: Sequence[int] = (), decay: int = 0
) -> float:
    """The learning rate of a step as a factor of its peak.

    Each kind begins with `warmup` steps that rise linearly. Then

    - "step" stays at the peak and is divided by ten at each of the steps `drops`, as the paper's;
    - "cosine" comes down to zero by half a cosine;
    - "constant" stays at the peak, and over the last `decay` steps comes down linearly to 1 % in the last one.

    Args:
        kind: which of them.
        step: from 0 on.
        steps: of the whole run.
        warmup, drops, decay: see above.
    """
    if step < warmup:
        return (step + 1) / warmup
    if kind == "step":
        return 0.1 ** sum(step >= drop for drop in drops)
    if kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    late = step + 1 - (steps - decay)  # steps into the decay, from 1 to `decay`
    return 1 - (1 - FLOOR) * late / decay if late > 0 and decay else 1.0


def _is_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.ndim > 1 and not POSITIONS.search(name)


def _backbone_factor(name: str, encoder_lr: float) -> float:
    return encoder_lr if name.startswith("image_encoder.backbone") else 1.0


def _layer_factor(name: str, sam: Sam, layer_decay: float) -> float:
    """The factor of layer-wise decay; 1 for the neck and all that is not in a ViT encoder."""
    if not isinstance(sam.image_encoder, ViTEncoder):
        return 1.0
    depth = len(sam.image_encoder.blocks)
    if name.startswith(("image_encoder.patch_embed.", "image_encoder.pos_embed")):
        return layer_decay ** (depth + 1)
    block = re.match(r"image_encoder\.blocks\.(\d+)\.", name)
    return layer_decay ** (depth - int(block[1])) if block else 1.0
