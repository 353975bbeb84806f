"""`anymask train`: run a recipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .training_display import TrainingDisplay, gain

if TYPE_CHECKING:
    from ..dataset.sample import Sample
    from ..model.sam import Sam
    from ..training.config import Recipe
    from ..training.judge import Validate


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML, such as recipes/nano.toml.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as in lr=1e-4.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's sources.", show_default=False)] = Path("."),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for state, logs, examples and weights.")] = Path(
        "run"
    ),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps; auto is cuda where it is there.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained, in how much memory and time, and stop.")
    ] = False,
) -> None:
    """Train a model; the same command goes on where a run stopped.

    Writes log.csv, state.pt and MODEL.safetensors. A recipe that validates also writes validation.csv, the best weights
    as best.safetensors, and examples/index.html, which shows predictions. Several GPUs: accelerate launch -m anymask
    train …
    """
    from ..training.config import read_recipe

    read = read_recipe(recipe, changes or [])
    if dry_run:
        _print_plan(read, data, device)
        return
    _print_end(read, run_recipe(read, data, out, device), out)


def run_recipe(recipe: Recipe, data: Path, out: Path, device: str) -> Path:
    """Run a recipe and show how it goes; gives the path of the weights. Exits with 130 where it is interrupted."""
    from ..training.loop import train as run

    try:
        with TrainingDisplay(recipe.steps, recipe.validation.metric, out, console()) as display:
            validate = _validate(recipe, out, display)
            return run(recipe, data, out, checked(device), display.report, validate, display.announce)
    except KeyboardInterrupt:
        console().print(stopped(out), soft_wrap=True)
        raise typer.Exit(130) from None


def _validate(recipe: Recipe, out: Path, display: TrainingDisplay) -> Validate | None:
    """What judges the run and shows the figures; None where the recipe asks for no validation."""
    if not recipe.validation.every:
        return None
    from ..data_engine.validation import Validator

    validator = Validator(out)

    def validate(sam: Sam, samples: Sequence[Sample], step: int) -> dict[str, float]:
        display.validating(len(samples))
        figures = validator(sam, samples, step)
        display.validated(step, figures)
        return figures

    return validate


def _print_plan(recipe: Recipe, data: Path, device: str) -> None:
    from ..training.plan import make_plan

    for line in make_plan(recipe, data, checked(device)).lines():
        console().print(line, soft_wrap=True)


def _print_end(recipe: Recipe, weights: Path, out: Path) -> None:
    lines = [f"weights: {weights}"]
    if recipe.validation.every:
        lines = [gain(out, recipe.validation.metric) or "", *lines, f"examples: {out / 'examples' / 'index.html'}"]
    for line in filter(None, [*lines, f"use them: anymask segment PHOTO --point X,Y --model {weights}"]):
        console().print(line, soft_wrap=True)


def stopped(out: Path) -> str:
    """What an interrupted run leaves, and how it goes on."""
    import torch

    from ..training.state import path_in

    path = path_in(out)
    if not path.exists():
        return "stopped before the first step was saved; the same command goes on with what is prepared"
    step = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["step"]
    return f"stopped; {path} holds step {step:,}, and the same command goes on from there"


def checked(device: str) -> str:
    """The device to train on."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def console() -> Console:
    """Where a run speaks; of several processes that were launched together only the main one does."""
    return Console(highlight=False, markup=False, quiet=os.environ.get("RANK", "0") != "0")
