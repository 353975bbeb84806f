"""CLIP's image vectors of labelled objects, in whose place a text's vector comes at use (§7.5, appendix D.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dataset.sample import Record, Sample
from ..errors import DataError
from ..files import replacing
from ..task.boxes import mask_boxes
from .claim import claim

MIN_AREA = 100**2
"""masks of no more pixels get no vector (appendix D.5)"""
ENLARGED = (1.0, 2.0)
"""range of the factor by which a mask's box is enlarged"""
ALONE = 0.5
"""share of the crops whose pixels off the mask are black"""

Progress = Callable[[int, int], None]
"""told of the images that are done and of all there are"""


class ImageTower(Protocol):
    """What makes vectors of crops, such as `ClipTowers`."""

    width: int

    def crops(self, crops: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.bool_]] | None = None) -> Tensor:
        """N crops S×S×3 with masks S×S as unit vectors N×D."""


def crop_object(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A square crop around an H×W mask, S×S×3, and the mask in it, S×S.

    The mask's box is enlarged by a factor from 1 to 2, and made a square with black where the image ends; half of the
    crops are black off the mask (appendix D.5).
    """
    x0, y0, x1, y1 = mask_boxes(mask[None])[0] + np.array([0, 0, 1, 1])
    side = max(x1 - x0, y1 - y0) * rng.uniform(*ENLARGED)
    half = max(1, round(side / 2))
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    padded = (slice(y, y + 2 * half), slice(x, x + 2 * half))  # of what is padded by half on every side
    crop = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_CONSTANT)[padded]
    inside = np.pad(mask, half)[padded]
    if rng.random() < ALONE:
        crop = crop * inside[..., None]
    return np.ascontiguousarray(crop), inside


def embed_objects(
    tower: ImageTower,
    samples: Sequence[Sample],
    folder: Path,
    name: str,
    variants: int,
    seed: int,
    min_area: int = MIN_AREA,
    report: Progress | None = None,
) -> None:
    """Put vectors of the objects of images into a folder, a file an image; what is there stays.

    Args:
        tower: makes the vectors.
        samples: the images.
        folder: of this tower, seed and number of variants alone.
        name: tells the tower from others.
        variants: crops of each object.
        seed: of the crops.
        min_area: pixels that a mask must exceed.
        report: called after each image.

    Raises ConfigError where the folder holds other vectors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    about = {"tower": name, "width": tower.width, "variants": variants, "seed": seed, "min_area": min_area}
    claim(folder, about, "vectors of another CLIP or recipe")
    for done, sample in enumerate(samples, 1):
        path = _path(folder, sample)
        if not path.exists():
            rng = np.random.default_rng([seed, int(path.stem[:8], 16)])
            vectors = _vectors(tower, sample, variants, min_area, rng)
            with replacing(path) as temporary:
                try:
                    save_file(vectors, temporary)
                except SafetensorError as error:  # what a full disk is told as
                    raise OSError(str(error)) from error
        sample.forget()
        if report:
            report(done, len(samples))


class ObjectVectors:
    """Reads what `embed_objects` has put into a folder.

    Args:
        folder: of the vectors.
        width: their length.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self.folder, self.width = folder, width

    def read(self, sample: Sample, annotations: Sequence[Record], rng: np.random.Generator) -> Tensor:
        """A vector of each of N objects of an image, one of its variants: N×D; zeros where the object is too small."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = _path(self.folder, sample)
        try:
            vectors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path}: vectors of {sample.where} are missing ({error}); run the same again") from None
        found = torch.zeros(len(annotations), self.width)
        for row, annotation in enumerate(annotations):
            variants = vectors.get(str(annotation.get("id")))
            if variants is not None:
                found[row] = variants[rng.integers(len(variants))].float()
        return found


def _vectors(
    tower: ImageTower, sample: Sample, variants: int, min_area: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    large = [annotation for annotation in sample.annotations if sample.area(annotation) > min_area]
    if not large:
        return {}
    image = sample.image()
    found = {}
    for annotation in large:
        mask = sample.mask(annotation)
        crops, masks = zip(*(crop_object(image, mask, rng) for _ in range(variants)), strict=True)
        found[str(annotation.get("id"))] = tower.crops(crops, masks).half().cpu().contiguous()
    return found


def _path(folder: Path, sample: Sample) -> Path:
    name = f"{sample.where}\n{sample.name}"
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.safetensors"
