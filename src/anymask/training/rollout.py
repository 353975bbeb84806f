"""The interactive rollout: a first click or box, then clicks on what is wrong, each with its own loss (appendix A)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..model.sam import ImageEmbedding
from ..task.clicks import centre_of_error_click, noisy_box, random_click
from ..task.prompts import Label, PromptBatch
from .config import Prompting, Stage
from .losses import sam_loss

Decode = Callable[[ImageEmbedding, PromptBatch], tuple[Tensor, Tensor]]
"""`Sam.decode_all`, or what stands for it"""


@dataclass(frozen=True, eq=False)
class Targets:
    """The objects of a batch: B images with N each.

    Attributes:
        masks: B×N×m×m bool, at the resolution of the low-resolution masks.
        boxes: B×N×4 in the model frame.
        centres: B×N×2 in the model frame, the point farthest from the mask's edge.
        text: CLIP's vectors, B×N×D, zeros where an object has none; None where they are no prompts.
    """

    masks: Tensor
    boxes: Tensor
    centres: Tensor
    text: Tensor | None = None

    def __getitem__(self, part: slice) -> Targets:
        """Those of some of the images."""
        text = None if self.text is None else self.text[part]
        return Targets(self.masks[part], self.boxes[part], self.centres[part], text)

    def to(self, device: torch.device | str) -> Targets:
        """The same on another device."""
        text = None if self.text is None else self.text.to(device)
        return Targets(self.masks.to(device), self.boxes.to(device), self.centres.to(device), text)


class Draws:
    """Random numbers for the objects of a step, the same however the step's images are spread over processes.

    Args:
        seed: of this step.
        images: images of the step in all processes together.
        objects: objects per image.
        part: which images are this process's.
        device: where the numbers are needed.
    """

    def __init__(self, seed: int, images: int, objects: int, part: slice, device: torch.device) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._shape, self._part, self._device = (images, objects), part, device

    def uniform(self) -> Tensor:
        """B×N numbers from 0 to 1."""
        return torch.rand(self._shape, generator=self._generator)[self._part].to(self._device)

    def normal(self, count: int) -> Tensor:
        """B×N×count numbers of a standard normal distribution."""
        return torch.randn((*self._shape, count), generator=self._generator)[self._part].to(self._device)

    def integer(self, below: int) -> int:
        """A number from 0, for all processes."""
        return int(torch.randint(below, (), generator=self._generator))


def rollout(
    decode: Decode,
    embedding: ImageEmbedding,
    targets: Targets,
    stage: Stage,
    prompting: Prompting,
    draws: Draws,
) -> Iterator[dict[str, Tensor]]:
    """Yield the losses of the rounds of prompts that are learned from, as `sam_loss` gives them.

    Only detached logits and the prompts pass from round to round.
    """
    cell = stage.size / targets.masks.shape[-1]
    coords, labels, by_box = _first_prompts(targets, stage.size, prompting, draws)
    by_text = _by_text(targets, prompting, draws)
    if by_text is not None:
        labels = labels.masked_fill(by_text[..., None], Label.NOT_A_POINT)
        by_box = by_box * ~by_text
    points = draws.integer(prompting.points + 1) if prompting.fewer else prompting.points
    clicks = _plan(points, prompting, draws)
    learned = _learned(len(clicks), prompting, draws)
    room = coords.shape[2] + prompting.points  # one shape for all rounds
    previous: Tensor | None = None
    for i, clicked in enumerate(clicks):
        if clicked:
            click, label = _correction(previous, targets.masks, prompting, draws)
            coords = torch.cat([coords, click[:, :, None] * cell], dim=2)
            labels = torch.cat([labels, label[:, :, None]], dim=2)
        with nullcontext() if learned[i] else torch.no_grad():
            logits, iou = decode(embedding, _with_text(_padded(coords, labels, previous, room), targets.text, by_text))
            multi = torch.full_like(by_box, i == 0)
            single = by_box * prompting.box_single if i == 0 else torch.ones_like(by_box)
            if learned[i]:
                yield sam_loss(logits, iou, targets.masks, multi, single, stage.spread, stage.iou_weight)
        previous = _fed_back(logits, iou, i == 0)


def _plan(points: int, prompting: Prompting, draws: Draws) -> list[bool]:
    """For each round, whether a click comes with it: not with the first, nor with two that only refine."""
    clicks = [True] * points
    if prompting.refine:
        clicks.insert(draws.integer(points + 1), False)
        clicks.append(False)
    return [False, *clicks]


def _learned(rounds: int, prompting: Prompting, draws: Draws) -> list[bool]:
    """For each round, whether it is learned from: the first, the last, and others drawn from those between."""
    if not prompting.learn or prompting.learn >= rounds:
        return [True] * rounds
    between = list(range(1, rounds - 1))
    chosen = {0, rounds - 1}
    while len(chosen) < prompting.learn:
        chosen.add(between.pop(draws.integer(len(between))))
    return [i in chosen for i in range(rounds)]


def _first_prompts(
    targets: Targets, frame_size: int, prompting: Prompting, draws: Draws
) -> tuple[Tensor, Tensor, Tensor]:
    """A box or a click for each object: B×N×2×2 in the model frame, B×N×2 labels, and B×N, 1 where it is a box."""
    cell = frame_size / targets.masks.shape[-1]
    by_box = draws.uniform() < prompting.box
    box = noisy_box(targets.boxes, draws.normal(4), 20 * frame_size / 1024).unflatten(-1, (2, 2))
    central = draws.uniform() < prompting.centre
    anywhere = random_click(targets.masks, draws.uniform()) * cell
    click = torch.where(central[..., None], targets.centres, anywhere)
    point = torch.stack([click, torch.zeros_like(click)], dim=2)
    coords = torch.where(by_box[..., None, None], box, point)
    box_labels = torch.tensor([Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT], device=coords.device)
    point_labels = torch.tensor([Label.FOREGROUND, Label.NOT_A_POINT], device=coords.device)
    labels = torch.where(by_box[..., None], box_labels, point_labels)
    return coords, labels, by_box.float()


def _by_text(targets: Targets, prompting: Prompting, draws: Draws) -> Tensor | None:
    """B×N, which objects are first prompted by their vector alone (appendix D.5); None where no object has one."""
    if targets.text is None:
        return None
    return (draws.uniform() < prompting.text) & targets.text.any(dim=-1)


def _with_text(prompts: PromptBatch, text: Tensor | None, by_text: Tensor | None) -> PromptBatch:
    """The prompts with the vectors of some of the objects; a vector alone has no token of a point beside it."""
    if text is None or by_text is None:
        return prompts
    assert prompts.present is not None
    points = prompts.labels != Label.NOT_A_POINT
    alone = by_text & ~points.any(dim=-1)
    present = prompts.present & ~(by_text[..., None] & _first(prompts.present)) & ~alone[..., None]
    return replace(prompts, present=present, text=text[:, :, None], has_text=by_text)


def _first(present: Tensor) -> Tensor:
    """The first token of each object: it stands for the box or click that a vector has replaced."""
    first = torch.zeros_like(present)
    first[..., 0] = True
    return first


def _correction(previous: Tensor | None, masks: Tensor, prompting: Prompting, draws: Draws) -> tuple[Tensor, Tensor]:
    """A click in what the previous logits have wrong, B×N×2 in cells of the mask, and its label B×N."""
    assert previous is not None  # the first round never asks
    predicted = previous[:, :, 0] > 0
    click = random_click(predicted ^ masks, draws.uniform())
    if prompting.centre:
        central = draws.uniform() < prompting.centre
        guesses, truths = predicted[central].cpu().numpy(), masks[central].cpu().numpy()
        found = [centre_of_error_click(guess, truth) for guess, truth in zip(guesses, truths, strict=True)]
        middle = [one[0] if one else kept for one, kept in zip(found, click[central].tolist(), strict=True)]
        click[central] = torch.tensor(middle, dtype=click.dtype, device=click.device).reshape(-1, 2)
    return click, _labels_at(masks, click)


def _padded(coords: Tensor, labels: Tensor, masks: Tensor | None, room: int) -> PromptBatch:
    """Prompts filled up with absent tokens."""
    empty = room - coords.shape[2]
    present = labels.new_ones(labels.shape, dtype=torch.bool)
    return PromptBatch(
        torch.nn.functional.pad(coords, (0, 0, 0, empty)),
        torch.nn.functional.pad(labels, (0, empty), value=int(Label.NOT_A_POINT)),
        torch.nn.functional.pad(present, (0, empty)),
        masks,
    )


def _fed_back(logits: Tensor, iou: Tensor, multi: bool) -> Tensor:
    """The logits that the next round sees, B×N×1×m×m: the best-scored of three, or the single mask."""
    if not multi:
        return logits[:, :, :1].detach().float().clamp(-32, 32)
    best = 1 + iou[..., 1:].argmax(-1)
    index = best[..., None, None, None].expand(-1, -1, 1, *logits.shape[-2:])
    return logits.detach().float().gather(2, index).clamp(-32, 32)


def _labels_at(masks: Tensor, click: Tensor) -> Tensor:
    """1 where a click lies on the object and 0 elsewhere: B×N."""
    x, y = click.long().unbind(-1)
    return masks.flatten(-2).gather(-1, (y * masks.shape[-1] + x)[..., None])[..., 0].long()
