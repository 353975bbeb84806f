"""A training step's loss as one forward pass, so that it can be spread over processes like any module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..model.sam import ImageEmbedding, Sam
from ..task.prompts import PromptBatch
from .config import Recipe, Stage
from .rollout import Draws, Targets, rollout
from .views import Seen

FIGURES = ("loss", "iou_first", "iou_last", "iou_error")
"""what a step tells of itself: its loss, the mean IoU of the first and the last mask, the error of the predicted IoU"""


class PromptedTask(nn.Module):
    """The promptable task: masks of labelled objects from a rollout of prompts (appendix A)."""

    figures = FIGURES

    def __init__(self, sam: Sam, recipe: Recipe) -> None:
        super().__init__()
        self.sam = sam
        self.recipe = recipe
        self._decode: Callable[[ImageEmbedding, PromptBatch], tuple[Tensor, Tensor]] = sam.decode_all
        if recipe.compile:
            self._decode = torch.compile(sam.decode_all)

    def mask_size(self, stage: Stage) -> int:
        """Side of the targets."""
        config = self.sam.config
        return config.mask_size * stage.size // config.encoder.size

    def forward(self, images: Sequence[Seen], targets: Targets, stage: Stage, draws: Draws) -> tuple[Tensor, Tensor]:
        """The loss of B images, and the FIGURES without gradient.

        Args:
            images: B tensors 3×h×w of 0 to 255, at most `stage.size` a side, or their embeddings.
            targets: their objects.
            draws: the random numbers of the step.
        """
        with autocast(self.sam.device, self.recipe.bf16):
            return self.decode(self._embedding(images, stage.size), targets, stage, draws)

    def _embedding(self, images: Sequence[Seen], size: int) -> ImageEmbedding:
        made = [image for image in images if isinstance(image, ImageEmbedding)]
        pixels = [image for image in images if isinstance(image, Tensor)]
        if made:
            return joined(made, torch.bfloat16 if self.recipe.bf16 else torch.float32)
        return self.sam.encode(preprocessed(self.sam, pixels, size))

    def decode(self, embedding: ImageEmbedding, targets: Targets, stage: Stage, draws: Draws) -> tuple[Tensor, Tensor]:
        """As `forward`, from the embedding."""
        rounds = list(rollout(self.kept, embedding, targets, stage, self.recipe.prompting, draws))
        loss = torch.stack([figures["loss"] for figures in rounds]).mean()
        first, last = rounds[0], rounds[-1]
        return loss, torch.stack([loss.detach(), first["iou"], last["iou"], first["iou_error"]])

    def kept(self, embedding: ImageEmbedding, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Decode; with `checkpointing` nothing but the inputs is kept for the backward pass."""
        if not (self.recipe.checkpointing and torch.is_grad_enabled()):
            return self._decode(embedding, prompts)
        answer: tuple[Tensor, Tensor] = checkpoint(self._decode, embedding, prompts, use_reentrant=False)
        return answer


def preprocessed(sam: Sam, images: Sequence[Tensor], size: int) -> Tensor:
    """Images of 0 to 255, normalised and padded: B×3×size×size, channels last, which suits convolutions."""
    batch = torch.stack([sam.preprocess(image, size) for image in images])
    return batch.contiguous(memory_format=torch.channels_last)


def joined(embeddings: Sequence[ImageEmbedding], dtype: torch.dtype) -> ImageEmbedding:
    """One embedding of several images, as numbers of the kind that an encoder would have computed."""
    levels = zip(*((embedding.features, *embedding.fine) for embedding in embeddings), strict=True)
    features, *fine = [torch.cat([each.to(dtype) for each in level]) for level in levels]
    return ImageEmbedding(features, tuple(fine))


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[object]:
    """Computation in bfloat16 where that is safe, or as it is."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()
