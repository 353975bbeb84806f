"""Segmenters without a learned model, for scale beside a model's figures: discs, GrabCut, Felzenszwalb's segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NoImageError, PromptError
from ..predict.predictor import Prediction
from ..task import rle
from ..task.frame import ImageFrame
from ..task.image import read_image
from ..task.prompts import Label, Prompt

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]
Scores = Sequence[float]

# Measured on COCO training images with one click at each object's centre (3588 objects of 452 images for discs, 366 of
# 60 for segments): the middle one has the best mean IoU, and with the outer two beside it the best of three is best.
DISC_RADII = (0.02, 0.05, 0.15)
"""small, middle, large; shares of the image's shorter side"""
DISC_SCORES = (0.197, 0.254, 0.194)
"""mean IoU of each in that measurement; best of three .426"""
SEGMENT_SCALES = (100, 400, 1600)
"""Felzenszwalb and Huttenlocher's k, which prefers larger segments the larger it is"""
CLICK_SCORES = (0.227, 0.267, 0.187)
"""mean IoU of each in that measurement; best of three .386"""
BOX_SCORES = (0.582, 0.494, 0.363)
"""the same with the object's box for prompt"""

GRABCUT_REACH = 0.3
"""how far GrabCut looks around clicks, as a share of the shorter side: mean IoU .244 on those 366, else .166"""


class Baseline(ABC):
    """Answers prompts as `SamPredictor` does, from the pixels alone, and the same way each time.

    It has no logits, and ignores the mask of a prompt.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._pixels: NDArray[np.uint8] | None = None

    def set_image(self, image: Any) -> None:
        """Take an image: H×W×3 uint8 RGB, or what else `read_image` takes. Raises ImageError for what is no image."""
        self._pixels = read_image(image)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The image, H×W×3. Raises NoImageError where none is set."""
        if self._pixels is None:
            raise NoImageError("no image is set: call set_image(image) before asking for masks")
        return self._pixels

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def predict_many(self, prompts: Sequence[Prompt], multimask_output: bool | None = None) -> list[Prediction]:
        """Masks of many objects: one each, or up to three where several are asked for; logits are M×0×0.

        `multimask_output` None asks for several where a prompt is a single click. Raises PromptError for an empty
        list, for prompts outside the image, and for those with neither click nor box.
        """
        if not prompts:
            raise PromptError("no prompts: give at least one object")
        frame = ImageFrame(*self.shape, size=max(self.shape))
        predictions = []
        for prompt in prompts:
            prompt.check_inside(frame)
            if not len(prompt.points) and prompt.box is None:
                raise PromptError(f"{self.name}: expected a click or a box, got a mask alone; give one of them too")
            several = prompt.is_ambiguous if multimask_output is None else multimask_output
            masks, scores = self._segment(prompt, several)
            logits = np.zeros((len(masks), 0, 0), np.float32)
            predictions.append(Prediction(np.stack(masks), np.asarray(scores, np.float32), logits))
        return predictions

    @abstractmethod
    def _segment(self, prompt: Prompt, several: bool) -> tuple[Sequence[Mask], Scores]:
        """The H×W masks of one object with their scores; one only, unless several are asked for."""


class Disc(Baseline):
    """Discs around the foreground clicks; where those of background clicks reach, the nearest click decides.

    A disc of middle radius, or three radii where several masks are asked for. For a box: the one ellipse inscribed
    in it, to which clicks add, and from which they take, no farther than the box.
    """

    name = "disc"

    def _segment(self, prompt: Prompt, several: bool) -> tuple[Sequence[Mask], Scores]:
        three = several and prompt.box is None
        chosen = range(len(DISC_RADII)) if three else (1,)
        return [_disc(self.shape, prompt, DISC_RADII[i]) for i in chosen], [DISC_SCORES[i] for i in chosen]


