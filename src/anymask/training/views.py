"""Training views: a crop of an image in the model frame, with a few of its objects as targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..dataset.sample import Record, Sample
from ..errors import AnymaskError, DataError
from ..model.sam import ImageEmbedding
from ..task.boxes import mask_boxes
from ..task.clicks import centre_click
from ..task.frame import ImageFrame
from .augment import draw_frame, jitter_colour
from .clip_prompts import ObjectVectors
from .config import Augmentation
from .copy_paste import cut_out, paste
from .rollout import Targets
from .sources import Sources

MIN_CELLS = 12
"""smallest target, in cells of the low-resolution mask"""
MOST_OF_IMAGE = 0.9
"""largest target, as a share of the view: masks over 90 % of the image are left out (appendix A)"""

MOST_TRIES = 1000
"""images that are drawn for one view, for many may have no object that is of use"""

Seen = Tensor | ImageEmbedding
"""what a task sees of an image"""


@dataclass(frozen=True, eq=False)
class View:
    """One image with N objects.

    Pixels 3×h×w of 0 to 255, not padded, or their embedding; masks N×m×m, empty where the image has no labels; boxes
    N×4 and centres N×2 in the model frame; CLIP's vectors N×D, zeros where an object has none, or None.
    """

    pixels: Seen
    masks: Tensor
    boxes: Tensor
    centres: Tensor
    text: Tensor | None = None


class Shown(NamedTuple):
    """The objects that a view shows, as in `View`, and which of those that were offered they are."""

    masks: Tensor
    boxes: Tensor
    centres: Tensor
    chosen: list[int]


Batch = tuple[list[Seen], Targets] | AnymaskError


class Views(Dataset[View | AnymaskError]):
    """A seeded sequence of views: item i is the same whenever and wherever it is asked for.

    Args:
        sources: where the images come from.
        size: side of the model frame, in pixels.
        mask_size: side of the low-resolution masks of that frame.
        objects: objects per view; those of an image with fewer are repeated.
        augmentation: how images are changed.
        length: number of views.
        seed: of the whole sequence.
        even_sizes: whether objects of a rare size are drawn as often as those of a common one.
        unlabelled: whether images without annotations are of use; their targets are empty.
        vectors: CLIP's vectors of the objects, where they are prompts.
    """

    def __init__(
        self,
        sources: Sources,
        size: int,
        mask_size: int,
        objects: int,
        augmentation: Augmentation,
        length: int,
        seed: int,
        even_sizes: bool = False,
        unlabelled: bool = False,
        vectors: ObjectVectors | None = None,
    ) -> None:
        self.sources, self.even_sizes, self.unlabelled, self.vectors = sources, even_sizes, unlabelled, vectors
        self.size, self.mask_size, self.objects, self.length, self.seed = size, mask_size, objects, length, seed
        self.augmentation = augmentation

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
        source = self.sources.draw(rng)  # once, so that a source with much of no use keeps its share
        for _ in range(MOST_TRIES):
            sample, donor = _one_of(source, rng), None
            if rng.random() < self.augmentation.paste:
                donor = _one_of(self.sources.draw(rng), rng)
            view = self.make(sample, donor, rng)
            for used in (sample, donor):
                if used is not None:
                    used.forget()  # records of millions of images would fill the memory
            if view is not None:
                return view
        raise DataError(
            f"{MOST_TRIES} images in a row, the last of them {sample.where}, hold no object that is large enough to "
            f"train on: at least {MIN_CELLS} cells of a mask of {self.mask_size}×{self.mask_size}"
        )

    def make(self, sample: Sample, donor: Sample | None, rng: np.random.Generator) -> View | None:
        """A view of an image; None where it is of no use."""
        if not sample.annotations:
            return self._make_unlabelled(sample, rng) if self.unlabelled else None
        drawn = self.draw_objects(sample, rng)
        masks, text = [sample.counted(each) for each in drawn], None
        if self.vectors:
            text = self.vectors.read(sample, drawn, rng)
        return make_view(sample, masks, self.size, self.mask_size, self.objects, self.augmentation, rng, donor, text)

    def draw_objects(self, sample: Sample, rng: np.random.Generator) -> list[Record]:
        """Some of an image's objects: twice as many as are asked for, since some may be too small."""
        annotations = sample.annotations
        if self.even_sizes:
            order = draw_evenly([sample.area(annotation) for annotation in annotations], rng)
        else:
            order = rng.permutation(len(annotations))
        return [annotations[i] for i in order[: 2 * self.objects]]

    def _make_unlabelled(self, sample: Sample, rng: np.random.Generator) -> View:
        image = sample.image()
        somewhere = np.zeros(image.shape[:2], bool)
        somewhere[tuple(rng.integers(image.shape[:2]))] = True
        crop = draw_crop(somewhere, self.size, self.augmentation, rng)
        empty = torch.zeros(self.objects, self.mask_size, self.mask_size, dtype=torch.bool)
        pixels = make_pixels(image, *crop, self.augmentation.colour, rng)
        return View(pixels, empty, torch.zeros(self.objects, 4), torch.zeros(self.objects, 2))


