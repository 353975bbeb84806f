"""`anymask eval suite`: many data sets and protocols to one table and one figure."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from .evaluation import find_samples, watching, wide_console
from .models import load

if TYPE_CHECKING:
    from ..dataset.sample import Sample
    from ..evaluation.suite import Entry, Suite
    from ..model.sam import Sam


def suite(
    path: Annotated[
        Path,
        typer.Argument(metavar="SUITE", help="A suite in TOML (recipes/suites/zero_shot.toml).", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results; a cut run goes on.")] = Path("scores"),
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of the data; else the suite's own.", envvar="ANYMASK_DATA"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images of each set.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Start anew rather than go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure all that a suite lists: table.md, table.csv, figure.png, and a folder for each entry."""
    from ..evaluation.suite import read_suite

    plan = read_suite(path)
    show_suite(plan, root or path.parent, out, partial(load, device=device), limit, again, as_json)


def show_suite(
    plan: Suite,
    base: Path,
    out: Path,
    open_model: Callable[[str], Sam],
    limit: int | None = None,
    again: bool = False,
    as_json: bool = False,
) -> None:
    """Measure a suite, and print its table.

    Args:
        plan: what to measure.
        base: the folder of the data.
        out: folder for results.
        open_model: gives a model by its name in the suite.
        limit: only the first so many images of each set.
        again: start anew rather than go on.
        as_json: print all figures as JSON instead.
    """
    from ..evaluation.suite import headlines, run_suite

    def find(entry: Entry) -> tuple[list[Sample], str]:
        images = base / entry.images if entry.images else None
        return find_samples(entry.data, entry.format, images, base, entry.format_options, entry.as_paper, base)

    with watching() as progress:
        outcomes = run_suite(plan, find, open_model, out, progress, limit, again)
    if as_json:
        record = {"files": str(out), "entries": [outcome.to_dict() for outcome in outcomes]}
        print(json.dumps(record, indent=2, ensure_ascii=False))
        return
    header, *rows = headlines(outcomes, plan.models)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in header:
        table.add_column(title)
    for row in rows:
        table.add_row(*map(Text, row))
    console = wide_console()
    console.print(table)
    console.print(Text(f"Tables, figure and rows: {out}", style="dim"), soft_wrap=True)
