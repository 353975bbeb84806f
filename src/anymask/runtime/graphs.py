"""The parts of a Sam as graphs of tensors alone, the form in which other runtimes take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..model.sam import Sam
from ..task.prompts import PromptBatch
from . import many_prompts
from .many_prompts import SharedImage


class Encoder(nn.Module):
    """B×3×S×S normalised pixels to the embedding and its finer features."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.encoder = sam.image_encoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        features, fine = self.encoder.pyramid(pixels)
        return features, *fine


class Shared(nn.Module):
    """An image's features to what its prompts share, in the order of `SharedImage`."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        return many_prompts.shared_image(self.sam, features)


class Answer(nn.Module):
    """N prompts on one image to their predicted IoU, their cells and the masks' channel weights.

    The image is what they share of it, four tensors, or its features alone.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(
        self,
        image: list[Tensor],
        coords: Tensor,
        labels: Tensor,
        present: Tensor,
        masks: Tensor | None = None,
        has_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if masks is not None and has_mask is not None:
            masks, has_mask = masks[None], has_mask[None]
        prompts = PromptBatch(coords[None], labels[None], present[None], masks, has_mask)
        shared = image[0] if len(image) == 1 else SharedImage(*image)
        return many_prompts.answer(self.sam, shared, prompts, (self.sam.config.grid, self.sam.config.grid))


class Upscale(nn.Module):
    """Cells n×K×C and the weights of M masks, with the image's finer features, to logits n×M×4h×4w."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.decoder = sam.mask_decoder
        self.grid = (sam.config.grid, sam.config.grid)

    def forward(
        self, cells: Tensor, weights: Tensor, fine4: Tensor | None = None, fine2: Tensor | None = None
    ) -> Tensor:
        fine = (fine4, fine2) if fine4 is not None and fine2 is not None else ()
        return self.decoder.upscale(cells, weights, self.grid, fine)


@dataclass(frozen=True, eq=False)
class Graph:
    """A module with inputs to trace it by, and which of their sides may differ from call to call."""

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    dynamic: tuple[Any, ...]

    def export(self) -> ExportedProgram:
        """The graph, traced without gradients."""
        with torch.no_grad():
            return torch.export.export(self.module.eval(), self.inputs, dynamic_shapes=self.dynamic)


def encoder_graph(sam: Sam) -> Graph:
    """The image encoder, an image at a time."""
    size = sam.config.encoder.size
    return Graph("encoder", Encoder(sam), (torch.zeros(1, 3, size, size),), ({},))


def shared_graph(sam: Sam) -> Graph:
    """What prompts without masks share of an image."""
    return Graph("shared", Shared(sam), (_features(sam),), ({},))


def answer_graph(sam: Sam, image: Sequence[Tensor], with_masks: bool) -> Graph:
    """The decoder up to the masks, for N prompts of T tokens, all with or all without mask prompts.

    `image` is what the prompts see of any image, to be traced by.
    """
    count, tokens = Dim("count", min=1, max=4096), Dim("tokens", min=1, max=1024)
    config, n, t = sam.config, 3, 4
    inputs: list[Any] = [list(image)]
    inputs += [torch.zeros(n, t, 2), torch.ones(n, t, dtype=torch.int64), torch.ones(n, t, dtype=torch.bool)]
    dynamic: list[Any] = [[{} for _ in image], *[{0: count, 1: tokens}] * 3]
    if with_masks:
        inputs += [torch.zeros(n, 1, config.mask_size, config.mask_size), torch.ones(n, dtype=torch.bool)]
        dynamic += [{0: count}, {0: count}]
    return Graph("answer_masks" if with_masks else "answer", Answer(sam), tuple(inputs), tuple(dynamic))


def _features(sam: Sam) -> Tensor:
    return torch.zeros(1, sam.config.dim, sam.config.grid, sam.config.grid)


def upscale_graph(sam: Sam, fine: tuple[Tensor, ...]) -> Graph:
    """The last part of the decoder: cells to masks. `fine` are finer features of any image, to be traced by."""
    count, masks = Dim("count", min=1, max=4096), Dim("masks", min=1, max=8)
    dim, cells = sam.config.dim, sam.config.grid**2
    inputs = (torch.zeros(3, cells, dim), torch.zeros(3, 2, dim // 8), *fine)
    return Graph("upscale", Upscale(sam), inputs, ({0: count}, {0: count, 1: masks}, *({} for _ in fine)))