def make_view(
    sample: Sample,
    masks: list[NDArray[np.bool_]],
    size: int,
    mask_size: int,
    objects: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    donor: Sample | None = None,
    text: Tensor | None = None,
) -> View | None:
    """A view of one image and its H×W masks; None where no object in it is large enough.

    `donor` gives an object that is pasted onto the image; `text` are CLIP's vectors of the masks, N×D.
    """
    image = sample.image()
    if donor is not None and donor.annotations:
        chosen = donor.annotations[draw_evenly([donor.area(a) for a in donor.annotations], rng)[0]]
        image, masks = paste(image, masks, *cut_out(donor.image(), donor.mask(chosen)), rng)
    frame, mirrored = draw_crop(masks[0], size, augmentation, rng)
    shown = make_targets(masks, frame, mirrored, size, mask_size, objects)
    if shown is None:
        return None
    text = None if text is None else text[shown.chosen]
    pixels = make_pixels(image, frame, mirrored, augmentation.colour, rng)
    return View(pixels, shown.masks, shown.boxes, shown.centres, text)


def draw_crop(
    mask: NDArray[np.bool_], size: int, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[ImageFrame, bool]:
    """The frame of a view that holds some of an H×W mask, and whether it is mirrored."""
    return draw_frame(mask, size, augmentation.jitter, rng), augmentation.flip and rng.random() < 0.5


def make_pixels(
    image: NDArray[np.uint8], frame: ImageFrame, mirrored: bool, colour: float, rng: np.random.Generator
) -> Tensor:
    """What a frame shows of an H×W×3 image: 3×h×w."""
    pixels = frame.resize_image(np.ascontiguousarray(image[_window(frame)][:, :: -1 if mirrored else 1]))
    return torch.from_numpy(jitter_colour(pixels, colour, rng)).permute(2, 0, 1)


def make_targets(
    masks: list[NDArray[np.bool_]], frame: ImageFrame, mirrored: bool, size: int, mask_size: int, objects: int
) -> Shown | None:
    """The first objects that are large enough in a frame; None for no object."""
    cells = max(1, round(mask_size * frame.size / size))
    shown = [mask[_window(frame)][:, :: -1 if mirrored else 1] for mask in masks]
    targets = [_shrink(mask, frame, cells, mask_size) for mask in shown]
    h, w = ImageFrame(frame.height, frame.width, cells).resized
    large = [i for i, t in enumerate(targets) if MIN_CELLS <= t.sum() <= MOST_OF_IMAGE * h * w][:objects]
    if not large:
        return None
    chosen = [large[i % len(large)] for i in range(objects)]
    stack = np.stack([targets[i] for i in chosen])
    cell = size / stack.shape[-1]
    boxes = (mask_boxes(stack) + np.array([0, 0, 1, 1])) * cell
    centres = np.array([centre_click(t) for t in stack]) * cell
    return Shown(torch.from_numpy(stack), torch.from_numpy(boxes).float(), torch.from_numpy(centres).float(), chosen)


def _window(frame: ImageFrame) -> tuple[slice, slice]:
    return np.s_[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]


def _one_of(samples: Sequence[Sample], rng: np.random.Generator) -> Sample:
    return samples[int(rng.integers(len(samples)))]


def draw_evenly(areas: list[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of objects in which no size comes before another, however many objects have it.

    Sizes are octaves of an object's side. Objects of a rare size are drawn as often as those of a common one.
    """
    octave = np.floor(0.5 * np.log2(np.maximum(areas, 1))).astype(np.int64)
    _, which, count = np.unique(octave, return_inverse=True, return_counts=True)
    return np.argsort(rng.exponential(size=len(areas)) * count[which])


def batches(
    views: Views, batch: int, first: int, workers: int, part: slice | None = None
) -> Iterator[tuple[list[Seen], Targets]]:
    """The batches of views from number `first` on, made by background workers: B images, and their targets.

    Of each batch only the views of `part` are made. Raises what is wrong with the data.
    """
    order = np.arange(first * batch, len(views)).reshape(-1, batch)[:, part or slice(None)]
    loader: DataLoader[View | AnymaskError] = DataLoader(
        views,
        batch_size=order.shape[1],
        sampler=order.flatten().tolist(),
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
    texts = [view.text for view in good if view.text is not None]
    text = torch.stack(texts) if texts else None
    return [view.pixels for view in good], Targets(stacked[0], stacked[1], stacked[2], text)


def _shrink(mask: NDArray[np.bool_], frame: ImageFrame, cells: int, side: int) -> NDArray[np.bool_]:
    """A mask of the crop, `cells` along its longer side, padded to `side`; a cell counts where half is covered."""
    h, w = ImageFrame(frame.height, frame.width, cells).resized
    small = cv2.resize(mask.astype(np.uint8) * 255, (w, h), interpolation=cv2.INTER_AREA) >= 128
    return np.pad(small, ((0, side - h), (0, side - w)))
