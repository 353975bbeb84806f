"""Validation while a run goes on: the best weights are kept, and a run that gets no better stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..dataset.sample import Sample
from ..errors import ConfigError
from ..model.checkpoint import save_model
from ..model.sam import Sam
from .config import Recipe
from .log import Log

Validate = Callable[[Sam, Sequence[Sample], int], dict[str, float]]
"""called with the model, the samples held out and the step; gives figures by name, `Validation.metric` among them"""


class Judge:
    """What validation says of a run.

    Attributes:
        best: the best figure so far.
        best_step: the step it is of; 0 before the first.
        validations: how many there were since.
    """

    def __init__(self, recipe: Recipe, samples: Sequence[Sample], out: Path, log: Log, validate: Validate) -> None:
        self.recipe, self.samples, self.out, self.log, self.validate = recipe, samples, out, log, validate
        self.best, self.best_step, self.since = float("-inf"), 0, 0

    @property
    def weights(self) -> Path:
        """Where the best weights lie."""
        return self.out / "best.safetensors"

    def judge(self, sam: Sam, step: int) -> bool:
        """Validate a model, and keep it where it is the best; whether the run should stop.

        Raises ConfigError where the figure that decides is not among those that `validate` gives.
        """
        settings = self.recipe.validation
        figures = self.validate(sam, self.samples, step)
        if settings.metric not in figures:
            raise ConfigError(f"validation.metric {settings.metric!r}: validation gives only {', '.join(figures)}")
        self.log.add(step, figures)
        if figures[settings.metric] > self.best:
            self.best, self.best_step, self.since = figures[settings.metric], step, 0
            save_model(sam, self.weights, {"recipe": self.recipe.to_dict(), "steps": step, "validation": figures})
        else:
            self.since += 1
        return self.should_stop

    @property
    def should_stop(self) -> bool:
        """Whether as many validations as the recipe has patience for were no better."""
        return 0 < self.recipe.validation.patience <= self.since

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on."""
        return {"best": self.best, "best_step": self.best_step, "since": self.since}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.best, self.best_step, self.since = state["best"], state["best_step"], state["since"]
