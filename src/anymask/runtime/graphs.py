"""The parts of a Sam as graphs of tensors alone, the form in which other runtimes take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..model.config import ViTConfig
from ..model.mask_decoder import in_blocks, out_of_blocks
from ..model.sam import Sam
from ..task.frame import SATURATED
from ..task.prompts import PromptBatch
from . import many_prompts
from .many_prompts import SharedImage
from .prompted_cells import DrawnImage


class Encoder(nn.Module):
    """B×3×S×S normalised pixels to the embedding and its finer features."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.encoder = sam.image_encoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        features, fine = self.encoder.pyramid(pixels)
        return features, *fine


class Shared(nn.Module):
    """An image's features to what its prompts share, in the order of `SharedImage` or `DrawnImage`."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        return tuple(part for part in many_prompts.shared_image(self.sam, features) if part is not None)


class Answer(nn.Module):
    """N prompts on one image to their predicted IoU, their cells and the masks' channel weights.

    The image is what they share of it, several tensors, or its features alone.
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
        return many_prompts.answer(self.sam, self._seen(image), prompts, (self.sam.config.grid, self.sam.config.grid))

    def _seen(self, image: list[Tensor]) -> Tensor | SharedImage | DrawnImage:
        drawn = self.sam.prompt_encoder.drawn is not None
        if image[0].ndim == 4:
            return many_prompts.shared_image(self.sam, image[0]) if drawn else image[0]
        return DrawnImage(*image) if drawn else SharedImage(*image)


class Upscale(nn.Module):
    """Cells n×K×C and the weights of M masks, with the image's finer features in blocks, to logits n×M×4h×4w."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.decoder = sam.mask_decoder
        self.grid = (sam.config.grid, sam.config.grid)

    def forward(self, cells: Tensor, weights: Tensor, fine: list[Tensor]) -> Tensor:
        return self.decoder.upscale_blocks(cells, weights, self.grid, tuple(fine))


class UpscaleImage(nn.Module):
    """As `Upscale`, of the cells alone that the image's own masks see; where the frame is padding there is no mask.

    Three quarters of the work for a photo of 4:3.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.decoder = sam.mask_decoder
        self.grid = sam.config.grid
        self.pixels = sam.config.encoder.size // sam.config.mask_size

    def forward(self, cells: Tensor, weights: Tensor, fine: list[Tensor], resized: Tensor) -> Tensor:
        wanted = self._wanted(resized)
        places = wanted.nonzero()[:, 0]  # k
        own = [x.index_select(1, places) for x in (cells, *fine)]
        found = self.decoder.weigh_blocks(own[0], weights, tuple(own[1:]))  # n×k×16×M
        nothing = found.new_full((found.shape[0], 1, 16, found.shape[3]), -SATURATED)
        place = torch.where(wanted, wanted.long().cumsum(0), 0)  # of each cell in what follows, the first being nothing
        whole = torch.cat([nothing, found], dim=1).index_select(1, place)  # n×K×16×M
        return out_of_blocks(whole, (self.grid, self.grid))

    def _wanted(self, resized: Tensor) -> Tensor:
        """Which cells an image of `resized` (height, width) sees when its masks are enlarged: K bool.

        Its last pixel lies between two cells of the mask, of which a cell has four a side.
        """
        last = torch.div(2 * resized - 1 - self.pixels, 2 * self.pixels, rounding_mode="floor") + 1
        reach = torch.div(last, 4, rounding_mode="floor")  # the last row and column of cells
        cells = torch.arange(self.grid)
        return ((cells <= reach[0])[:, None] & (cells <= reach[1])).flatten()


@dataclass(frozen=True, eq=False)
class Graph:
    """A module with inputs to trace it by, and which of their sides may differ from call to call.

    `names` and `outputs` are the names of all tensors that go in, lists laid flat, and of those that come out.
    """

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    dynamic: tuple[Any, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]

    def export(self) -> ExportedProgram:
        """The graph, traced without gradients."""
        with torch.no_grad():
            return torch.export.export(self.module.eval(), self.inputs, dynamic_shapes=self.dynamic)


