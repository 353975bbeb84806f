"""Prompts: what a person points at, one object each, and their ragged lists padded into a batch (§2, §3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from .frame import ImageFrame

if TYPE_CHECKING:
    import torch


class Label(IntEnum):
    """What a point token says."""

    NOT_A_POINT = -1
    BACKGROUND = 0
    FOREGROUND = 1
    BOX_TOP_LEFT = 2
    BOX_BOTTOM_RIGHT = 3


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is known of one object: points P×2 (x, y) with labels P, a box of 4, logits of an earlier mask, words.

    Points and box are in original pixels; labels are 1 for the object and 0 for background; the mask has the
    decoder's own resolution, 256×256 for all released models; the words are a vector D of CLIP's, for models that
    take such. Raises PromptError for anything that is no prompt.
    """

    points: Any = None
    labels: Any = None
    box: Any = None
    mask: Any = None
    text: Any = None

    def __post_init__(self) -> None:
        points = _numbers("points", self.points if self.points is not None else np.zeros((0, 2)))
        if points.ndim == 1 and points.size in (0, 2):
            points = points.reshape(-1, 2)
        if points.ndim != 2 or points.shape[1] != 2:
            raise PromptError(f"points: expected P×2 numbers (x, y), got shape {points.shape}")
        labels = _numbers("labels", self.labels if self.labels is not None else np.ones(len(points)))
        labels = labels.reshape(-1)
        if len(labels) != len(points):
            raise PromptError(f"labels: expected one for each of {len(points)} points, got {len(labels)}")
        if not np.isin(labels, (Label.BACKGROUND, Label.FOREGROUND)).all():
            raise PromptError(f"labels: expected 1 (object) or 0 (background), got {sorted(set(labels.tolist()))}")
        labels = labels.astype(np.int64)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "box", None if self.box is None else _checked_box(self.box))
        object.__setattr__(self, "mask", None if self.mask is None else _checked_mask(self.mask))
        object.__setattr__(self, "text", None if self.text is None else _numbers("text", self.text).reshape(-1))
        if not len(points) and self.box is None and self.mask is None and self.text is None:
            raise PromptError("an empty prompt: give at least one point, a box or a mask")

    def check_inside(self, frame: ImageFrame) -> None:
        """Raise PromptError where a point lies outside the image or the box does not touch it."""
        h, w = frame.shape
        outside = ((self.points < 0) | (self.points > [w, h])).any(axis=1)
        if outside.any():
            x, y = self.points[outside][0]
            raise PromptError(f"point {x:g},{y:g} lies outside the image of {w}×{h} pixels (width × height)")
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            if x0 >= w or y0 >= h or x1 <= 0 or y1 <= 0:
                raise PromptError(f"box {x0:g},{y0:g},{x1:g},{y1:g} lies outside the image of {w}×{h} pixels")

    @property
    def is_ambiguous(self) -> bool:
        """Whether several masks may be right: one click, or words, and nothing else (§3, resolving ambiguity)."""
        return len(self.points) + (self.text is not None) == 1 and self.box is None and self.mask is None

    def tokens(self, frame: ImageFrame) -> tuple[NDArray[np.float64], list[int]]:
        """The sparse tokens: T×2 coordinates in the model frame, and a `Label` each.

        As in the reference implementation a box gives its two corners after the points, and points without a box
        are followed by one token that is not a point.
        """
        coords, labels = frame.to_model(self.points), [int(label) for label in self.labels]
        if self.box is not None:
            corners = frame.boxes_to_model(self.box).reshape(2, 2)
            return np.concatenate([coords, corners]), [*labels, Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT]
        if len(coords):
            return np.concatenate([coords, np.zeros((1, 2))]), [*labels, Label.NOT_A_POINT]
        return coords, labels


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """The prompts of N objects in each of B images, as the model takes them.

    Attributes:
        coords: B×N×T×2 float, (x, y) in the model frame.
        labels: B×N×T int, a `Label` for each token.
        present: B×N×T bool, false for tokens that only fill up a ragged batch; None where all are present.
        masks: B×N×1×H×W float logits at the decoder's resolution, zero where there is none; None for no masks.
        has_mask: B×N bool, which objects have a mask; None where all or none have.
        text: B×N×K×D embeddings of text prompts; None for no text.
        has_text: B×N bool, which objects have a text; None where all or none have.
    """

    coords: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor | None = None
    masks: torch.Tensor | None = None
    has_mask: torch.Tensor | None = None
    text: torch.Tensor | None = None
    has_text: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(images, objects per image)."""
        return self.labels.shape[0], self.labels.shape[1]

    def split(self, size: int) -> Iterator[PromptBatch]:
        """The same prompts, at most `size` objects an image at a time."""
        parts = (self.coords, self.labels, self.present, self.masks, self.has_mask, self.text, self.has_text)
        for start in range(0, self.shape[1], size):
            coords, labels, *others = (None if part is None else part[:, start : start + size] for part in parts)
            yield PromptBatch(cast("torch.Tensor", coords), cast("torch.Tensor", labels), *others)

    @classmethod
    def same_parts(
        cls,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
        device: Any = None,
    ) -> PromptBatch:
        """N prompts on one image that all have the same parts, as the reference implementation takes them: 1×N.

        Args:
            points: N×P×2 coordinates in the model frame and N×P labels.
            boxes: N×4 in the model frame.
            masks: N×1×H×W logits.
            device: where the model lives.
        """
        import torch

        count = next((t.shape[0] for t in (points[0] if points else None, boxes, masks) if t is not None), 1)
        coords = torch.zeros(count, 0, 2, device=device)
        labels = torch.zeros(count, 0, dtype=torch.long, device=device)
        if points is not None:
            coords, labels = points[0], points[1].long()
            if boxes is None:
                coords = torch.cat([coords, coords.new_zeros(count, 1, 2)], dim=1)
                labels = torch.cat([labels, labels.new_full((count, 1), Label.NOT_A_POINT)], dim=1)
        if boxes is not None:
            corners = labels.new_tensor([Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT]).expand(count, 2)
            coords = torch.cat([coords, boxes.reshape(count, 2, 2)], dim=1)
            labels = torch.cat([labels, corners], dim=1)
        return cls(coords[None], labels[None], masks=None if masks is None else masks[None])

    @classmethod
    def clicks(cls, points: NDArray[np.float64], frame: ImageFrame, device: Any = None) -> PromptBatch:
        """A click on each of N×2 points in original pixels, an object each: 1×N."""
        import torch

        coords = torch.as_tensor(frame.to_model(points), dtype=torch.float32, device=device)[:, None]
        labels = torch.ones(len(points), 1, dtype=torch.int64, device=device)
        return cls.same_parts((coords, labels), None, None)

    @classmethod
    def pad(cls, prompts: Sequence[Prompt], frame: ImageFrame, mask_size: int = 256, device: Any = None) -> PromptBatch:
        """Pad a ragged list of prompts on one image to a batch of 1×N; absent tokens are never attended to.

        Raises PromptError for an empty list and for a mask that is not `mask_size` square.
        """
        import torch

        if not prompts:
            raise PromptError("no prompts: give at least one object")
        tokens = [prompt.tokens(frame) for prompt in prompts]
        count, length = len(prompts), max(len(labels) for _, labels in tokens)
        coords = np.zeros((1, count, length, 2), np.float32)
        labels = np.full((1, count, length), Label.NOT_A_POINT, np.int64)
        present = np.zeros((1, count, length), bool)
        for i, (xy, kinds) in enumerate(tokens):
            coords[0, i, : len(kinds)], labels[0, i, : len(kinds)] = xy, kinds
            present[0, i, : len(kinds)] = True
        masks, has_mask = _stack_masks(prompts, mask_size)
        text, has_text = _stack_texts(prompts)
        return cls(
            torch.from_numpy(coords).to(device),
            torch.from_numpy(labels).to(device),
            None if present.all() else torch.from_numpy(present).to(device),
            None if masks is None else torch.from_numpy(masks).to(device),
            None if has_mask is None else torch.from_numpy(has_mask).to(device),
            None if text is None else torch.from_numpy(text).to(device),
            None if has_text is None else torch.from_numpy(has_text).to(device),
        )


def _stack_masks(prompts: Sequence[Prompt], size: int) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    """Stack the masks of N prompts to 1×N×1×size×size, and say which prompts have one."""
    given = [prompt.mask is not None for prompt in prompts]
    if not any(given):
        return None, None
    stack = np.zeros((1, len(prompts), 1, size, size), np.float32)
    for i, prompt in enumerate(prompts):
        if prompt.mask is None:
            continue
        if prompt.mask.shape != (size, size):
            raise PromptError(
                f"mask: expected the {size}×{size} logits of an earlier prediction, got {prompt.mask.shape}"
            )
        stack[0, i, 0] = prompt.mask
    return stack, None if all(given) else np.array([given])


def _stack_texts(prompts: Sequence[Prompt]) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    """Stack the texts of N prompts to 1×N×1×D, and say which prompts have one. Raises PromptError for two widths."""
    widths = {prompt.text.size for prompt in prompts if prompt.text is not None}
    if not widths:
        return None, None
    if len(widths) > 1:
        raise PromptError(f"text: vectors of {sorted(widths)} numbers in one call; give those of one CLIP")
    stack = np.zeros((1, len(prompts), 1, widths.pop()), np.float32)
    given = np.array([[prompt.text is not None for prompt in prompts]])
    for i, prompt in enumerate(prompts):
        if prompt.text is not None:
            stack[0, i, 0] = prompt.text
    return stack, None if given.all() else given


def _numbers(name: str, value: Any) -> NDArray[np.float64]:
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise PromptError(f"{name}: expected numbers, got {value!r}") from None
    if not np.isfinite(array).all():
        raise PromptError(f"{name}: expected finite numbers, got NaN or infinity")
    return array


def _checked_box(value: Any) -> NDArray[np.float64]:
    box = _numbers("box", value).reshape(-1)
    if box.shape != (4,):
        raise PromptError(f"box: expected x0, y0, x1, y1, got {box.size} numbers")
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f"box {x0:g},{y0:g},{x1:g},{y1:g} is empty or inverted: x1 must exceed x0, and y1 y0")
    return box


def _checked_mask(value: Any) -> NDArray[np.float32]:
    mask = _numbers("mask", value).astype(np.float32)
    if mask.ndim == 3 and mask.shape[0] == 1:
        mask = mask[0]
    if mask.ndim != 2:
        raise PromptError(f"mask: expected H×W or 1×H×W logits, got shape {mask.shape}")
    return mask
