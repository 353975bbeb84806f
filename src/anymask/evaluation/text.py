"""Text as prompt: each category's name in an image, against what people marked as it (§7.5, D.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DataError
from ..predict.text import CLOSE, THRESHOLD, Instances
from ..task.clicks import centre_of_error_click
from ..task.metrics import iou
from .protocol import EvaluationProtocol, LabelledImage, Metric, Row
from .summaries import at, by_category, mean


class TextSegmenter(Protocol):
    """What answers a text, with clicks or without."""

    def set_image(self, image: NDArray[np.uint8], /) -> None:
        """Take the image that the next texts are about."""

    def predict_text(
        self, text: str, point_coords: Any = None, point_labels: Any = None, *, threshold: float, most: int
    ) -> Instances:
        """All that the text names with at least this probability, best first."""


MOST = 20
"""answers to a text, at most"""


@dataclass(frozen=True)
class Text(EvaluationProtocol):
    """Masks of a category's name, against the objects of that category; and silence where there is none.

    The paper shows text prompts in pictures alone; this protocol is ours. Two answers are scored for each category of
    an image: the best-scored mask, whether or not it is sure enough, against the object of that category that it fits
    best; and the union of all masks that are sure enough, against the union of these objects. Then one click is added
    to the text: in the middle of each object, and in the largest error of the best-scored mask.

    The answer to a category that the image does not hold should be nothing. Which these are a data set says
    (`neg_categories` of the image's record, as LVIS does), or they are drawn from `vocabulary`, as many as the image
    has categories, of those that nobody marked in it. Where not all objects are marked, some of them are there.
    """

    threshold: float = THRESHOLD
    """least score of a mask that counts as an answer"""
    vocabulary: tuple[str, ...] = ()
    """names of categories to draw from, where the data do not say what is absent"""

    name: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold: expected 0 to 1, got {self.threshold}")

    def evaluate(self, subject: TextSegmenter, image: LabelledImage) -> list[Row]:
        """A row a category that is in the image, and a row a category that is not, with area 0."""
        present: dict[str, list[NDArray[np.bool_]]] = defaultdict(list)
        for target in image.objects:
            if target.category is not None:
                present[target.category].append(target.mask)
        absent = self._absent(image, set(present))
        if not present and not absent:
            return []
        subject.set_image(image.pixels)
        rows: list[Row] = []
        for category, truths in present.items():
            union = np.any(truths, axis=0)
            found = subject.predict_text(category, threshold=0, most=MOST)
            sure = found.masks[found.scores >= self.threshold]
            answer = np.any(sure, axis=0) if len(sure) else np.zeros(union.shape, bool)
            best = found.masks[0] if len(found.masks) else np.zeros(union.shape, bool)
            rows.append(
                {
                    "image": image.name,
                    "category": category,
                    "area": int(union.sum()),
                    "score": _best_score(found),
                    "silent": not answer.any(),
                    "iou": float(iou(answer, union)),
                    "best": max(float(iou(best, truth)) for truth in truths),
                    "clicked": float(np.mean([_clicked(subject, category, truth, None) for truth in truths])),
                    "corrected": _corrected(subject, category, best, truths),
                }
            )
        for category in absent:
            score = _best_score(subject.predict_text(category, threshold=0, most=CLOSE))
            row = {"image": image.name, "category": category, "area": 0, "score": score}
            rows.append({**row, "silent": score < self.threshold})
        return rows

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Mean IoU over the categories in each image, and how often the answer is rightly nothing."""
        if not rows:
            raise DataError("the labels name no categories; expected a category on the masks")
        present, absent = [row for row in rows if row["area"]], [row for row in rows if not row["area"]]
        yield mean("text, best-scored mask, mean IoU", present, at("best"))
        yield mean("text and 1 click, mean IoU", present, at("clicked"))
        yield mean("text, then 1 click in the largest error, mean IoU", present, at("corrected"))
        yield mean("text, all sure masks, mean IoU", present, at("iou"))
        yield mean("text, found", present, lambda row: 1 - row["silent"])
        if absent:
            right, wrong = sum(row["silent"] for row in absent), sum(row["silent"] for row in present)
            yield Metric("not there, precision", right / max(1, right + wrong))
            yield Metric("not there, recall", right / len(absent))
            yield Metric("not there, F1", 2 * right / max(1, right + wrong + len(absent)))
        yield Metric("texts", len(rows))
        yield from by_category("text, best-scored mask, mean IoU", present, at("best"))

    def _absent(self, image: LabelledImage, present: set[str]) -> list[str]:
        """Categories that are not in the image, as far as is known."""
        known = image.record["image"].get("neg_categories")
        if known is not None:
            return [name for name in known if name not in present]
        others = [name for name in self.vocabulary if name not in present]
        rng = np.random.default_rng(crc32(image.name.encode()))
        return [str(name) for name in rng.permutation(others)[: len(present)]]


def _clicked(subject: TextSegmenter, category: str, truth: NDArray[np.bool_], mask: NDArray[np.bool_] | None) -> float:
    """IoU with an object after a click in the largest error of a mask; without one the click is in its middle."""
    click = centre_of_error_click(np.zeros_like(truth) if mask is None else mask, truth)
    if click is None:
        return 1.0
    found = subject.predict_text(category, [click[0]], [int(click[1])], threshold=0, most=CLOSE)
    return float(iou(found.masks[0], truth)) if len(found.masks) else 0.0


def _corrected(
    subject: TextSegmenter, category: str, mask: NDArray[np.bool_], truths: list[NDArray[np.bool_]]
) -> float:
    """The same for the object that the mask fits best, or the largest where it fits none."""
    ious = [float(iou(mask, truth)) for truth in truths]
    truth = truths[int(np.argmax(ious))] if max(ious) > 0 else max(truths, key=np.sum)
    return _clicked(subject, category, truth, mask)


def _best_score(found: Instances) -> float:
    """The score of the best mask that holds a pixel; 0 without one."""
    return max((float(score) for score, mask in zip(found.scores, found.masks, strict=True) if mask.any()), default=0.0)
