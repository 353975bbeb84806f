"""The encoder and the decoder as graphs that stand alone: pixels to an embedding, and prompts to masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ..model.mask_decoder import in_blocks
from ..model.sam import Sam
from ..runtime import many_prompts
from ..runtime.graphs import Graph, fine_shapes
from ..task.prompts import Label, PromptBatch

MOST_PROMPTS, MOST_POINTS = 4096, 1024
"""in one call of an exported decoder"""


class WholeEncoder(nn.Module):
    """A resized photo, 1×3×h×w of 0 to 255, to the embedding and its finer features."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        embedding = self.sam.encode(self.sam.preprocess(image))
        return embedding.features, *embedding.fine


class WholeDecoder(nn.Module):
    """N prompts on one image to the logits of four masks, N×4×s×s, and their predicted IoU, N×4."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(
        self,
        image: list[Tensor],
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        features, *fine = image
        grid = (self.sam.config.grid, self.sam.config.grid)
        prompts = as_tokens(points, labels, boxes, mask_input, has_mask_input)
        drawn = self.sam.prompt_encoder.drawn is not None
        seen = many_prompts.shared_image(self.sam, features) if drawn else features
        iou, cells, weights = many_prompts.answer(self.sam, seen, prompts, grid)
        blocks = tuple(in_blocks(part, grid) for part in fine)
        return self.sam.mask_decoder.upscale_blocks(cells, weights, grid, blocks), iou


def as_tokens(points: Tensor, labels: Tensor, boxes: Tensor, masks: Tensor, has_mask: Tensor) -> PromptBatch:
    """N prompts as tokens, the same that `Prompt.tokens` makes of each: 1×N prompts of P+2 tokens.

    Args:
        points: N×P×2 (x, y) in the model frame.
        labels: N×P, 1 for a point on the object, 0 for one beside it, -1 for none.
        boxes: N×4 in the model frame, all zero for none.
        masks: N×1×s×s logits of an earlier answer.
        has_mask: N bool, which prompts have such.
    """
    n = labels.shape[0]
    given = labels != Label.NOT_A_POINT  # N×P
    boxed = (boxes != 0).any(dim=1, keepdim=True)  # N×1
    first = torch.where(boxed, int(Label.BOX_TOP_LEFT), int(Label.NOT_A_POINT))
    last = torch.full_like(first, int(Label.BOX_BOTTOM_RIGHT))
    alone = given.any(dim=1, keepdim=True)  # points alone get a token that is not a point
    coords = torch.cat([points, boxes.reshape(n, 2, 2)], dim=1)
    kinds = torch.cat([labels, first, last], dim=1)
    present = torch.cat([given, boxed | alone, boxed], dim=1)
    masks = torch.where(has_mask[:, None, None, None], masks, 0.0)  # what is drawn of them knows no has_mask
    return PromptBatch(coords[None], kinds[None], present[None], masks[None], has_mask[None])


def whole_encoder(sam: Sam) -> Graph:
    """The encoder with its preprocessing, for a photo of any shape whose longest side is that of the model frame."""
    size = sam.config.encoder.size
    height, width = Dim("height", min=1, max=size), Dim("width", min=1, max=size)
    example = torch.zeros(
        1, 3, size // 2, size * 3 // 4
    )  # tracing takes equal sides, and paddings of 0 or 1, for rules
    outputs = ("features", *_fine(sam))
    return Graph("encoder", WholeEncoder(sam), (example,), ({2: height, 3: width},), ("image",), outputs)


def whole_decoder(sam: Sam) -> Graph:
    """The decoder, for any number of prompts with any number of points."""
    count, some = Dim("prompts", min=1, max=MOST_PROMPTS), Dim("points", min=1, max=MOST_POINTS)
    config, n, p = sam.config, 3, 4
    image = [torch.zeros(1, config.dim, config.grid, config.grid)]
    image += [torch.zeros(1, *shape) for shape in fine_shapes(sam)]
    inputs: tuple[Any, ...] = (
        image,
        torch.zeros(n, p, 2),
        torch.ones(n, p, dtype=torch.int64),
        torch.zeros(n, 4),
        torch.zeros(n, 1, config.mask_size, config.mask_size),
        torch.ones(n, dtype=torch.bool),
    )
    dynamic = ([{} for _ in image], {0: count, 1: some}, {0: count, 1: some}, *[{0: count}] * 3)
    names = ("features", *_fine(sam), "points", "labels", "boxes", "mask_input", "has_mask_input")
    return Graph("decoder", WholeDecoder(sam), inputs, dynamic, names, ("low_res_masks", "iou_predictions"))


def _fine(sam: Sam) -> tuple[str, ...]:
    return tuple(f"fine{i}" for i in range(len(fine_shapes(sam))))
