"""Text prompts: from words to places in an image, and so to masks of any SAM (appendix D.5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import NoImageError
from ..model.text.detector import STRIDE, Maps, TextDetector
from ..model.text.weights import PACKAGED, load_detector
from ..model.text.words import word_vectors
from ..task.boxes import box_area, box_iou, mask_boxes, nms
from ..task.frame import ImageFrame
from ..task.prompts import Label, Prompt
from ..task.regions import clean

if TYPE_CHECKING:
    from .predictor import Prediction, SamPredictor

THRESHOLD = 0.5
"""least probability at which a thing counts as being there"""
MOST = 50
"""things of one text, at most"""
CANDIDATES = 300
"""cells that are looked at for one text"""
AT_ONCE = 8
"""places whose masks are made together"""
CLOSE = 4
"""things among which clicks choose"""
SAME_BOX, SAME_MASK = 0.25, 0.6
"""IoU of the boxes of two places, and of the masks of two things, beyond which they are the same"""
REACH = 1.2
"""how much a thing's box is enlarged to tell what is about it"""
CORE = 0.5
"""share of a thing's mask that a click on background leaves at least, if it corrects the mask; else the thing goes"""


class Places(NamedTuple):
    """N places of what a text names, the surest first: boxes N×4 (x0, y0, x1, y1), points N×2 on them, probabilities N.

    Boxes and points are in original pixels.
    """

    boxes: NDArray[np.float64]
    points: NDArray[np.float64]
    scores: NDArray[np.float32]


