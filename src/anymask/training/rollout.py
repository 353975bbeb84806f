"""The interactive rollout: a first click or box, then clicks on what is wrong, each with its own loss (appendix A)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.sam import ImageEmbedding, Sam
from ..task.clicks import noisy_box, random_click
from ..task.prompts import Label, PromptBatch
from .losses import sam_loss


@dataclass(frozen=True, eq=False)
class Targets:
    """The objects of a batch: B images with N each.

    Attributes:
        masks: B×N×m×m bool, at the resolution of the low-resolution masks.
        boxes: B×N×4 in the model frame.
        centres: B×N×2 in the model frame, the point farthest from the mask's edge.
    """

    masks: Tensor
    boxes: Tensor
    centres: Tensor


def rollout(
    model: Sam,
    embedding: ImageEmbedding,
    targets: Targets,
    frame_size: int,
    rounds: int,
    generator: torch.Generator | None = None,
    spread: float = 0.0,
) -> Iterator[dict[str, Tensor]]:
    """Yield the losses of `rounds` rounds of prompts on one embedding.

    The caller may go back through each round's loss before it asks for the next one: nothing but detached logits
    and the prompts pass from round to round. `spread` is that of `sam_loss`.
    """
    cell = frame_size / targets.masks.shape[-1]
    coords, labels, by_box = _first_prompts(targets, frame_size, cell, generator)
    previous: Tensor | None = None
    for i in range(rounds):
        prompts = PromptBatch(coords, labels, masks=previous)
        logits, iou = model.decode_all(embedding, prompts)
        multi = torch.ones_like(by_box) if i == 0 else torch.zeros_like(by_box)
        single = by_box if i == 0 else torch.ones_like(by_box)
        yield sam_loss(logits, iou, targets.masks, multi, single, spread)
        if i + 1 < rounds:
            previous = _fed_back(logits, iou, multi)
            wrong = (previous[:, :, 0] > 0) ^ targets.masks
            click = random_click(wrong, generator)
            coords = torch.cat([coords, click[:, :, None] * cell], dim=2)
            labels = torch.cat([labels, _labels_at(targets.masks, click)[:, :, None]], dim=2)


def _first_prompts(
    targets: Targets, frame_size: int, cell: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """A box, a random click or a central click for each object: B×N×2×2, B×N×2, and 1 where it is a box."""
    b, n = targets.masks.shape[:2]
    device = targets.masks.device
    draw = torch.rand(b, n, generator=generator, device=device)
    box = noisy_box(targets.boxes, 20 * frame_size / 1024, generator).unflatten(-1, (2, 2))
    anywhere = random_click(targets.masks, generator) * cell
    click = torch.where((draw < 0.75)[..., None], anywhere, targets.centres)
    point = torch.stack([click, torch.zeros_like(click)], dim=2)
    by_box = draw < 0.5
    coords = torch.where(by_box[..., None, None], box, point)
    box_labels = torch.tensor([Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT], device=device)
    point_labels = torch.tensor([Label.FOREGROUND, Label.NOT_A_POINT], device=device)
    labels = torch.where(by_box[..., None], box_labels, point_labels)
    return coords, labels, by_box.float()


def _fed_back(logits: Tensor, iou: Tensor, multi: Tensor) -> Tensor:
    """The logits that the next round sees, B×N×1×m×m: the best-scored of three, or the single mask."""
    best = torch.where(multi > 0, 1 + iou[..., 1:].argmax(-1), 0)
    index = best[..., None, None, None].expand(-1, -1, 1, *logits.shape[-2:])
    return logits.detach().float().gather(2, index).clamp(-32, 32)


def _labels_at(masks: Tensor, click: Tensor) -> Tensor:
    """1 where a click lies on the object and 0 elsewhere: B×N."""
    x, y = click.long().unbind(-1)
    return masks.flatten(-2).gather(-1, (y * masks.shape[-1] + x)[..., None])[..., 0].long()
