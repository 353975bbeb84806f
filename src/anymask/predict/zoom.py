"""Crisp edges: the crop around a mask is encoded anew at full resolution, and asked for the same object again.

The encoder sees an image at one size, so that an object which takes up a tenth of a photo has a tenth of its cells.
In the crop it has most of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..model.sam import ImageEmbedding
from ..runtime.interface import Runtime
from ..task.boxes import mask_boxes
from ..task.frame import ImageFrame
from ..task.metrics import iou
from ..task.prompts import Prompt, PromptBatch

MARGIN = 0.2
"""of the object's sides, kept around it"""
LEAST_GAIN = 1.2
"""how much finer the crop must be than the image, to be worth an encoding"""
LEAST_SIDE = 64
"""pixels of a crop's longer side: below it there is nothing to see"""
REUSED = 1.5
"""how much longer than needed an embedded crop may be, to serve again"""
KEPT = 4
"""embedded crops kept for later prompts"""
AGREEMENT = 0.5
"""least IoU of the two masks; below it the crop found another object, and the first mask stands"""


class Crop(NamedTuple):
    """Part of an image in its pixels; the last column and row are not in it."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def longer(self) -> int:
        """The longer side."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    def holds(self, other: Crop) -> bool:
        """Whether another crop lies in this one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1


class Zoomed(NamedTuple):
    """A mask that was asked for again: H×W bool, and its logits in the frame of the whole image, S×S."""

    mask: NDArray[np.bool_]
    logits: NDArray[np.float32]


class Zoom:
    """Asks for masks of one image again, each in the crop around it.

    Args:
        runtime: what runs the model.
        pixels: the image, H×W×3 uint8.
    """

    def __init__(self, runtime: Runtime, pixels: NDArray[np.uint8]) -> None:
        self.runtime = runtime
        self.pixels = pixels
        self.frame = runtime.sam.frame(*pixels.shape[:2])
        self._embedded: dict[Crop, ImageEmbedding] = {}

    @torch.no_grad()
    def refine(self, prompt: Prompt, mask: NDArray[np.bool_], logits: NDArray[np.float32]) -> Zoomed:
        """The mask, H×W with logits S×S, as the crop around it shows it; as it is where a crop would show no more.

        The crop is prompted with the clicks that lie in it, the box of the prompt or else that of the mask, and the
        mask.
        """
        wanted = self.crop(mask)
        if wanted is None:
            return Zoomed(mask, logits)
        crop, embedding = self._embed(wanted)
        sam, frame = self.runtime.sam, embedding.frames[0]
        batch = PromptBatch.pad([self._prompt(prompt, mask, logits, crop)], frame, sam.config.mask_size, sam.device)
        found, _ = self.runtime.decode(embedding, batch, multimask=False)
        sharp = np.zeros_like(mask)
        part = frame.masks_over(found, sam.mask_threshold)[0, 0]
        sharp[crop.y0 : crop.y1, crop.x0 : crop.x1] = part.cpu().numpy()
        if iou(sharp, mask) < AGREEMENT:
            return Zoomed(mask, logits)
        return Zoomed(sharp, self._in_image(found[0, 0].cpu().numpy(), logits, crop))

    def crop(self, mask: NDArray[np.bool_]) -> Crop | None:
        """The crop around a mask; None where the mask is empty, or the crop is no finer than the image."""
        if not mask.any():
            return None
        height, width = mask.shape
        x0, y0, x1, y1 = mask_boxes(mask[None])[0] + [0, 0, 1, 1]
        reach = max(MARGIN * max(x1 - x0, y1 - y0), (LEAST_SIDE - max(x1 - x0, y1 - y0)) / 2)
        left, top = max(0, int(x0 - reach)), max(0, int(y0 - reach))
        found = Crop(left, top, min(width, int(x1 + reach) + 1), min(height, int(y1 + reach) + 1))
        return found if found.longer * LEAST_GAIN <= max(height, width) else None

    def _embed(self, wanted: Crop) -> tuple[Crop, ImageEmbedding]:
        """A crop that holds the wanted one, and its embedding: one that is there if it is not much longer."""
        for crop, embedding in self._embedded.items():
            if crop.holds(wanted) and crop.longer <= REUSED * wanted.longer:
                return crop, embedding
        pixels = self.pixels[wanted.y0 : wanted.y1, wanted.x0 : wanted.x1]
        if len(self._embedded) == KEPT:
            del self._embedded[next(iter(self._embedded))]
        self._embedded[wanted] = self.runtime.embed(np.ascontiguousarray(pixels))
        return wanted, self._embedded[wanted]

    def _prompt(self, prompt: Prompt, mask: NDArray[np.bool_], logits: NDArray[np.float32], crop: Crop) -> Prompt:
        """What is known of the object, in pixels of the crop."""
        origin = np.array([crop.x0, crop.y0])
        size = np.array([crop.x1, crop.y1]) - origin
        points = prompt.points - origin
        inside = ((points >= 0) & (points <= size)).all(axis=1)
        drawn = mask_boxes(mask[None])[0] + [0.0, 0.0, 1.0, 1.0] if prompt.box is None else prompt.box
        corners = np.clip(drawn.reshape(2, 2) - origin, 0, size)
        box = corners.ravel() if (corners[1] > corners[0]).all() else None  # the mask may lie beside the box
        return Prompt(points[inside], prompt.labels[inside], box, self._in_crop(logits, crop))

    def _in_crop(self, logits: NDArray[np.float32], crop: Crop) -> NDArray[np.float32]:
        """Logits of the image's frame in that of a crop."""
        side = len(logits)
        rows, columns = (_linear(side, steps) for steps in self._steps(crop, side))
        found = np.full((side, side), logits.min(), np.float32)
        found[: len(rows), : len(columns)] = rows @ logits @ columns.T
        return found

    def _in_image(self, found: NDArray[np.float32], logits: NDArray[np.float32], crop: Crop) -> NDArray[np.float32]:
        """Logits of a crop's frame in that of the image, where they take the place of what was there."""
        rows, columns = (_overlap(len(logits), steps) for steps in self._steps(crop, len(logits)))
        part = found[: rows.shape[1], : columns.shape[1]]
        covered = rows.sum(1)[:, None] * columns.sum(1)
        return np.asarray((1 - covered) * logits + rows @ part @ columns.T, np.float32)

    def _steps(self, crop: Crop, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the edges of the cells of a crop's frame lie in the cells of the image's: of rows, and of columns."""
        h, w = ImageFrame(crop.y1 - crop.y0, crop.x1 - crop.x0, side).resized
        x, y = (side / self.frame.size * scale for scale in self.frame.scale)
        return np.linspace(crop.y0 * y, crop.y1 * y, h + 1), np.linspace(crop.x0 * x, crop.x1 * x, w + 1)


def _overlap(side: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """side×n: the part of each cell [i, i + 1) that lies between one edge and the next."""
    cells = np.arange(side)[:, None]
    return np.asarray(np.clip(np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells), 0, None))


def _linear(side: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """n×side: weights of the cells in a linear interpolation at the middle between one edge and the next."""
    middle = np.clip((edges[1:] + edges[:-1]) / 2, 0.5, side - 0.5)[:, None]
    return np.asarray(np.clip(1 - np.abs(middle - (np.arange(side) + 0.5)), 0, None))
