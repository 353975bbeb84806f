"""What a text detector learns from: names of cells, boxes, an ImageNet classifier, and sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...model.text.detector import Maps, TextDetector
from ...model.text.words import word_vectors
from .batch import TextBatch
from .config import TextRecipe
from .phrases import phrase

FIGURES = ("names", "choice", "boxes", "quality", "guesses", "sentences")
"""the parts of the loss"""
TRUSTED = 0.35
"""least probability of the ImageNet classifier's first guess that is learned from"""
SENTENCES = 64
"""sentences of labels, and of ImageNet's classes, in a step"""

Names = Sequence[Sequence[str]]
"""all names of each of N things"""


class TextLoss:
    """The loss of a step.

    Args:
        recipe: the weights of the parts.
        names: all names of each label, in the labels' order.
        classes: all names of each of ImageNet's classes.
        rarity: how rare each label is: the weight of a cell that shows it.
    """

    def __init__(self, recipe: TextRecipe, names: Names, classes: Names, rarity: Tensor) -> None:
        self.recipe, self.names, self.classes = recipe, names, classes
        self.rarity = rarity / rarity.mean()

    def __call__(self, detector: TextDetector, batch: TextBatch, rng: np.random.Generator) -> dict[str, Tensor]:
        """The parts of the loss by name, weighted; see FIGURES."""
        maps = look(detector, batch, self.recipe.bf16, self.recipe.dropout)
        names, choice = self._names(detector, maps, batch, rng)
        fit, boxes = _boxes(maps, batch)
        parts = {"names": names, "choice": choice, "boxes": boxes, "quality": _quality(maps, batch, fit)}
        parts["guesses"] = self._guesses(detector, maps, batch, rng) * self.recipe.distil
        parts["sentences"] = self._sentences(detector, rng) * self.recipe.sentences
        return parts

    def _names(
        self, detector: TextDetector, maps: Maps, batch: TextBatch, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Whether each cell shows what a name means (focal loss), and which of the names it is (cross entropy)."""
        chosen = _choose(batch.labels, self.recipe.names, len(self.names), rng)
        place = chosen.new_full((len(self.names) + 1,), -1)
        place[chosen] = torch.arange(len(chosen), device=chosen.device)
        labels = place[batch.labels]
        phrases = encode(detector, [phrase(self.names[i], rng, self.recipe.plain) for i in chosen.tolist()])
        logits = detector.logits(maps.concepts.permute(0, 1, 3, 4, 2), phrases)  # B×K×G×G×N
        shown = labels >= 0
        target = F.one_hot(labels.clamp(min=0), len(chosen)).float() * shown[..., None]
        told = _told(target, shown, batch, chosen)
        names = focal_loss(logits, target)[told].sum() / shown.sum().clamp(min=1)
        apart = batch.known[:, None, None, None, chosen] | (target > 0)
        choices = F.cross_entropy(logits.masked_fill(~apart, -1e4)[shown], labels[shown], reduction="none")
        weights = self.rarity[batch.labels[shown]]
        return names, (choices * weights).sum() / weights.sum().clamp(min=1e-6)

    def _guesses(self, detector: TextDetector, maps: Maps, batch: TextBatch, rng: np.random.Generator) -> Tensor:
        """The cross entropy of the classifier's guesses, over the names of all classes."""
        sure = (batch.trust[..., 0] > TRUSTED) & batch.inside[:, ::2, ::2]
        if not self.recipe.distil or not sure.any():
            return maps.concepts.new_zeros(())
        phrases = encode(detector, [names[int(rng.integers(len(names)))] for names in self.classes])
        concepts = F.normalize(F.avg_pool2d(maps.concepts.mean(dim=1), 2).permute(0, 2, 3, 1)[sure], dim=-1)
        found = F.log_softmax(detector.logits(concepts, phrases), dim=-1).gather(1, batch.guesses[sure])
        trust = batch.trust[sure]
        return -(found * trust / trust.sum(dim=1, keepdim=True)).sum(dim=1).mean()

    def _sentences(self, detector: TextDetector, rng: np.random.Generator) -> Tensor:
        """A sentence is nearer to the noun that it is about than to others (cross entropy)."""
        if not self.recipe.sentences:
            return detector.bias.new_zeros(())
        drawn = [
            things[int(i)] for things in (self.names, self.classes) for i in rng.integers(len(things), size=SENTENCES)
        ]
        nouns = encode(detector, [names[0] for names in drawn])
        said = encode(detector, [phrase(names, rng, plain=0) for names in drawn])
        return F.cross_entropy(detector.logits(said, nouns.detach()), torch.arange(len(drawn), device=said.device))


def look(detector: TextDetector, batch: TextBatch, bf16: bool = False, dropout: float = 0.0) -> Maps:
    """The detector's maps of a batch, in float32, with a share of the backbone's channels dropped while it learns."""
    seen = [
        F.dropout2d(part.contiguous(memory_format=torch.channels_last), dropout, detector.training)
        for part in (batch.stride16, batch.stride32)
    ]
    with torch.autocast(batch.stride16.device.type, torch.bfloat16, enabled=bf16):
        maps = detector.head(*seen)
    return Maps(*(part.float() for part in maps))


def encode(detector: TextDetector, texts: list[str]) -> Tensor:
    """Texts as unit vectors, N×D, with gradients."""
    vectors: Tensor = detector.phrases(*(part.to(detector.bias.device) for part in word_vectors(texts)))
    return vectors


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The focal loss of each logit (Lin et al. 2017), γ = 2, α = .75 for what is there: few cells show a thing."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    missed = torch.where(target > 0, 1 - probability, probability)
    return torch.where(target > 0, 0.75, 0.25) * missed.square() * entropy


def _choose(labels: Tensor, count: int, total: int, rng: np.random.Generator) -> Tensor:
    """The labels that a batch shows, and others up to `count`."""
    here = np.unique(labels.cpu().numpy())
    here = here[here >= 0]
    others = np.setdiff1d(np.arange(total), here)
    drawn = rng.choice(others, min(len(others), max(0, count - len(here))), replace=False)
    return torch.from_numpy(np.concatenate([here, drawn])).to(labels.device)


def _told(target: Tensor, shown: Tensor, batch: TextBatch, chosen: Tensor) -> Tensor:
    """Which of the answers B×K×G×G×N are known: what a marked cell shows, and what is not there elsewhere."""
    told = batch.judged[:, None, None, None, chosen] | shown[..., None]
    either = (target > 0).any(dim=1, keepdim=True)  # a cell of two things shows both, whichever slot is asked
    return told & batch.inside[:, None, :, :, None] & ~(either & (target == 0))


def _boxes(maps: Maps, batch: TextBatch) -> tuple[Tensor, Tensor]:
    """IoU of each slot's box with its thing's, B×K×G×G, 0 without a thing, and the mean of -log IoU."""
    shown = batch.labels >= 0
    overlap = paired_iou(maps.boxes.permute(0, 1, 3, 4, 2)[shown], batch.boxes[shown])
    fit = torch.zeros(shown.shape, device=overlap.device)
    fit[shown] = overlap.detach()
    return fit, -overlap.clamp(min=0.02).log().mean() if len(overlap) else overlap.sum()


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of each of N×4 boxes with that of the same row."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    outer = sum((box[:, 2:] - box[:, :2]).clamp(min=0).prod(dim=1) for box in (a, b)) - inner
    overlap: Tensor = inner / outer.clamp(min=1)
    return overlap


def _quality(maps: Maps, batch: TextBatch, fit: Tensor) -> Tensor:
    """How far the quality is from the IoU of the box, where that is known (cross entropy)."""
    told = (batch.whole[:, None, None, None] | (batch.labels >= 0)) & batch.inside[:, None]
    error = F.binary_cross_entropy_with_logits(maps.quality, fit, reduction="none")
    return 4 * (error * told).sum() / told.sum()
