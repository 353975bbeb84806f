"""Held-out images: how good a detector is, and how its scores become probabilities (Platt 1999)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...model.text.detector import DetectorConfig, TextDetector
from .batch import Batches
from .losses import Names, encode, look, paired_iou

ABSENT = 2
"""labels that an image has not, asked for beside those that it has"""


class Answers(NamedTuple):
    """What a detector says of labels that an image has and of those that it has not."""

    there: Tensor
    """scores, before calibration, of labels that the image has, N"""
    absent: Tensor
    """scores of labels that it has not, M"""
    hits: Tensor
    """whether the surest cell shows the thing, N"""
    ious: Tensor
    """IoU of its box with that of the thing in the same cell, 0 where there is none, N"""

    def figures(self) -> dict[str, float]:
        """What there is to tell of a run: pointing, box IoU, and how often what is there scores above what is not."""
        above = (self.there[:, None] > self.absent).float().mean() if len(self.absent) else 0.0
        return {"pointing": float(self.hits.mean()), "box IoU": float(self.ious.mean()), "AUC": float(above)}


@torch.no_grad()
def ask(detector: TextDetector, batches: Batches, names: Names, seed: int = 0) -> Answers:
    """Ask each held-out image for all labels that it has, and for ABSENT ones that it has not."""
    rng = np.random.default_rng(seed)
    phrases = encode(detector, [named[0] for named in names])
    found: list[tuple[Tensor, ...]] = []
    for i in batches.held_out:
        taken = batches.take([i])
        batch = taken.to(phrases.device)
        maps = look(detector, batch)
        scores = detector.raw_scores(maps, phrases)[0].masked_fill(~batch.inside[0], 0).flatten(1)
        best, where = scores.max(dim=1)
        labels, boxes = batch.labels[0].flatten(), batch.boxes[0].flatten(0, 2)
        present, absent = (
            part.to(phrases.device) for part in _present_and_absent(taken.labels.numpy(), taken.judged[0].numpy(), rng)
        )
        at = where[present]
        right = (labels[at] == present).float()
        fit = paired_iou(maps.boxes[0].permute(0, 2, 3, 1).flatten(0, 2)[at], boxes[at])
        found.append((best[present], best[absent], right, right * fit))
    return Answers(*(torch.cat(part).cpu() for part in zip(*found, strict=True)))


def calibrate(detector: TextDetector, batches: Batches, names: Names, seed: int = 0) -> DetectorConfig:
    """The detector's config with the calibration that fits the held-out images best.

    Images that have a label and images that have it not weigh the same: 0.5 is as likely as not. Without labels that an
    image could lack, or where what is there scores no higher than what is not, scores stay as they are.
    """
    answers = ask(detector, batches, names, seed)
    if not len(answers.absent):
        return dataclasses.replace(detector.config, calibration=(1.0, 0.0))
    logits = torch.logit(torch.cat([answers.there, answers.absent]).double(), eps=1e-6)
    truth = torch.cat([torch.ones_like(answers.there), torch.zeros_like(answers.absent)]).double()
    weights = torch.where(truth > 0, 1 / truth.sum(), 1 / (1 - truth).sum())
    fitted = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([fitted], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(fitted[0] * logits + fitted[1], truth, weights, reduction="sum")
        value.backward()
        return value

    optimizer.step(loss)
    slope, shift = (round(value, 4) for value in fitted.tolist())
    return dataclasses.replace(detector.config, calibration=(slope, shift) if slope > 0 else (1.0, 0.0))


def _present_and_absent(
    labels: NDArray[np.int64], judged: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    present = np.unique(labels)
    present = present[present >= 0]
    others = np.setdiff1d(np.flatnonzero(judged), present)
    absent = rng.choice(others, min(ABSENT, len(others)), replace=False)
    return torch.from_numpy(present), torch.from_numpy(absent)
