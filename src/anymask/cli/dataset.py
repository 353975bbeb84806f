"""`anymask dataset`: labelled images as a whole, from one format to another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from .everything import SOME_FAILED
from .progress import one_bar

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _dataset() -> None:
    """Data sets: convert between formats."""


@app.command("convert")
def convert_command(
    data: Annotated[Path, typer.Argument(help="Folder, file or pattern of tars with labelled images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the new data; it must not be there yet.")],
    to: Annotated[str, typer.Option("--to", help="Format to write: sa1b, coco, yolo, labelme, via, cvat, …")] = "sa1b",
    format: Annotated[str, typer.Option(help="How the labels are written, where that is not plain to see.")] = "auto",
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, where they do not lie beside the labels.")
    ] = None,
    holes: Annotated[
        Literal["join", "fill", "refuse"],
        typer.Option(
            help="In formats of one polygon an object, holes and several parts are joined by bridges of no width, or "
            "filled and made objects of their own, or are an error."
        ),
    ] = "join",
    place: Annotated[
        Literal["copy", "link", "none"],
        typer.Option(help="Whether images are copied, linked to, or left where they are."),
    ] = "copy",
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Leave out images that are wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Write labelled images in another format; what that cannot hold is counted.

    The new folder is there as a whole or not at all. Where some images are left out, the exit code is 3.
    """
    from ..dataset.convert import convert
    from ..dataset.formats import open_data

    samples = open_data(data, format, images)
    console = Console(stderr=True, highlight=False, markup=False)
    with one_bar(console, "images") as update:
        found = convert(samples, out, to, holes=holes, images=place, keep_going=keep_going, progress=update)
    if as_json:
        counts = {"images": found.images, "masks": found.masks, "losses": found.losses, "skipped": found.skipped}
        json.dump(counts, sys.stdout)
        print()
    else:
        print(f"{out}: {found.images} images, {found.masks} masks")
        for loss, times in found.losses.items():
            print(f"lost: {loss}, {times}")
    for line in found.skipped:
        console.print(f"left out: {line}", soft_wrap=True)
    if found.skipped:
        raise typer.Exit(SOME_FAILED)
