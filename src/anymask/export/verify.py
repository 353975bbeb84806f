"""Exported files held to the model itself: the same photos and prompts through both, and how far they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ModelError
from ..model.sam import ImageEmbedding, Sam
from ..task.frame import ImageFrame
from ..task.image import read_image
from ..task.prompts import Label, Prompt, PromptBatch
from .exported import Arrays, Exported


@dataclass(frozen=True)
class Tolerance:
    """How far an exported model may be from the model itself."""

    logits: float
    """largest difference of any logit of a mask, as a share of the standard deviation of the logits"""
    iou: float
    """largest difference of a predicted IoU"""
    masks: float
    """least mean IoU of the masks with the model's own, at full size"""


TOLERANCES = {
    "float32": Tolerance(logits=0.002, iou=0.001, masks=0.999),
    "float16": Tolerance(logits=0.1, iou=0.02, masks=0.995),
    "int8": Tolerance(logits=float("inf"), iou=0.3, masks=0.9),
}
"""by the precision of the decoder"""


@dataclass(frozen=True)
class Difference:
    """How far the two are apart on one kind of prompt, over all photos.

    Attributes:
        what: the kind, or "embedding".
        largest, mean: absolute differences of the logits, or of the embedding.
        share: the largest difference as a share of the logits' standard deviation.
        iou: largest difference of a predicted IoU.
        masks: mean IoU of the masks with the model's own.
    """

    what: str
    largest: float
    mean: float
    share: float = 0.0
    iou: float = 0.0
    masks: float = 1.0


def verify(
    sam: Sam, folder: Path, photos: Iterable[Path], progress: Callable[[Path], None] | None = None
) -> list[Difference]:
    """Run photos through the model and through what was exported of it: a difference for each kind of prompt."""
    exported = Exported(folder)
    found: dict[str, list[Difference]] = {}
    for photo in photos:
        for difference in _compare(sam, exported, read_image(photo)):
            found.setdefault(difference.what, []).append(difference)
        if progress:
            progress(photo)
    return [_over_photos(differences) for differences in found.values()]


def check(folder: Path, precision: str, differences: Iterable[Difference]) -> None:
    """Raise ModelError where a difference is beyond what the precision allows."""
    allowed = TOLERANCES[precision]
    for found in differences:
        told = [
            (f"logits differ by {found.share:.2g} of their spread", found.share > allowed.logits, allowed.logits),
            (f"predicted IoU differs by {found.iou:.2g}", found.iou > allowed.iou, allowed.iou),
            (f"masks have an IoU of {found.masks:.4f}", found.masks < allowed.masks, allowed.masks),
        ]
        for fault, beyond, limit in told:
            if beyond:
                raise ModelError(f"{folder}: {found.what}: {fault}; {precision} allows {limit:g}, do not use it")


@torch.no_grad()
def _compare(sam: Sam, exported: Exported, pixels: NDArray[np.uint8]) -> list[Difference]:
    """The differences of one photo."""
    frame = sam.frame(pixels.shape[0], pixels.shape[1])
    image = torch.from_numpy(frame.resize_image(pixels)).permute(2, 0, 1)[None].float()
    own = sam.encode(sam.preprocess(image))
    its = exported.encoder({"image": image.numpy()})
    gaps = np.abs(its["features"] - own.features.numpy())
    differences = [Difference("embedding", float(gaps.max()), float(gaps.mean()))]
    for what, prompts in _prompts(sam, own, frame).items():
        differences.append(_answers(sam, exported, own, its, frame, what, prompts))
    return differences


def _answers(
    sam: Sam, exported: Exported, own: ImageEmbedding, its: Arrays, frame: ImageFrame, what: str, prompts: list[Prompt]
) -> Difference:
    """How far the answers to some prompts differ."""
    batch = PromptBatch.pad(prompts, frame, sam.config.mask_size)
    logits, iou = (answer[0] for answer in sam.decode_all(own, batch))
    found = exported.decoder({**its, **prompt_inputs(prompts, frame, sam.config.mask_size)})
    size = np.array(frame.shape, np.int64)
    full = exported.enlarge({"masks": found["low_res_masks"], "original_size": size})["full_masks"]
    masks = frame.masks_to_original(logits).numpy() > sam.mask_threshold
    gaps = np.abs(found["low_res_masks"] - logits.numpy())
    return Difference(
        what,
        float(gaps.max()),
        float(gaps.mean()),
        float(gaps.max() / logits.std()),
        float(np.abs(found["iou_predictions"] - iou.numpy()).max()),
        _mean_iou(full > sam.mask_threshold, masks),
    )


def _prompts(sam: Sam, embedding: ImageEmbedding, frame: ImageFrame) -> dict[str, list[Prompt]]:
    """Prompts of every kind on a photo, by name."""
    side = np.array([frame.width, frame.height])
    centre, beside, corner = side * [0.5, 0.5], side * [0.4, 0.65], side * [0.05, 0.1]
    box = np.concatenate([side * 0.25, side * [0.7, 0.8]])
    click = Prompt([centre])
    batch = PromptBatch.pad([click], frame, sam.config.mask_size)
    earlier = sam.decode(embedding, batch, multimask=False)[0][0, 0, 0].numpy()
    kinds = {
        "one click": [click],
        "three clicks": [Prompt([centre, beside, corner], [1, 1, 0])],
        "box": [Prompt(box=box)],
        "box and click": [Prompt([corner], [0], box)],
        "click and mask": [Prompt([beside], [0], mask=earlier)],
        "mask": [Prompt(mask=earlier)],
    }
    return {**kinds, "all in one batch": [prompt for prompts in kinds.values() for prompt in prompts]}


def prompt_inputs(prompts: list[Prompt], frame: ImageFrame, mask_size: int) -> Arrays:
    """N prompts as an exported decoder takes them."""
    count, most = len(prompts), max(1, *(len(prompt.points) for prompt in prompts))
    inputs: Arrays = {
        "points": np.zeros((count, most, 2), np.float32),
        "labels": np.full((count, most), int(Label.NOT_A_POINT), np.int64),
        "boxes": np.zeros((count, 4), np.float32),
        "mask_input": np.zeros((count, 1, mask_size, mask_size), np.float32),
        "has_mask_input": np.zeros(count, bool),
    }
    for i, prompt in enumerate(prompts):
        number = len(prompt.points)
        inputs["points"][i, :number], inputs["labels"][i, :number] = frame.to_model(prompt.points), prompt.labels
        if prompt.box is not None:
            inputs["boxes"][i] = frame.boxes_to_model(prompt.box)
        if prompt.mask is not None:
            inputs["mask_input"][i, 0], inputs["has_mask_input"][i] = prompt.mask, True
    return inputs


def _mean_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Mean IoU of masks ...×H×W with their counterparts; 1 where both are empty."""
    both, either = (first & second).sum((-1, -2)), (first | second).sum((-1, -2))
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def _over_photos(differences: list[Difference]) -> Difference:
    first, *_ = differences
    return replace(
        first,
        largest=max(d.largest for d in differences),
        mean=float(np.mean([d.mean for d in differences])),
        share=max(d.share for d in differences),
        iou=max(d.iou for d in differences),
        masks=float(np.mean([d.masks for d in differences])),
    )
