"""Examples as prompts: a mask or box in one image finds its like in this image and in others (§7.5, ours)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..model.text.detector import TextDetector
from ..model.text.weights import PACKAGED
from ..task import rle
from ..task.image import read_image
from ..task.prompts import Prompt
from .automask.generator import SamAutomaticMaskGenerator
from .text import TextFinder

ALIKE = 0.6
"""least likeness that counts by default"""
ITSELF = 0.5
"""share of a mask, or of the example in the same image, beyond which what they share makes them one thing"""
AT_ONCE = 64
"""masks that are described together"""


class Described(NamedTuple):
    """All masks of an image: SA-1B's records, and what each shows as unit vectors N×D."""

    records: list[dict[str, Any]]
    descriptors: NDArray[np.float32]


class Match(NamedTuple):
    """A mask that is like an example: the image that it is in, its record, and the cosine between both."""

    image: str
    record: dict[str, Any]
    score: float


class Describer:
    """Describes masks by what the text detector sees under them.

    Args:
        generator: finds the masks of an image; its records must hold RLE.
        text_model: the detector, its name or its weights file.
    """

    def __init__(self, generator: SamAutomaticMaskGenerator, text_model: TextDetector | str | Path = PACKAGED) -> None:
        self.generator = generator
        self.finder = TextFinder(text_model, str(generator.predictor.device))

    def example(self, image: Any, mask: Any = None, box: Any = None) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """The mask H×W of an example and what it shows, D: of the mask that is given, or of the best one for a box.

        Raises PromptError for neither or both, and for a mask that is empty or of another size.
        """
        pixels = read_image(image)
        if (mask is None) == (box is None):
            raise PromptError("example: expected a mask or a box, one of both")
        if mask is None:
            predictor = self.generator.predictor
            predictor.set_image(pixels)
            mask = predictor.predict_many([Prompt(box=box)])[0].masks[0]
        found = np.asarray(mask, bool)
        if found.shape != pixels.shape[:2] or not found.any():
            what = "is empty" if found.shape == pixels.shape[:2] else f"is {found.shape}, the image {pixels.shape[:2]}"
            raise PromptError(f"example: its mask {what}; give a mask of the image's size with something in it")
        self.finder.set_pixels(pixels)
        return found, self.finder.describe(found[None])[0]

    def describe(self, image: Any) -> Described:
        """All masks of an image, and what each shows."""
        pixels = read_image(image)
        records = self.generator.generate(pixels)
        self.finder.set_pixels(pixels)
        parts = [
            self.finder.describe(
                rle.decode_all([r["segmentation"] for r in records[i : i + AT_ONCE]], pixels.shape[:2])
            )
            for i in range(0, len(records), AT_ONCE)
        ]
        width = self.finder.detector.config.word_width
        return Described(records, np.concatenate(parts) if parts else np.zeros((0, width), np.float32))


def predict_similar(
    example: NDArray[np.float32],
    images: Mapping[str, Described] | Iterable[tuple[str, Described]],
    threshold: float = ALIKE,
    most: int | None = None,
    leave_out: tuple[str, NDArray[np.bool_]] | None = None,
) -> list[Match]:
    """The masks of images that are most like an example, best first.

    Args:
        example: what it shows, D, as `Describer.example` gives it.
        images: name of each image to its masks, as `Describer.describe` gives them; taken one by one.
        threshold: least likeness, the cosine of both.
        most: matches at most.
        leave_out: the name of the example's image and its mask, so that it does not find itself.
    """
    found: list[Match] = []
    for name, described in images.items() if isinstance(images, Mapping) else images:
        own = leave_out[1] if leave_out and leave_out[0] == name else None
        found += _matches(example, name, described, threshold, own)
        if most is not None:
            found = sorted(found, key=lambda match: -match.score)[:most]
    return sorted(found, key=lambda match: -match.score)


def _matches(
    example: NDArray[np.float32], name: str, described: Described, threshold: float, own: NDArray[np.bool_] | None
) -> Iterator[Match]:
    scores = described.descriptors @ example
    for i in np.flatnonzero(scores >= threshold):
        record = described.records[i]
        if own is None or not _is_same(rle.decode(record["segmentation"]), own):
            yield Match(name, record, float(scores[i]))


def _is_same(mask: NDArray[np.bool_], example: NDArray[np.bool_]) -> bool:
    """Whether a mask is the example, a part of it, or what it is a part of."""
    return bool((mask & example).sum() > ITSELF * min(mask.sum(), example.sum()))
