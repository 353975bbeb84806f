"""Prompts on an image that is too large for memory: only the tile around a prompt is read and encoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, PromptError
from ..model.sam import Sam
from ..runtime.choose import open_runtime
from ..runtime.interface import Runtime
from ..runtime.names import Precision, RuntimeName
from ..task import rle
from ..task.frame import ImageFrame
from ..task.large_image import LargeImage, large_shape, read_part
from ..task.prompts import Prompt
from .automask.grid import Crop
from .predictor import Prediction, SamPredictor

ROOM = 2.0
"""the first tile's side, in longer sides of what the prompt spans"""


KEPT = 6
"""tiles whose embeddings are kept"""


class TilePrediction(NamedTuple):
    """Masks of one object: M masks as RLE of the whole image, M scores, and the tile they were found in."""

    masks: list[rle.RLE]
    scores: NDArray[np.float32]
    tile: Crop


class TilePredictor:
    """Answers prompts on a large image, in its pixels.

    A tile around the prompt is encoded; where a mask reaches its edge, one of twice the side is, seen more coarsely, up
    to the whole image. The last tiles are kept for more prompts on the same object.

    Args:
        model: the model.
        image: H×W×3 uint8 RGB, read by slices.
        tile: side of the smallest tile in pixels, and the most that is read of a larger one.
        runtime: what runs the model, see `open_runtime`.
        precision: "exact", or "fast" for bfloat16 where the chip has it.

    Raises ImageError where the image is no H×W×3 uint8, and ConfigError for a tile below 64 pixels.
    """

    def __init__(
        self,
        model: Sam,
        image: LargeImage,
        tile: int = 1024,
        runtime: RuntimeName | Runtime = "auto",
        precision: Precision = "exact",
    ) -> None:
        if tile < 64:
            raise ConfigError(f"tile: expected a side of at least 64 pixels, got {tile}")
        self.image = image
        self.shape = large_shape(image)
        self.side = tile
        self.runtime = open_runtime(model, runtime, precision)
        self._predictors: dict[Crop, SamPredictor] = {}  # of the last tiles, the one used last at the end

    def predict(self, prompt: Prompt, multimask_output: bool | None = None) -> TilePrediction:
        """Masks of one object; `multimask_output` as for `SamPredictor.predict_many`.

        Raises PromptError for a prompt outside the image or with a mask, whose logits belong to a whole image.
        """
        if prompt.mask is not None:
            raise PromptError("mask: cannot be a prompt on a large image; give points or a box")
        prompt.check_inside(ImageFrame(*self.shape, self.side))
        for tile in self._tiles(prompt):
            step = self._step(tile)
            found = self._at(tile, step).predict_many([_within(prompt, tile, step)], multimask_output)[0]
            if not self._cut_off(found, tile):
                break
        masks = [rle.encode_part(mask, tile[1], tile[0], self.shape, step) for mask in found.masks]
        return TilePrediction(masks, found.scores, tile)

    def _tiles(self, prompt: Prompt) -> Iterator[Crop]:
        """Tiles around a prompt, each twice as long as the one before, the last the whole image."""
        known = [prompt.points] if prompt.box is None else [prompt.points, prompt.box.reshape(2, 2)]
        corners = np.concatenate(known)
        low, high = corners.min(0), corners.max(0)
        side = max(self.side, round(ROOM * float((high - low).max())))
        while True:
            (x0, x1), (y0, y1) = (
                _span(middle, side, length) for middle, length in zip((low + high) / 2, self.shape[::-1], strict=True)
            )
            yield x0, y0, x1, y1
            if side >= max(self.shape):
                return
            side *= 2

    def _step(self, tile: Crop) -> int:
        """Every how many pixels a tile is read."""
        return max(1, -(-max(tile[2] - tile[0], tile[3] - tile[1]) // self.side))

    def _at(self, tile: Crop, step: int) -> SamPredictor:
        """What answers prompts on a tile, which is read and encoded where it is none of the last ones."""
        predictor = self._predictors.pop(tile, None)
        if predictor is None:
            predictor = SamPredictor(self.runtime.sam, self.runtime)
            predictor.set_pixels(read_part(self.image, tile, step))
        self._predictors[tile] = predictor
        if len(self._predictors) > KEPT:
            del self._predictors[next(iter(self._predictors))]
        return predictor

    def _cut_off(self, found: Prediction, tile: Crop) -> bool:
        """Whether the best mask reaches an edge of its tile that is not one of the image."""
        mask = found.masks[found.scores.argmax()]
        height, width = self.shape
        return bool(
            (tile[0] > 0 and mask[:, 0].any())
            or (tile[1] > 0 and mask[0].any())
            or (tile[2] < width and mask[:, -1].any())
            or (tile[3] < height and mask[-1].any())
        )


def _within(prompt: Prompt, tile: Crop, step: int) -> Prompt:
    """A prompt in the pixels of a tile that is read every `step` pixels."""
    origin, size = np.array(tile[:2]), np.array([tile[2] - tile[0], tile[3] - tile[1]])
    box = None if prompt.box is None else np.clip(prompt.box.reshape(2, 2) - origin, 0, size).ravel() / step
    return Prompt((prompt.points - origin) / step, prompt.labels, box)


def _span(middle: float, side: int, length: int) -> tuple[int, int]:
    """`side` pixels around the middle, moved into an axis of `length` pixels; all of them where it is shorter."""
    first = max(0, min(round(middle - side / 2), length - side))
    return first, min(first + side, length)
