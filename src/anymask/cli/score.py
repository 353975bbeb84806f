"""`anymask eval`: score a model on labelled data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from .models import load

app = typer.Typer(help="Score a model on an SA-1B folder.", no_args_is_help=True)

Data = Annotated[Path, typer.Argument(help="An SA-1B folder: images, each with a JSON record.", show_default=False)]
Model = Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


@app.command()
def points(data: Data, model: Model = "nano", device: Device = "cpu", as_json: AsJson = False) -> None:
    """One click at the point of each mask that is farthest from its edge."""
    from ..evaluation import points as protocol

    _score(protocol, data, model, device, as_json)


@app.command()
def boxes(data: Data, model: Model = "nano", device: Device = "cpu", as_json: AsJson = False) -> None:
    """The ground-truth box of each mask."""
    from ..evaluation import boxes as protocol

    _score(protocol, data, model, device, as_json)


def _score(protocol: ModuleType, data: Path, model: str, device: str, as_json: bool) -> None:
    """Run a protocol over a folder and print its metrics."""
    from ..dataset.sa1b import open_folder
    from ..predict.predictor import SamPredictor

    samples = open_folder(data)
    predictor = SamPredictor(load(model, device))
    console = Console(stderr=True)
    watched = track(samples, "images", console=console, transient=True, disable=not console.is_terminal)
    metrics = dict(protocol.summarise(list(protocol.evaluate(predictor, watched))))
    if as_json:
        json.dump({"data": str(data), "model": model, **metrics}, sys.stdout, indent=2)
        print()
        return
    table = Table("metric", "value", title=Text(f"{model} on {data.name}"))
    for name, value in metrics.items():
        table.add_row(name, f"{value:.0f}" if name == "objects" else f"{value:.3f}")
    Console().print(table)
