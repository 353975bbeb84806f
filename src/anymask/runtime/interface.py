"""What every runtime is: a way to run one Sam without gradients, in two verbs, encode and decode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.checkpoint import weights_hash
from ..model.sam import ImageEmbedding, Sam
from ..task.prompts import PromptBatch
from .names import Precision


@dataclass(frozen=True, eq=False)
class Answers:
    """What N prompts say of one image, before any mask is upscaled.

    Attributes:
        iou: predicted IoU of the four masks, N×4 float32: the mask for unambiguous prompts first, then the three.
        cells: the image as each prompt sees it, N×K×C; they hold until the runtime answers again.
        weights: of the channels of the upscaled cells in each mask, N×4×(C/8).
        embedding: the image.
    """

    iou: Tensor
    cells: Tensor
    weights: Tensor
    embedding: ImageEmbedding
    runtime: Runtime

    def masks(self, prompts: Tensor, which: Tensor) -> Tensor:
        """Logits n×4h×4w, float32, of mask `which` of each of the `prompts`, both n indices."""
        rows, place = prompts.unique(return_inverse=True)
        found = self.runtime.upscale(self.cells[rows], self.weights[rows], self.embedding)
        return found[place, which]


class Runtime(ABC):
    """A Sam that is ready to answer on some device.

    Attributes:
        sam: the model; its weights are taken as they are when the runtime is made.
        precision: how near its numbers are to the model's own.
        batch: how many prompts are best answered at once, which is also the most.
    """

    name: ClassVar[str]
    batch: int

    def __init__(self, sam: Sam, precision: Precision = "exact") -> None:
        self.sam = sam
        self.precision = precision

    @property
    def weights(self) -> str:
        """The hash of the model's weights, worked out where it is not known, as after training."""
        self.sam.weights_hash = self.sam.weights_hash or weights_hash(self.sam)
        return self.sam.weights_hash

    @abstractmethod
    def encode(self, pixels: Tensor) -> ImageEmbedding:
        """Embed B×3×S×S preprocessed images, as `Sam.encode`."""

    def embed(self, pixels: NDArray[np.uint8]) -> ImageEmbedding:
        """Embed an H×W×3 uint8 RGB image of any shape, with its frame."""
        frame = self.sam.frame(*pixels.shape[:2])
        resized = torch.from_numpy(frame.resize_image(pixels)).to(self.sam.device)
        prepared = self.sam.preprocess(resized.permute(2, 0, 1)[None].float())
        return replace(self.encode(prepared), frames=(frame,))

    @abstractmethod
    def answer(self, embedding: ImageEmbedding, prompts: PromptBatch) -> Answers:
        """Answer 1×N prompts on one image, without their masks."""

    @abstractmethod
    def upscale(self, cells: Tensor, weights: Tensor, embedding: ImageEmbedding) -> Tensor:
        """The masks' logits n×M×4h×4w, float32, of cells n×K×C and channel weights n×M×(C/8) of `Answers`."""

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch, multimask: bool = True) -> tuple[Tensor, Tensor]:
        """Logits N×M×4h×4w and predicted IoU N×M of 1×N prompts; M = 3 with `multimask`, else 1."""
        chosen = slice(1, None) if multimask else slice(0, 1)
        logits, scores = [], []
        for part in prompts.split(self.batch):
            answers = self.answer(embedding, part)
            logits.append(self.upscale(answers.cells, answers.weights[:, chosen], embedding))
            scores.append(answers.iou[:, chosen])
        return (logits[0], scores[0]) if len(logits) == 1 else (torch.cat(logits), torch.cat(scores))

    def __str__(self) -> str:
        return f"{self.name}, {self.precision}"
