"""Training views: a crop of an image in the model frame, with a few of its objects as targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..dataset.sa1b import open_folder
from ..dataset.sample import Sample
from ..errors import AnymaskError, ConfigError, DataError
from ..task.boxes import mask_boxes
from ..task.clicks import centre_click
from ..task.frame import ImageFrame
from .rollout import Targets

MIN_CELLS = 12
"""smallest target, in cells of the low-resolution mask"""


@dataclass(frozen=True, eq=False)
class View:
    """One image with N objects.

    Pixels 3×h×w of 0 to 255, not padded; masks N×m×m; boxes N×4 and centres N×2 in the model frame.
    """

    pixels: Tensor
    masks: Tensor
    boxes: Tensor
    centres: Tensor


Batch = tuple[list[Tensor], Targets] | AnymaskError


class Sources:
    """The samples of several folders, and the share of the views that each gives.

    Args:
        root: folder that holds the sources.
        shares: name of each source's folder, and its share.
        images: most images that each gives, drawn by the seed; 0 for all.
        seed: of that draw.
    """

    def __init__(self, root: Path, shares: dict[str, float], images: int = 0, seed: int = 0) -> None:
        if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
            raise ConfigError("sources: expected at least one folder with a positive weight")
        self.samples = [_some(open_folder(root / name), images, seed) for name in shares]
        weights = np.array(list(shares.values()), np.float64)
        self.shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Sample:
        """A sample of a source drawn by the shares."""
        source = self.samples[rng.choice(len(self.samples), p=self.shares)]
        return source[rng.integers(len(source))]


def _some(samples: list[Sample], images: int, seed: int) -> list[Sample]:
    """So many samples; a larger number holds those of a smaller one."""
    if not images:
        return samples
    return [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))[:images]]


class Views(Dataset[View | AnymaskError]):
    """A seeded sequence of views: item i is the same whenever and wherever it is asked for.

    Args:
        sources: where the images come from.
        size: side of the model frame, in pixels.
        mask_size: side of the low-resolution masks of that frame.
        objects: objects per view; those of an image with fewer are repeated.
        length: number of views.
        seed: of the whole sequence.
    """

    def __init__(self, sources: Sources, size: int, mask_size: int, objects: int, length: int, seed: int) -> None:
        self.sources = sources
        self.size, self.mask_size, self.objects, self.length, self.seed = size, mask_size, objects, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> View | AnymaskError:
        """A view, or what is wrong with the data: raised in a worker it would reach a person as a traceback."""
        try:
            return self._draw(index)
        except AnymaskError as error:
            return error

    def _draw(self, index: int) -> View:
        rng = np.random.default_rng([self.seed, index])
        for _ in range(20):
            view = make_view(self.sources.draw(rng), self.size, self.mask_size, self.objects, rng)
            if view is not None:
                return view
        raise DataError("20 images in a row hold no object that is large enough to train on; check the sources")


def make_view(sample: Sample, size: int, mask_size: int, objects: int, rng: np.random.Generator) -> View | None:
    """Draw a view of one image; None where no object in it is large enough."""
    annotations = sample.annotations
    if not annotations:
        return None
    order = _draw_objects([sample.area(annotation) for annotation in annotations], rng)
    masks = [sample.mask(annotations[i]) for i in order[: 2 * objects]]
    frame = _draw_crop(masks[0], size, rng)
    window = np.s_[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
    flip = np.s_[:, :: -1 if rng.random() < 0.5 else 1]
    targets = [_shrink(mask[window][flip], frame, mask_size) for mask in masks]
    targets = [t for t in targets if t.sum() >= MIN_CELLS][:objects]
    if not targets:
        return None
    targets = [targets[i % len(targets)] for i in range(objects)]
    stack = np.stack(targets)
    cell = size / stack.shape[-1]
    boxes = (mask_boxes(stack) + np.array([0, 0, 1, 1])) * cell
    centres = np.array([centre_click(t) for t in targets]) * cell
    image = _jitter_colour(frame.resize_image(np.ascontiguousarray(sample.image()[window][flip])), rng)
    return View(
        torch.from_numpy(image).permute(2, 0, 1),
        torch.from_numpy(stack),
        torch.from_numpy(boxes).float(),
        torch.from_numpy(centres).float(),
    )


def batches(views: Views, batch: int, start: int, workers: int) -> Iterator[tuple[list[Tensor], Targets]]:
    """Batches of views from the view `start` on, made by background workers: B images 3×h×w, and their targets.

    Raises what is wrong with the data.
    """
    loader: DataLoader[View | AnymaskError] = DataLoader(
        views,
        batch_size=batch,
        sampler=range(start, len(views)),
        num_workers=workers,
        collate_fn=_collate,
        prefetch_factor=4 if workers else None,
    )
    made: Batch
    for made in loader:
        if isinstance(made, AnymaskError):
            raise made
        yield made


def _collate(views: list[View | AnymaskError]) -> Batch:
    """The images as they are, and their targets as one; an error is raised here no more than in a worker."""
    good = []
    for view in views:
        if isinstance(view, AnymaskError):
            return view
        good.append(view)
    stacked = [torch.stack([getattr(v, name) for v in good]) for name in ("masks", "boxes", "centres")]
    return [view.pixels for view in good], Targets(*stacked)


def _draw_objects(areas: list[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order in which larger objects tend to come first, though far less than their size would have it."""
    return np.argsort(rng.exponential(size=len(areas)) / np.maximum(areas, 1) ** 0.25)


def _draw_crop(mask: NDArray[np.bool_], size: int, rng: np.random.Generator) -> ImageFrame:
    """A window of half the image's sides or more that holds the first object's centre, or the whole image."""
    h, w = mask.shape
    if rng.random() < 0.4:
        return ImageFrame(h, w, size)
    share = rng.uniform(0.5, 1.0)
    ch, cw = max(4, int(h * share)), max(4, int(w * share))
    x, y = centre_click(mask) or (w / 2, h / 2)
    top = rng.integers(max(0, int(y) - ch + 1), min(int(y), h - ch) + 1)
    left = rng.integers(max(0, int(x) - cw + 1), min(int(x), w - cw) + 1)
    return ImageFrame(ch, cw, size, left=int(left), top=int(top))


def _shrink(mask: NDArray[np.bool_], frame: ImageFrame, side: int) -> NDArray[np.bool_]:
    """A mask of the crop in a frame of `side` cells, padded; a cell counts where half of it is covered."""
    h, w = ImageFrame(frame.height, frame.width, side).resized
    small = cv2.resize(mask.astype(np.uint8) * 255, (w, h), interpolation=cv2.INTER_AREA) >= 128
    return np.pad(small, ((0, side - h), (0, side - w)))


def _jitter_colour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast and the balance of the channels a little."""
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.93, 1.07, 3)
    shift = rng.uniform(-15, 15)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)  # 256×3
    return np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)
