"""Batches of views: what the detector sees of them, and what is known of each cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...model.text.detector import STRIDE
from .config import TextRecipe
from .views import NOTHING, Plan, Store


class TextBatch(NamedTuple):
    """B views with G×G cells, K slots to a cell, L labels."""

    stride16: Tensor
    """what the backbone sees, B×C×G×G"""
    stride32: Tensor
    """B×C×(G/2)×(G/2)"""
    labels: Tensor
    """number of the label in a slot, -1 for none, B×K×G×G"""
    boxes: Tensor
    """of the thing in a slot, B×K×G×G×4 in the model frame"""
    inside: Tensor
    """cells on the image, B×G×G"""
    known: Tensor
    """labels that the things of the view were told apart by, B×L"""
    judged: Tensor
    """labels that no unmarked cell of the view shows, B×L"""
    whole: Tensor
    """views all of whose things are marked, B"""
    guesses: Tensor
    """ImageNet classes of a cell at stride 32, B×(G/2)×(G/2)×4"""
    trust: Tensor
    """their probabilities"""

    def to(self, device: torch.device) -> TextBatch:
        """The same on another device."""
        return TextBatch(*(part.to(device) for part in self))


class Batches:
    """Draws views: those that show rare labels more often than others.

    Raises DataError where there is nothing to train on, or nothing that is held out.

    Args:
        recipe: gives the shares of the sources.
        plan: the views.
        store: what was made of them.
    """

    def __init__(self, recipe: TextRecipe, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self._partly = {name: source.partly for name, source in recipe.sources.items()}
        shown = [np.unique(labels[labels != NOTHING]) for labels in store.labels]
        counts = np.zeros(len(plan.labels))
        for view, labels in zip(plan.views, shown, strict=True):
            counts[labels] += not view.held_out
        self.rarity = 1 / np.sqrt(np.maximum(counts, 1))
        shares = [
            0.0 if view.held_out or not len(labels) else recipe.sources[view.source].share * self.rarity[labels].max()
            for view, labels in zip(plan.views, shown, strict=True)
        ]
        self.held_out = [i for i, view in enumerate(plan.views) if view.held_out and len(shown[i])]
        if not sum(shares) or not self.held_out:
            kind = "held out" if sum(shares) else "left to train on"
            raise DataError(f"sources: no view that is {kind} shows a thing; give more images, or change held_out")
        self._shares = np.array(shares) / sum(shares)
        self._known = {name: self._row(labels) for name, labels in plan.known.items()}

    def draw(self, count: int, rng: np.random.Generator) -> TextBatch:
        """So many views to learn from."""
        return self.take(rng.choice(len(self._shares), count, p=self._shares))

    def take(self, numbers: NDArray[np.int64] | list[int]) -> TextBatch:
        """These views."""
        numbers = np.asarray(numbers)
        store, views = self.store, [self.plan.views[i] for i in numbers]
        labels = store.labels[numbers].astype(np.int64)
        known = np.stack([self._known[view.source] for view in views])
        judged = known.copy()
        partly = np.array([self._partly[view.source] for view in views])
        for i in np.flatnonzero(partly):
            judged[i, np.unique(labels[i][labels[i] != NOTHING])] = False  # there may be more of the same
        for row, view in enumerate(views):
            crowd = self.plan.crowds.get((view.source, view.sample.name), [])
            judged[row, crowd] = False
            partly[row] |= bool(crowd)
        cells = np.arange(labels.shape[-1]) * STRIDE
        height, width = store.sides[numbers].T[..., None]
        inside = (cells < height)[:, :, None] & (cells < width)[:, None, :]
        return TextBatch(
            stride16=torch.from_numpy(store.stride16[numbers].astype(np.float32)),
            stride32=torch.from_numpy(store.stride32[numbers].astype(np.float32)),
            labels=torch.from_numpy(labels),
            boxes=torch.from_numpy(store.boxes[numbers].astype(np.float32)),
            inside=torch.from_numpy(inside),
            known=torch.from_numpy(known),
            judged=torch.from_numpy(judged),
            whole=torch.from_numpy(~partly),
            guesses=torch.from_numpy(store.guesses[numbers].astype(np.int64)),
            trust=torch.from_numpy(store.trust[numbers].astype(np.float32)),
        )

    def _row(self, labels: list[int]) -> NDArray[np.bool_]:
        row = np.zeros(len(self.plan.labels), bool)
        row[labels] = True
        return row
