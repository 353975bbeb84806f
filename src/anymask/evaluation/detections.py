"""A detector's boxes as prompts: instance segmentation AP on COCO and LVIS (§7.4, D.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..errors import ConfigError, DataError, PromptError
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
    rounds: int = 2
    """answers to a box: each but the last is three masks, and the logits of the best scored go with the box the next
    time; the paper asks twice (D.4)"""

    name: ClassVar[str] = "detections"
    baselines: ClassVar[Baselines] = {"ellipse": Disc}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 1:
            raise ConfigError(f"rounds: expected at least 1, got {self.rounds}")

    def evaluate(self, subject: Segmenter, image: LabelledImage) -> list[Row]:
        """A row for the image: `results` in COCO's format, each with the mask as `segmentation`."""
        number = image.record["image"].get("image_id")
        if number is None:
            raise DataError(f"{image.name}: its record has no image_id; expected the images of {self.truth}")
        boxes = self._boxes.get(number, [])
        if boxes:
            subject.set_image(image.pixels)
        results: list[Row] = []
        for start in range(0, len(boxes), AT_ONCE):
            try:
                results += self._answer(subject, number, boxes[start : start + AT_ONCE])
            except PromptError as error:
                raise DataError(f"{self.boxes}: image {number}: {error}") from None
        return [{"image": image.name, "image_id": number, "results": results}]

    def _answer(self, subject: Segmenter, number: int, boxes: Sequence[Detection]) -> Iterator[Row]:
        prompts = [Prompt(box=box.box) for box in boxes]
        for _ in range(self.rounds - 1):
            answers = subject.predict_many(prompts, multimask_output=True)
            prompts = [
                Prompt(box=box.box, mask=answer.logits[answer.scores.argmax()] if answer.logits.size else None)
                for box, answer in zip(boxes, answers, strict=True)
            ]
        for box, answer in zip(boxes, subject.predict_many(prompts, multimask_output=False), strict=True):
            result = {"image_id": number, "category_id": box.category, "score": box.score}
            yield {**result, "segmentation": rle.encode(answer.masks[0])}

    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """AP as COCO's or LVIS's own evaluation gives it, over the images that were evaluated."""
        results = [result for row in rows for result in row["results"]]
        if not results:
            raise DataError(f"{self.boxes}: holds no box for these images; expected a detector's results for them")
        seen = {row["image_id"] for row in rows}
        truth = {
            **self._truth,
            "images": [image for image in self._truth["images"] if image["id"] in seen],
            "annotations": [each for each in self._truth["annotations"] if each["image_id"] in seen],
        }
        for name, value in (lvis_ap if self._is_lvis else coco_ap)(truth, results):
            yield Metric(name, value)
        yield Metric("boxes", len(results))

    @cached_property
    def _truth(self) -> dict[str, Any]:
        try:
            truth = json.loads(Path(self.truth).read_text(encoding="utf-8"))
            _ = [each["id"] for each in truth["images"] + truth["categories"]]
            _ = [each["image_id"] for each in truth["annotations"]]
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
