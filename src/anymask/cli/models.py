"""`anymask models`: what models there are, what is known of each, and their weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..model.config import SamConfig
    from ..model.registry import Entry
    from ..model.sam import Sam
    from ..model.weights import Progress

app = typer.Typer(help="List, show and download models.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of the model; `anymask models list` shows all.")]


@app.command("list")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Also toy models, which have no weights.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models and where their weights are."""
    from ..model.registry import MODELS

    records = [_summary(known) for known in MODELS.values() if everything or _has_weights(known)]
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for title in ("parameters", "input", "on disk"):
        table.add_column(title, justify="right", no_wrap=title != "on disk")
    table.add_column("licence")
    table.add_column("about")
    for record in records:
        side = record["input_size"]
        table.add_row(
            record["name"],
            f"{record['parameters'] / 1e6:.1f} M",
            f"{side}×{side}",
            _on_disk(record),
            record["licence"],
            record["about"],
        )
    Console().print(table)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show all that is known of a model: configuration, weights and, for our own files, the card."""
    from ..model.registry import entry
    from ..model.text.weights import PACKAGED

    if name == PACKAGED:
        _show_detector(as_json)
        return
    known = entry(name)
    summary = _summary(known)
    record = {
        **summary,
        "url": known.url or None,
        "sha256": known.sha256 or None,
        "config": known.config.to_dict(),
        "card": _card(summary["file"]),
    }
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(Text(name, style="bold") + Text(f"  {known.about}", style="not bold"))
    weights = {"on disk": _on_disk(summary)} | {
        key: record[key] for key in ("file", "url", "sha256", "licence") if record[key]
    }
    config = {"parameters": f"{summary['parameters']:,}", **{k: v for k, v in record["config"].items() if k != "name"}}
    _print_parts({"weights": weights, "configuration": config, "card": record["card"]})


def _show_detector(as_json: bool) -> None:
    """Show what is known of the packaged text detector."""
    from ..model.text.weights import detector_path, load_detector

    path, config = str(detector_path()), load_detector().config.to_dict()
    card = _card(path)
    if as_json:
        typer.echo(json.dumps({"file": path, "config": config, "card": card}, indent=2, ensure_ascii=False))
        return
    Console().print(Text(config["name"], style="bold") + Text("  what --text finds things with", style="not bold"))
    _print_parts({"weights": {"file": path}, "configuration": config, "card": card})


def _print_parts(parts: dict[str, dict[str, Any]]) -> None:
    console = Console()
    for title, part in parts.items():
        if part:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(_grid(part))


@app.command()
def download(
    name: Name,
    folder: Annotated[Path | None, typer.Option(help="Where to put the file; by default the cache folder.")] = None,
) -> None:
    """Download the weights of a model, or go on where the last download was cut off; prints the file."""
    from ..model.text.clip import REPOSITORIES, download_clip
    from ..model.weights import download as fetch

    if name in REPOSITORIES:
        if folder is not None:
            raise typer.BadParameter(
                f"--folder is for one file; {name} is a folder of its own (ANYMASK_HOME says where)"
            )
        typer.echo(download_clip(name))
        return
    with download_bar(name) as progress:
        path = fetch(name, folder, progress)
    typer.echo(path)


@app.command()
def pack(
    weights: Annotated[Path, typer.Argument(help="Weights that `anymask train` wrote.")],
    card: Annotated[Path, typer.Argument(help="What to say of them, in TOML: data, licence, scores, limits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, in float16.")],
    scale_logits: Annotated[
        float, typer.Option(help="Make mask logits so many times steeper; the masks stay as they are.")
    ] = 1.0,
) -> None:
    """Make a file to publish: weights in float16 with their card; the recipe is taken over."""
    from ..model import calibration
    from ..model.checkpoint import open_model, read_card, save_model
    from ..settings import read_toml

    sam = open_model(weights)
    calibration.scale_logits(sam, scale_logits)
    save_model(sam, out, {**read_toml(card), **read_card(weights)}, half=True)
    typer.echo(f"{out}: {decimal(out.stat().st_size)}")


def load(name: str, device: str) -> Sam:
    """Load a model for a command, with a bar where its weights must be downloaded first."""
    from ..model.weights import load_model

    with download_bar(name) as progress:
        return load_model(name, device, progress)


@contextmanager
def download_bar(name: str) -> Iterator[Progress]:
    """A bar on standard error for the bytes of a download; it shows once they come."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    bar = bars.Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(name, total=None)

    def advance(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total or None)

    try:
        yield advance
    finally:
        if bar.live.is_started:  # a bar that never showed would still end its line
            bar.stop()


def _has_weights(known: Entry) -> bool:
    return known.packaged or bool(known.url)


def _summary(known: Entry) -> dict[str, Any]:
    from ..model.weights import find_weights

    found = find_weights(known.config.name)
    return {
        "name": known.config.name,
        "about": known.about,
        "licence": known.licence,
        "parameters": _parameters(known.config),
        "input_size": known.config.encoder.size,
        "weights": _has_weights(known),
        "packaged": known.packaged,
        "file": str(found) if found else None,
        "bytes": found.stat().st_size if found else None,
    }


def _parameters(config: SamConfig) -> int:
    """Number of parameters, counted without holding any of them."""
    import torch

    from ..model.sam import Sam

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Sam(config).parameters())


def _on_disk(summary: dict[str, Any]) -> str:
    if summary["file"]:
        return decimal(summary["bytes"])
    if summary["packaged"]:
        return "missing"
    return "not downloaded" if summary["weights"] else "no weights"


def _card(file: str | None) -> dict[str, Any]:
    from ..model.checkpoint import read_card

    return read_card(file) if file and file.endswith(".safetensors") else {}


def _grid(record: dict[str, Any]) -> Table:
    """Keys beside their values; what is nested is indented."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for key, value in _rows(record, "  "):
        grid.add_row(Text(key), Text(value))
    return grid


def _rows(record: dict[str, Any], indent: str) -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield f"{indent}{key}", ""
            yield from _rows(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
            yield f"{indent}{key}", ""
            yield from _rows({str(i): item for i, item in enumerate(value, start=1)}, indent + "  ")
        elif isinstance(value, (list, tuple)):
            yield f"{indent}{key}", ", ".join(map(str, value))
        else:
            yield f"{indent}{key}", str(value)
