"""`anymask eval ablation`: trains a recipe with one thing changed at a time, and scores what comes out (§7.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import ConfigError
from ..settings import check_types, field_names, read_toml, refuse_unknown
from .models import load
from .suite import show_suite
from .train import run_recipe


@dataclass(frozen=True)
class Ablation:
    """What an ablation file holds; paths are relative to it."""

    recipe: str
    """the training recipe that all arms share"""
    suite: str
    """what they are scored by"""
    arms: dict[str, list[str]]
    """name of each arm, and its changes to the recipe, as in lr=1e-4"""

    def __post_init__(self) -> None:
        check_types(self)
        for name, changes in self.arms.items():
            if not isinstance(changes, list) or not all(isinstance(change, str) for change in changes):
                raise ConfigError(f'arms.{name}: expected a list of changes such as "lr=1e-4", got {changes!r}')
        if not self.arms:
            raise ConfigError("arms: expected at least one, written NAME = [CHANGES]")


def read_ablation(path: Path) -> Ablation:
    """Read an ablation. Raises ConfigError for what is none."""
    record = read_toml(path)
    try:
        refuse_unknown(record, field_names(Ablation))
        return Ablation(**record)
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def ablation(
    path: Annotated[
        Path, typer.Argument(metavar="ABLATION", help="An ablation (recipes/ablations).", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's sources.", show_default=False)] = Path("."),
    root: Annotated[
        Path | None, typer.Option(help="Folder of the suite's data; else the suite's own.", envvar="ANYMASK_DATA")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for runs and scores.")] = Path("ablation"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    limit: Annotated[int | None, typer.Option(min=1, help="Score on the first so many images only.")] = None,
) -> None:
    """Train each arm of an ablation, then score all of them side by side; the same command goes on after a stop."""
    from ..evaluation.suite import read_suite
    from ..training.config import read_recipe

    plan = read_ablation(path)
    suite = read_suite(path.parent / plan.suite)
    recipes = {name: read_recipe(path.parent / plan.recipe, changes) for name, changes in plan.arms.items()}
    weights = {}
    for name, recipe in recipes.items():
        Console().print(f"{name}: {', '.join(plan.arms[name]) or 'the recipe as it is'}", highlight=False, markup=False)
        weights[name] = run_recipe(recipe, data, out / name, device)
    suite = replace(suite, models=tuple(weights))
    base = root or (path.parent / plan.suite).parent
    show_suite(suite, base, out / "scores", lambda name: load(str(weights[name]), device), limit)
