"""`anymask train-text`: train a text detector by a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from .train import checked, console, stopped
from .training_display import TrainingDisplay

METRIC = "AUC"
"""figure of a validation that tells the best step"""


def train_text(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe in TOML, such as recipes/text/nano_text.toml.", show_default=False)
    ],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as in lr=1e-4.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's sources.", show_default=False)] = Path("."),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for views, state, log and weights.")] = Path("text"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps; auto is cuda where it is there.")] = "auto",
) -> None:
    """Train what finds things by their names; the same command goes on where a run stopped.

    The masks' categories are the names. Writes views, which may go when the run is over, log.csv, validation.csv,
    state.pt and MODEL.safetensors.
    """
    from ..training.text.config import read_text_recipe
    from ..training.text.loop import train_text as run

    read = read_text_recipe(recipe, changes or [])
    try:
        with TrainingDisplay(read.steps, METRIC, out, console()) as display:

            def report(step: int, figures: Mapping[str, float]) -> None:
                if "loss" in figures:
                    display.report(step, figures)
                else:
                    display.validated(step, figures)

            weights = run(read, data, out, checked(device), report, display.announce)
    except KeyboardInterrupt:
        console().print(stopped(out), soft_wrap=True)
        raise typer.Exit(130) from None
    for line in (f"weights: {weights}", f"use them: anymask segment PHOTO --text WORDS --text-model {weights}"):
        console().print(line, soft_wrap=True)
