"""A detector's boxes as prompts: instance segmentation AP on COCO and LVIS (§7.4, D.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..errors import ConfigError, DataError
from ..task import rle
from ..task.prompts import Prompt
from .baselines import Disc
from .clicker import AT_ONCE
from .instance_ap import Detection, coco_ap, lvis_ap, read_detections
from .protocol import Baselines, EvaluationProtocol, LabelledImage, Metric, Row, Segmenter


@dataclass(frozen=True)
class Detections(EvaluationProtocol):
    """AP of the masks for a detector's boxes, with the detector's categories and scores."""

    boxes: str
    """the detector's results, in COCO's format: a list of image_id, category_id, bbox and score"""
    truth: str
    """the data set's own file, in the format of COCO or LVIS"""
    rounds: int = 1
    """2 asks once more with the box and the first answer's logits"""

    name: ClassVar[str] = "detections"
    baselines: ClassVar[Baselines] = {"ellipse": Disc}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 1:
            raise ConfigError(f"rounds: expected at least 1, got {self.rounds}")

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """A row a box: a result in COCO's format, with the mask as `segmentation`."""
        number = image.record["image"].get("image_id")
        if number is None:
            raise DataError(f"{image.name}: its record has no image_id; expected the images of {self.truth}")
        boxes = self._boxes.get(number, [])
        if boxes:
            subject.set_image(image.pixels)
        rows: list[Row] = []
        for start in range(0, len(boxes), AT_ONCE):
            rows += self._answer(subject, number, boxes[start : start + AT_ONCE])
        return rows

    def _answer(self, subject: Segmenter, number: int, boxes: Sequence[Detection]) -> Iterator[Row]:
        prompts = [Prompt(box=box.box) for box in boxes]
        for _ in range(self.rounds):
            answers = subject.predict_many(prompts, multimask_output=False)
            prompts = [
                Prompt(box=box.box, mask=answer.logits[0] if answer.logits.size else None)
                for box, answer in zip(boxes, answers, strict=True)
            ]
        for box, answer in zip(boxes, answers, strict=True):
            result = {"image_id": number, "category_id": box.category, "score": box.score}
            yield {**result, "segmentation": rle.encode(answer.masks[0])}

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """AP as COCO's or LVIS's own evaluation gives it, over all images of the truth."""
        if not rows:
            raise DataError(f"{self.boxes}: holds no box for these images; expected a detector's results for them")
        figures = lvis_ap if self._is_lvis else coco_ap
        for name, value in figures(self._truth, rows):
            yield Metric(name, value)
        yield Metric("boxes", len(rows))

    @cached_property
    def _truth(self) -> dict[str, Any]:
        try:
            truth = json.loads(Path(self.truth).read_text(encoding="utf-8"))
            _ = truth["images"], truth["categories"], truth["annotations"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{self.truth}: expected labels in the format of COCO or LVIS ({error})") from None
        return dict(truth)

    @property
    def _is_lvis(self) -> bool:
        return any("neg_category_ids" in image for image in self._truth["images"])

    @cached_property
    def _boxes(self) -> dict[int, list[Detection]]:
        images = {image["id"] for image in self._truth["images"]}
        return read_detections(self.boxes, images, {category["id"] for category in self._truth["categories"]})