def encoder_graph(sam: Sam) -> Graph:
    """The image encoder, an image at a time."""
    size = sam.config.encoder.size
    outputs = ("features", *(f"fine{i}" for i in range(len(fine_shapes(sam)))))
    return Graph("encoder", Encoder(sam), (torch.zeros(1, 3, size, size),), ({},), ("pixels",), outputs)


def fine_shapes(sam: Sam) -> list[tuple[int, int, int]]:
    """Channels, height and width of the finer features that the model's encoder gives beside the embedding."""
    if isinstance(sam.config.encoder, ViTConfig):
        return []
    dim, grid = sam.config.dim, sam.config.grid
    return [(dim // 4, 2 * grid, 2 * grid), (dim // 8, 4 * grid, 4 * grid)]


def shared_graph(sam: Sam) -> Graph:
    """What prompts share of an image; where they bring masks, in a model that draws them alone."""
    outputs = tuple(f"image_{i}" for i in range(len(_shared(sam))))
    return Graph("shared", Shared(sam), (_features(sam),), ({},), ("features",), outputs)


def answer_graph(sam: Sam, with_masks: bool, shared: bool) -> Graph:
    """The decoder up to the masks, for N prompts of T tokens, all with or all without mask prompts.

    `shared` says whether the image goes in as what `shared_graph` makes of it, or as its features.
    """
    count, tokens = Dim("count", min=1, max=4096), Dim("tokens", min=1, max=1024)
    config, n, t = sam.config, 3, 4
    image = _shared(sam) if shared else [_features(sam)]
    names = [f"image_{i}" for i in range(len(image))] if shared else ["features"]
    names += ["coords", "labels", "present"]
    inputs: list[Any] = [image]
    inputs += [torch.zeros(n, t, 2), torch.ones(n, t, dtype=torch.int64), torch.ones(n, t, dtype=torch.bool)]
    dynamic: list[Any] = [[{} for _ in image], *[{0: count, 1: tokens}] * 3]
    if with_masks:
        names += ["masks", "has_mask"]
        inputs += [torch.zeros(n, 1, config.mask_size, config.mask_size), torch.ones(n, dtype=torch.bool)]
        dynamic += [{0: count}, {0: count}]
    name, outputs = "answer_masks" if with_masks else "answer", ("iou", "cells", "weights")
    return Graph(name, Answer(sam), tuple(inputs), tuple(dynamic), tuple(names), outputs)


def upscale_graph(sam: Sam) -> Graph:
    """The last part of the decoder: cells, with the image's finer features in the order of `in_blocks`, to masks."""
    count, masks = Dim("count", min=1, max=4096), Dim("masks", min=1, max=8)
    dim, grid = sam.config.dim, sam.config.grid
    fine = [in_blocks(torch.zeros(1, *shape), (grid, grid)) for shape in fine_shapes(sam)]
    inputs = (torch.zeros(3, grid**2, dim), torch.zeros(3, 2, dim // 8), fine)
    names = ("cells", "weights", *(f"fine{i}" for i in range(len(fine))))
    dynamic: tuple[Any, ...] = ({0: count}, {0: count, 1: masks}, [{} for _ in fine])
    return Graph("upscale", Upscale(sam), inputs, dynamic, names, ("logits",))


def upscale_image_graph(sam: Sam) -> Graph:
    """As `upscale_graph`, with the height and the width of the image in the model frame as one more input."""
    whole = upscale_graph(sam)
    resized = torch.tensor([sam.config.encoder.size * 3 // 4, sam.config.encoder.size])
    inputs, dynamic = (*whole.inputs, resized), (*whole.dynamic, {})
    return Graph("upscale_image", UpscaleImage(sam), inputs, dynamic, (*whole.names, "resized"), whole.outputs)


def _features(sam: Sam) -> Tensor:
    return torch.zeros(1, sam.config.dim, sam.config.grid, sam.config.grid)


@torch.no_grad()
def _shared(sam: Sam) -> list[Tensor]:
    """What prompts share of any image."""
    return list(Shared(sam)(_features(sam)))