class Instances(NamedTuple):
    """N things of one kind: masks N×H×W bool, scores N, boxes N×4 (x0, y0, x1, y1 in original pixels).

    A score is the probability that the thing is what the text names, and `ious` N say how good the mask is, as the
    model predicts; the first has the best product of both. Logits N×h×w are mask prompts for later calls.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    boxes: NDArray[np.int64]
    logits: NDArray[np.float32]
    ious: NDArray[np.float32]


class TextFinder:
    """Looks at an image once, and then finds in it whatever texts name.

    Args:
        detector: the detector, its name or its weights file.
        device: where it runs.
    """

    def __init__(self, detector: TextDetector | str | Path = PACKAGED, device: str = "cpu") -> None:
        found = detector if isinstance(detector, TextDetector) else load_detector(detector, device)
        self.detector = found.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._seen: tuple[Maps, ImageFrame] | None = None
        self._phrases: dict[str, Tensor] = {}

    @torch.no_grad()
    def set_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Look at an H×W×3 uint8 RGB image."""
        config, device = self.detector.config, self.detector.bias.device
        frame = ImageFrame(pixels.shape[0], pixels.shape[1], config.size)
        resized = torch.from_numpy(frame.resize_image(pixels)).to(device).permute(2, 0, 1)[None].float()
        prepared = self.detector.preprocess(resized).to(memory_format=torch.channels_last)
        self._seen = self.detector(prepared), frame

    def reset(self) -> None:
        """Forget the image."""
        self._seen = None

    @property
    def has_seen(self) -> bool:
        """Whether there is an image to find things in."""
        return self._seen is not None

    @property
    def seen(self) -> tuple[Maps, ImageFrame]:
        """What the detector saw of the image, and its frame. Raises NoImageError where there is none."""
        if self._seen is None:
            raise NoImageError("no image is set: call set_image(image) before asking for what a text names")
        return self._seen

    @torch.no_grad()
    def phrases(self, texts: list[str]) -> Tensor:
        """N texts as unit vectors, N×D. Raises PromptError for what is no text, ModelError without wordllama."""
        new = [text for text in dict.fromkeys(texts) if text not in self._phrases]
        if new:
            words, present = (part.to(self.detector.bias.device) for part in word_vectors(new))
            self._phrases.update(zip(new, self.detector.phrases(words, present), strict=True))
        return torch.stack([self._phrases[text] for text in texts])

    @torch.no_grad()
    def scores(self, texts: list[str]) -> NDArray[np.float32]:
        """The probability that a cell's box holds what each of N texts names, N×K×h×w; 0 for cells off the image."""
        maps, frame = self.seen
        scores: NDArray[np.float32] = self.detector.scores(maps, self.phrases(texts))[0].cpu().numpy()
        h, w = _cells(frame)
        scores[..., h:, :] = 0
        scores[..., w:] = 0
        return scores

    def boxes(self) -> NDArray[np.float64]:
        """The box that each cell speaks of, within the image, in original pixels: K×h×w×4."""
        maps, frame = self.seen
        boxes = maps.boxes[0].permute(0, 2, 3, 1).cpu().double().numpy() / np.tile(frame.scale, 2)
        return np.asarray(boxes.clip(0, np.tile([frame.width, frame.height], 2)))

    def find(
        self,
        text: str,
        threshold: float = THRESHOLD,
        most: int = MOST,
        within: NDArray[np.float64] | None = None,
    ) -> Places:
        """The places of all that a text names.

        Args:
            text: a name or a short phrase, in English.
            threshold: least probability; 0 gives the best candidates, whether or not there is such a thing.
            most: places at most.
            within: x0, y0, x1, y1 that the points have to lie in.

        Raises PromptError for what is no text, NoImageError without an image.
        """
        scores, boxes = self.scores([text])[0].ravel(), self.boxes().reshape(-1, 4)
        points = self._points()
        chosen = (scores >= threshold) & (scores > 0) & (box_area(boxes) >= 1)
        if within is not None:
            half = STRIDE / 2 / np.array(self.seen[1].scale)  # a small box may hold the middle of no cell
            chosen &= ((within[:2] - half <= points) & (points <= within[2:] + half)).all(axis=1)
            points = points.clip(within[:2], within[2:])
        order = np.flatnonzero(chosen)
        order = order[np.argsort(-scores[order], kind="stable")][:CANDIDATES]
        kept = order[nms(boxes[order], scores[order], SAME_BOX)[:most]]
        return Places(boxes[kept], points[kept], scores[kept])

    def heat(self, text: str) -> NDArray[np.float32]:
        """The probability that a cell shows what a text names, whatever box it speaks of: h×w."""
        heat: NDArray[np.float32] = self.scores([text])[0].max(axis=0)
        return heat

    def agreement(
        self, heat: NDArray[np.float32], masks: NDArray[np.bool_], box: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """How far each of M×H×W masks is where a text's heat h×w is around a box, in original pixels: M.

        It is the IoU of the mask with the heat there, which is made 1 at its highest.
        """
        points = self._points()[: heat.size]
        near = heat * _around(box, points).reshape(heat.shape)
        near = near / max(float(near.max()), 1e-6)
        covered = self.covered(masks)
        both = (covered * near).sum(axis=(1, 2))
        outer = covered.sum(axis=(1, 2)) + near.sum() - both
        return np.asarray(both / np.maximum(outer, 1e-6), np.float32)

    def likeness(self, texts: list[str], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The probability that each of M×H×W masks is what each of N texts names, N×M.

        It is that of the cells under the mask, the less the more the box that they speak of differs from the mask's:
        a wheel is no car.
        """
        if not len(masks):
            return np.zeros((len(texts), 0), np.float32)
        scores = self.scores(texts).reshape(len(texts), -1)
        fits = np.sqrt(self._fits(masks)) * self._under(masks)
        return np.stack([(scores * fit).max(axis=1) for fit in fits], axis=1)

    def describe(self, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What each of M×H×W masks shows, as unit vectors M×D: the concepts of the cells under it, pooled."""
        if not len(masks):
            return np.zeros((0, self.detector.config.word_width), np.float32)
        maps, _ = self.seen
        concepts = maps.concepts[0].permute(0, 2, 3, 1).flatten(0, 2).cpu().numpy()
        quality = maps.quality[0].sigmoid().sqrt().flatten().cpu().numpy()
        weights = (self._fits(masks) + 0.1) * self._under(masks) * quality
        pooled = weights @ concepts
        return np.asarray(pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12), np.float32)

    def covered(self, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        """How much of each cell M×H×W masks cover, M×h×w."""
        _, frame = self.seen
        side = self.detector.config.size // STRIDE
        height, width = frame.resized
        found = np.zeros((len(masks), side, side), np.float32)
        canvas = np.zeros((side * STRIDE, side * STRIDE), np.float32)
        for i, mask in enumerate(masks):
            canvas[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            found[i] = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
        return found

    def _under(self, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        """How much of each cell the masks cover, of all slots: M×C. A small mask counts as covering its best cell."""
        covered = self.covered(masks).reshape(len(masks), -1)
        covered = covered / np.maximum(covered.max(axis=1, keepdims=True), 1e-6)
        return np.tile(covered, (1, self.detector.config.slots))

    def _fits(self, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        """IoU of the masks' boxes with those that the cells speak of, M×C."""
        around = mask_boxes(masks) + np.array([0, 0, 1, 1])
        return np.asarray(box_iou(around, self.boxes().reshape(-1, 4)), np.float32)

    def _points(self) -> NDArray[np.float64]:
        """The middle of each cell, of all slots, in original pixels: C×2."""
        _, frame = self.seen
        middle = (np.arange(self.detector.config.size // STRIDE) + 0.5) * STRIDE
        x, y = np.meshgrid(middle, middle)
        points = np.stack([x, y], axis=-1).reshape(-1, 2) / frame.scale
        inside = points.clip(0, [frame.width - 1, frame.height - 1])
        return np.tile(inside, (self.detector.config.slots, 1))


def segment_text(
    predictor: SamPredictor, text: str, clicks: Prompt | None = None, threshold: float = THRESHOLD, most: int = MOST
) -> Instances:
    """Masks of all that a text names in the image of a predictor; of what `clicks` point at alone, where there are any.

    Each place that the text names is a click, and of the three masks for it the text chooses. Clicks on the object say
    which of several things is meant, or enlarge its mask; who clicks is right, whatever the text says. A click on
    background corrects the mask that it lies on, and takes the thing away where little of it would be left. A box says
    where to look.
    """
    pointing = clicks is not None and bool((clicks.labels == Label.FOREGROUND).any())
    places = predictor.finder.find(
        text, 0 if pointing else threshold, CLOSE if pointing else most, clicks.box if clicks else None
    )
    things = _things(predictor, text, places)
    if clicks is not None and len(clicks.points):
        things = [_meant(predictor, text, things, clicks)] if pointing else _without(predictor, things, clicks)
    return _instances(predictor, things)


def answer_text(predictor: SamPredictor, vector: NDArray[np.float32], clicks: Prompt | None = None) -> Instances:
    """The mask of a model that takes CLIP's vectors as prompts, as in the paper, with clicks or without (D.5)."""
    prompt = Prompt(text=vector) if clicks is None else Prompt(clicks.points, clicks.labels, clicks.box, text=vector)
    answer = predictor.predict_many([prompt])[0]
    nowhere = np.zeros(2) if clicks is None or not len(clicks.points) else clicks.points[0]
    best = _thing(answer, answer.scores, float(answer.scores.max()), nowhere)
    return _instances(predictor, [best])


class Thing(NamedTuple):
    """One thing: its H×W mask, its logits h×w, predicted IoU and probability, and the point that it was found at."""

    mask: NDArray[np.bool_]
    logits: NDArray[np.float32]
    iou: float
    score: float
    point: NDArray[np.float64]


def _things(predictor: SamPredictor, text: str, places: Places) -> list[Thing]:
    """The things at places: of three masks for the point of each, the one that the text chooses."""
    things, heat = [], predictor.finder.heat(text)
    for start in range(0, len(places.points), AT_ONCE):  # three masks of each are large
        boxes, points, scores = (part[start : start + AT_ONCE] for part in places)
        answers = predictor.predict_many([Prompt([point], [1]) for point in points], multimask_output=True)
        for answer, box, point, score in zip(answers, boxes, points, scores, strict=True):
            fit = predictor.finder.agreement(heat, answer.masks, box)
            things.append(_thing(answer, answer.scores * fit, float(score), point))
    return things


def _meant(predictor: SamPredictor, text: str, things: list[Thing], clicks: Prompt) -> Thing:
    """The thing that clicks mean: what they say alone, unless they enlarge a thing that the text has found."""
    ahead = clicks.points[clicks.labels == Label.FOREGROUND]
    prompt, point = clicks, ahead[0]
    if not any(_holds(thing.mask, ahead[:1]) for thing in things):
        near = next((thing for thing in things if _around(mask_boxes(thing.mask[None])[0], ahead).all()), None)
        if near:
            prompt, point = _corrected(near, clicks), near.point
    answer = predictor.predict_many([prompt])[0]
    thing = _thing(answer, answer.scores, 0.0, point)
    return thing._replace(score=float(predictor.finder.likeness([text], thing.mask[None])[0, 0]))


def _without(predictor: SamPredictor, things: list[Thing], clicks: Prompt) -> list[Thing]:
    """The things as clicks on background leave them."""
    left: list[Thing] = []
    for thing in things:
        if _holds(thing.mask, clicks.points):
            answer = predictor.predict_many([_corrected(thing, clicks)])[0]
            smaller = _thing(answer, answer.scores, thing.score, thing.point)
            if (smaller.mask & thing.mask).sum() < CORE * thing.mask.sum() or _holds(smaller.mask, clicks.points):
                continue
            thing = smaller
        left.append(thing)
    return left


def _corrected(thing: Thing, clicks: Prompt) -> Prompt:
    """The prompt for a thing that clicks correct."""
    return Prompt([thing.point, *clicks.points], [Label.FOREGROUND, *clicks.labels], mask=thing.logits)


def _thing(answer: Prediction, worth: NDArray[np.float32], score: float, point: NDArray[np.float64]) -> Thing:
    """The mask of an answer that is worth most, without stray parts."""
    best = int(worth.argmax())
    return Thing(clean(answer.masks[best]), answer.logits[best], float(answer.scores[best]), score, point)


def _instances(predictor: SamPredictor, things: list[Thing]) -> Instances:
    """Things, best first, each once."""
    things = sorted((thing for thing in things if thing.mask.any()), key=lambda thing: -thing.score * thing.iou)
    side = predictor.model.config.mask_size
    masks = np.stack([thing.mask for thing in things]) if things else np.zeros((0, *predictor.original_size), bool)
    logits = np.stack([thing.logits for thing in things]) if things else np.zeros((0, side, side), np.float32)
    scores, ious = (np.array([getattr(thing, name) for thing in things], np.float32) for name in ("score", "iou"))
    kept = _distinct(logits > predictor.model.mask_threshold)
    return Instances(masks[kept], scores[kept], mask_boxes(masks[kept]), logits[kept], ious[kept])


def _distinct(masks: NDArray[np.bool_]) -> list[int]:
    """Which of M×h×w masks, the best first, are not nearly the same as a better one."""
    flat = masks.reshape(len(masks), masks.shape[1] * masks.shape[2]).astype(np.float32)
    both, areas = flat @ flat.T, flat.sum(axis=1)
    overlap = both / np.maximum(areas[:, None] + areas[None] - both, 1)
    kept: list[int] = []
    for i in range(len(masks)):
        if not (overlap[i, kept] > SAME_MASK).any():
            kept.append(i)
    return kept


def _holds(mask: NDArray[np.bool_], points: NDArray[np.float64]) -> bool:
    """Whether a mask holds any of P×2 points."""
    columns, rows = np.minimum(points.astype(int), [mask.shape[1] - 1, mask.shape[0] - 1]).T
    return bool(mask[rows, columns].any())


def _around(box: NDArray[Any], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of P×2 points lie in a box, enlarged."""
    middle, reach = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * REACH
    return np.asarray((np.abs(points - middle) <= reach).all(axis=1))


def _cells(frame: ImageFrame) -> tuple[int, int]:
    """Rows and columns of cells that an image takes up."""
    height, width = frame.resized
    return -(-height // STRIDE), -(-width // STRIDE)
