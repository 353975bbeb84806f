"""A second look: the model is shown its own mask, and an answer that it would not give again is trusted less."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..model.sam import ImageEmbedding
from ..runtime.interface import Runtime
from ..task.prompts import PromptBatch


@torch.no_grad()
def agreement(
    runtime: Runtime, embedding: ImageEmbedding, prompts: PromptBatch, logits: Tensor, scores: Tensor
) -> Tensor:
    """IoU of each prompt's best-scored mask with the answer to the prompt and that mask: N×1.

    What is small or ambiguous comes out different the second time. It takes one more decode and no encoding.

    Args:
        runtime: what gave the answer.
        embedding: the image.
        prompts: 1×N.
        logits: N×M×h×w, the answer.
        scores: N×M, its predicted IoU.
    """
    best = logits[torch.arange(len(logits), device=logits.device), scores.argmax(1)][:, None]  # N×1×h×w
    again, _ = runtime.decode(embedding, replace(prompts, masks=best[None], has_mask=None), multimask=False)
    first, second = best > runtime.sam.mask_threshold, again > runtime.sam.mask_threshold
    both, either = (first & second).sum((-2, -1)), (first | second).sum((-2, -1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
