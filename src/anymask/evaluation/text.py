"""Text as prompt: each category's name in an image, against all that people marked as it (§7.5, D.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ModelError
from ..predict.predictor import SamPredictor
from ..task.metrics import iou
from .protocol import EvaluationProtocol, LabelledImage, Metric, Row
from .summaries import at, by_category, mean


class TextAnswer(NamedTuple):
    """Masks N×H×W of all that a text names in an image, with scores N: the probability that each is such a thing."""

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]


class TextSegmenter(Protocol):
    """What answers a text."""

    def set_image(self, image: NDArray[np.uint8], /) -> None:
        """Take the image that the next texts are about."""

    def predict_text(self, text: str) -> TextAnswer:
        """All that the text names; no masks where the image holds none of it."""


@dataclass(frozen=True)
class Text(EvaluationProtocol):
    """Mean IoU of the union of the answered masks with the union of the objects of a category.

    The paper shows text prompts in pictures alone; this protocol is ours. Where a data set says which categories an
    image does not hold (`neg_categories` of the image's record, as LVIS does), the answer to those should be nothing.
    """

    threshold: float = 0.5
    """least score of a mask that counts as an answer"""

    name: ClassVar[str] = "text"

    def subject(self, predictor: SamPredictor) -> TextSegmenter:
        """The predictor, where its model understands text. Raises ModelError where it does not."""
        if not hasattr(predictor, "predict_text"):
            raise ModelError(
                f"--model {predictor.model.config.name}: takes no text prompts; name a model that was trained with text"
            )
        return predictor

    def evaluate(self, subject: TextSegmenter, image: LabelledImage) -> list[Row]:
        """A row a category that is in the image, `iou`; a row a category that is known not to be, `silent`."""
        present: dict[str, list[NDArray[np.bool_]]] = defaultdict(list)
        for target in image.objects:
            if target.category is not None:
                present[target.category].append(target.mask)
        absent = [name for name in image.record["image"].get("neg_categories", []) if name not in present]
        if not present and not absent:
            return []
        subject.set_image(image.pixels)
        rows: list[Row] = []
        for category, masks in present.items():
            truth = np.any(masks, axis=0)
            answer = self._union(subject.predict_text(category), truth.shape)
            row = {"image": image.name, "category": category, "area": int(truth.sum())}
            rows.append({**row, "iou": float(iou(answer, truth)), "silent": not answer.any()})
        for category in absent:
            answer = self._union(subject.predict_text(category), image.pixels.shape[:2])
            rows.append({"image": image.name, "category": category, "area": 0, "silent": not answer.any()})
        return rows

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """Mean IoU over the categories in each image, and how often the answer is rightly nothing."""
        if not rows:
            raise DataError("the labels name no categories; expected a category on the masks")
        present, absent = [row for row in rows if row["area"]], [row for row in rows if not row["area"]]
        yield mean("text, mean IoU", present, at("iou"))
        yield mean("text, found", present, lambda row: 1 - row["silent"])
        if absent:
            yield mean("text, nothing answered where nothing is", absent, at("silent"))
        yield Metric("texts", len(rows))
        yield from by_category("text, mean IoU", present, at("iou"))

    def _union(self, answer: TextAnswer, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        masks = answer.masks[answer.scores >= self.threshold]
        return np.asarray(masks.any(axis=0)) if len(masks) else np.zeros(shape, bool)
