"""`anymask train`: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ..training.config import Recipe


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML, such as recipes/nano.toml.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as in lr=1e-4.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's sources.", show_default=False)] = Path("."),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for state, log and weights.")] = Path("run"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a model; the same command goes on where a run stopped."""
    from ..training.config import read_recipe

    weights = run_recipe(read_recipe(recipe, changes or []), data, out, device)
    print(f"weights: {weights}")


def run_recipe(recipe: Recipe, data: Path, out: Path, device: str) -> Path:
    """Run a recipe with a line for every few steps; gives the path of the weights."""
    from ..training.loop import train as run

    console = Console(highlight=False, markup=False)

    def report(step: int, figures: dict[str, float]) -> None:
        left = (recipe.steps - step) * figures["seconds"] / 60
        console.print(
            f"step {step}/{recipe.steps}  loss {figures['loss']:.3f}  IoU first {figures['iou_first']:.3f} "
            f"last {figures['iou_last']:.3f}  {figures['seconds']:.2f} s/step  about {left:.0f} min left at this size"
        )

    return run(recipe, data, out, device, report)
