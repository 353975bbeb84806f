"""Training a text detector: a neck and words learn beside a backbone that stays as ImageNet made it (§7.5, ours)."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import numpy as np
import torch

from ...errors import TrainingError
from ...files import make_folder, sweep, write_json
from ...model.text.detector import DetectorConfig, TextDetector
from ...model.text.vocabulary import vocabulary
from ...model.text.weights import save_detector
from ...model.weights import checked_device
from .. import state as states
from ..log import Log
from ..optim import schedule
from ..pretrained import imagenet_classifier, load_imagenet
from .batch import Batches
from .calibration import ask, calibrate
from .config import TextRecipe
from .losses import FIGURES, TextLoss
from .phrases import imagenet_names
from .views import Plan, make_views

Report = Callable[[int, dict[str, float]], None]
"""called with the step and its figures: those of the log, and `left`, an estimate of the seconds that remain"""
Announce = Callable[[str, int, int], None]
"""called with what is done before the steps, how much of it is done, and how much there is"""


def train_text(
    recipe: TextRecipe,
    data: Path,
    out: Path,
    device: str = "cpu",
    report: Report | None = None,
    announce: Announce | None = None,
) -> Path:
    """Run a recipe, or go on with it where `out` holds its state or part of its views; returns the weights' path.

    Views of all images are made first and kept in `out`, as the backbone sees them (some 450 kB each); then come the
    steps; last the scores are calibrated on the images that were held out. Batches are drawn by the step's number, so
    that a run that was stopped sees what it would have seen.
    Raises ConfigError where `out` holds the state of another recipe, DataError for data without categories, OutputError
    where there is no room, and TrainingError where the loss is no number.
    """
    device = checked_device(device)
    make_folder(out)
    state = states.load(recipe, out)
    torch.manual_seed(recipe.seed)
    detector = TextDetector(DetectorConfig(recipe.model, size=recipe.size, width=recipe.width, mixers=recipe.mixers))
    load_imagenet(detector.backbone)
    detector.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    plan = Plan(recipe, data)
    told = (lambda done, total: announce("looking at images", done, total)) if announce else None
    store = make_views(recipe, plan, detector, imagenet_classifier().to(device), out / "views", told)
    run = TextRun(recipe, detector, Batches(recipe, plan, store), out, state)
    sweep(states.path_in(out))
    write_json(out / "recipe.json", recipe.to_dict(), indent=2)
    run.go(report)
    return run.finish()


class TextRun:
    """A run between two steps.

    Attributes:
        step: optimiser steps so far.
        detector: what is trained, but for its backbone.
    """

    def __init__(
        self, recipe: TextRecipe, detector: TextDetector, batches: Batches, out: Path, state: states.State | None
    ) -> None:
        self.recipe, self.detector, self.batches, self.out = recipe, detector, batches, out
        detector.backbone.requires_grad_(False)
        trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=recipe.lr,
        )
        known = vocabulary(recipe.vocabulary)
        names = [known.get(label, [label.replace("-", " ")]) for label in batches.plan.labels]
        self.loss = TextLoss(
            recipe, names, imagenet_names(), torch.from_numpy(batches.rarity).float().to(detector.bias.device)
        )
        self.step = 0
        if state:
            states.restore(state, detector, self.optimizer)
            self.step = int(state["step"])
        step = self.step if state else -1
        self.log, self.validation = Log(out / "log.csv", step), Log(out / "validation.csv", step)

    def go(self, report: Report | None) -> None:
        """All steps that are left."""
        recipe, since, began = self.recipe, time.perf_counter(), self.step
        self.detector.train()
        while self.step < recipe.steps:
            figures = self.learn()
            self.step += 1
            if self.step % recipe.log_every == 0 or self.step == recipe.steps:
                seconds = (time.perf_counter() - since) / (self.step - began)
                told = {**figures, "lr": self.optimizer.param_groups[0]["lr"], "seconds": seconds}
                self._finite(told)
                self.log.add(self.step, told)
                if report:
                    report(self.step, {**told, "left": seconds * (recipe.steps - self.step)})
            if recipe.validate_every and (self.step % recipe.validate_every == 0 or self.step == recipe.steps):
                self._validate(report)
            if self.step % recipe.save_every == 0 or self.step == recipe.steps:
                self._finite(figures)
                states.save({**states.gather(self.detector, self.optimizer), "step": self.step}, recipe, self.out)

    def learn(self) -> dict[str, float]:
        """One optimiser step; gives the loss and its parts."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.step])
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)  # dropout
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * schedule("cosine", self.step, recipe.steps, recipe.warmup)
        batch = self.batches.draw(recipe.batch, rng).to(self.detector.bias.device)
        parts = self.loss(self.detector, batch, rng)
        loss = torch.stack([parts[name] for name in FIGURES]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.detector.parameters(), recipe.clip)
        self.optimizer.step()
        return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}

    def finish(self) -> Path:
        """Calibrate the scores and write the weights; their path."""
        self.detector.eval()
        self.detector.config = calibrate(self.detector, self.batches, self.loss.names, self.recipe.seed)
        path = self.out / f"{self.recipe.model}.safetensors"
        card = {"recipe": self.recipe.to_dict(), "steps": self.step, "labels": self.batches.plan.labels}
        save_detector(self.detector, path, card)
        return path

    def _validate(self, report: Report | None) -> None:
        self.detector.eval()
        figures = ask(self.detector, self.batches, self.loss.names).figures()
        self.detector.train()
        if report:
            report(self.step, figures)
        self.validation.add(self.step, figures)

    def _finite(self, figures: dict[str, float]) -> None:
        if not all(map(isfinite, figures.values())):
            raise TrainingError(
                f"step {self.step}: the loss is no finite number; begin anew in another folder (-o) with a lower lr or "
                "a longer warmup"
            )
