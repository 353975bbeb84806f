"""`anymask eval human`: a page on which people rate masks, and what they gave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .evaluation import find_samples, watching
from .models import load

app = typer.Typer(help="People rate masks from 1 to 10, not knowing whose they are (§7.1).", no_args_is_help=True)


@app.command()
def page(
    data: Annotated[list[str], typer.Argument(help="Folders of labelled images, or sets by name.", show_default=False)],
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name or a weights file; several are compared. [default: nano]")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Also masks of simple methods without a model.")] = False,
    objects: Annotated[int, typer.Option(min=1, help="Objects to rate, each with a mask from every source.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the draw and of the order.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page and key.")] = Path("study"),
    root: Annotated[Path, typer.Option(help="Folder of sets that go by name.", envvar="ANYMASK_DATA")] = Path("data"),
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
) -> None:
    """Draw objects, and write a page to rate their masks on.

    study.html can be sent to anyone and needs no network; key.json says whose each mask is, and stays with you.
    """
    from ..evaluation.human_page import write_page
    from ..evaluation.points import Points
    from ..evaluation.study import make_items
    from ..evaluation.suite import short_name
    from ..predict.predictor import SamPredictor

    sets = {name: samples for samples, name in (find_samples(each, "auto", None, root, {}) for each in data)}
    sources = {short_name(name): SamPredictor(load(name, device)) for name in model or ["nano"]}
    if baselines:
        sources |= {name: make() for name, make in Points.baselines.items()}
    with watching() as progress:
        items = make_items(sets, sources, objects, seed, lambda done, total: progress("images", done, total))
    write_page(out / "study.html", items, out / "key.json", seed)
    print(f"{len(items)} masks to rate: {out / 'study.html'} (keep {out / 'key.json'} to yourself)")


@app.command()
def read(
    ratings: Annotated[list[Path], typer.Argument(help="What the raters saved, a file each.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The key that was written with the page.")] = Path("study/key.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read ratings back: the mean of each source with its interval, differences, and how far the raters agree."""
    from ..evaluation.human import read_ratings, summarise

    metrics = list(summarise(read_ratings(ratings, key)))
    if as_json:
        print(json.dumps({m.name: {"value": m.value, "interval": m.interval} for m in metrics}, indent=2))
        return
    table = Table("figure", box=None, pad_edge=False, header_style="bold")
    table.add_column("value", justify="right")
    for metric in metrics:
        interval = f" ({metric.interval[0]:.2f}–{metric.interval[1]:.2f})" if metric.interval else ""
        value = str(metric.value) if isinstance(metric.value, int) else f"{metric.value:.2f}"
        table.add_row(metric.name, value + interval)
    Console().print(table)