class GrabCut(Baseline):
    """OpenCV's GrabCut (Rother et al., 2004), five iterations, with clicks as certain pixels; always one mask.

    With a box, all within is probable object, and all outside is certain background. Without one, `Disc`'s mask of
    middle radius is probable object, the rest probable background, and what is far from every foreground click certain
    background. Where this finds nothing, or there is too little of either to learn colours from, the answer is the
    box, or `Disc`'s mask.
    """

    name = "grabcut"

    def _segment(self, prompt: Prompt, several: bool) -> tuple[Sequence[Mask], Scores]:
        foreground, background = _distances(self.shape, prompt)
        if prompt.box is None:
            start, reach = _disc(self.shape, prompt, DISC_RADII[1]), foreground <= _radius(self.shape, GRABCUT_REACH)
        else:
            start = reach = _box(self.shape, prompt.box)
        labels = np.where(start, cv2.GC_PR_FGD, np.where(reach, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
        certain = _radius(self.shape, 0.01)
        labels[np.minimum(foreground, background) <= certain] = cv2.GC_BGD
        labels[(foreground <= certain) & (foreground <= background)] = cv2.GC_FGD
        cv2.setRNGSeed(0)  # the colour models start from a random clustering
        try:
            cv2.grabCut(
                self.pixels, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK
            )
        except cv2.error:
            return [start], [1.0]
        mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return [mask if mask.any() else start], [1.0]


class Felzenszwalb(Baseline):
    """The segments of Felzenszwalb and Huttenlocher (2004) at three scales, as scikit-image finds them.

    For clicks: the segments under the foreground clicks without those under the background clicks; in a segment with
    both the nearest click decides. For a box: the segments that lie more than half within, cut to the box, which is
    itself the answer where there are none. One mask has the scale that suited such prompts best in training images:
    the middle one for clicks, the finest for boxes.
    """

    name = "felzenszwalb"

    def __init__(self) -> None:
        super().__init__()
        self._segments: list[NDArray[np.int64]] | None = None

    def set_image(self, image: Any) -> None:
        """As of `Baseline`; the segments are found when they are first needed."""
        super().set_image(image)
        self._segments = None

    @property
    def segments(self) -> list[NDArray[np.int64]]:
        """The number of each pixel's segment, H×W, at each scale. Raises NoImageError where no image is set."""
        if self._segments is None:
            from skimage.segmentation import felzenszwalb

            self._segments = [felzenszwalb(self.pixels, scale, sigma=0.8, min_size=20) for scale in SEGMENT_SCALES]
        return self._segments

    def proposals(self, pixels: Any) -> list[rle.RLE]:
        """Every segment of an image once, as object proposals (§7.3), the largest first."""
        self.set_image(pixels)
        found = {}
        for segments in map(np.asfortranarray, self.segments):  # in the order of RLE, which is ten times as fast
            for number, area in enumerate(np.bincount(segments.ravel(order="K"))):
                encoded = rle.encode(segments == number)
                found[encoded["counts"]] = int(area), encoded
        return [encoded for _, encoded in sorted(found.values(), key=lambda pair: -pair[0])]

    def _segment(self, prompt: Prompt, several: bool) -> tuple[Sequence[Mask], Scores]:
        scores = CLICK_SCORES if prompt.box is None else BOX_SCORES
        chosen = range(len(scores)) if several else (int(np.argmax(scores)),)
        nearest = np.less_equal(*_distances(self.shape, prompt))
        return [_select(self.segments[i], prompt, nearest) for i in chosen], [scores[i] for i in chosen]


def _select(segments: NDArray[np.int64], prompt: Prompt, nearest: Mask) -> Mask:
    """The H×W mask that a prompt chooses from H×W segment numbers; `nearest`: whether a foreground click is."""
    height, width = segments.shape
    columns, rows = np.minimum(prompt.points.astype(np.int64), [width - 1, height - 1]).T
    clicked = segments[rows, columns]
    wanted = np.isin(segments, clicked[prompt.labels == Label.FOREGROUND])
    unwanted = np.isin(segments, clicked[prompt.labels == Label.BACKGROUND])
    if prompt.box is None:
        return wanted & (~unwanted | nearest)
    box = _box(segments.shape, prompt.box)
    areas = np.bincount(segments.ravel())
    within = 2 * np.bincount(segments[box], minlength=len(areas)) > areas
    start = box & within[segments] if within.any() else box
    return box & np.where(wanted & unwanted, nearest, (start | wanted) & ~unwanted)


def _disc(shape: tuple[int, ...], prompt: Prompt, share: float) -> Mask:
    """Disc's H×W mask with a radius of `share` of the shorter side."""
    foreground, background = _distances(shape, prompt)
    near = np.minimum(foreground, background) <= _radius(shape, share)
    if prompt.box is None:
        return near & (foreground <= background)
    return np.where(near, foreground <= background, _ellipse(shape, prompt.box)) & _box(shape, prompt.box)


def _radius(shape: tuple[int, ...], share: float) -> float:
    """Radius in pixels; at least the pixel that is clicked lies within."""
    return max(1.0, share * min(shape))


def _distances(shape: tuple[int, ...], prompt: Prompt) -> tuple[Distances, Distances]:
    """H×W distances of the pixels' centres to the nearest foreground and background click; infinite without."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    nearest = {label: np.full(shape, np.inf) for label in (Label.FOREGROUND, Label.BACKGROUND)}
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
        np.minimum(nearest[label], distance, out=nearest[label])
    return nearest[Label.FOREGROUND], nearest[Label.BACKGROUND]


def _pixels_of(shape: tuple[int, ...], box: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the pixels in an image that a box touches; x1 and y1 lie past the last."""
    x0, y0 = np.floor(box[:2]).clip(0)
    x1, y1 = np.minimum(np.ceil(box[2:]), shape[::-1])
    return int(x0), int(y0), int(x1), int(y1)


def _box(shape: tuple[int, ...], box: NDArray[np.float64]) -> Mask:
    """The H×W mask of the pixels that a box touches."""
    x0, y0, x1, y1 = _pixels_of(shape, box)
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _ellipse(shape: tuple[int, ...], box: NDArray[np.float64]) -> Mask:
    """The H×W mask of the pixels whose centres lie in the ellipse inscribed in a box."""
    x0, y0, x1, y1 = _pixels_of(shape, box)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    across = (2 * columns + 1 - x0 - x1) / (x1 - x0)
    down = (2 * rows + 1 - y0 - y1) / (y1 - y0)
    mask: Mask = across**2 + down**2 <= 1
    return mask
