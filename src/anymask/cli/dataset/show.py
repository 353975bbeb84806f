"""`anymask dataset show`: pages to look through labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import Reading


def show(
    data: Reading,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pages; it must not be there yet.")] = Path(
        "sheet"
    ),
    per_page: Annotated[int, typer.Option(min=1, help="Images of a page.")] = 100,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, by chance.")] = None,
) -> None:
    """Write pages to look through images and their masks; they open in any browser and need no network."""
    from ...dataset.contact_sheet import write_sheet
    from ...dataset.selection import choose

    samples = data.open()
    if limit is not None:
        samples = choose(samples, min(limit, len(samples)))
    with data.progress() as update:
        title = data.data.resolve().name
        page = write_sheet(samples, out, title, per_page=per_page, problems=data.problems, progress=update)
    print(json.dumps({"page": str(page)}) if data.as_json else f"open {page}")
    data.end()
