"""`anymask dataset stats`: what sets hold, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import Reading, Workers, processes


def stats(
    data: Reading,
    others: Annotated[
        list[Path] | None, typer.Argument(metavar="[DATA]...", help="More data, to be shown beside it.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for report.html, its figures and stats.json.")
    ] = Path("stats"),
    workers: Workers = None,
) -> None:
    """Count what data sets hold, as the paper does of SA-1B (§5), in one pass over their records; no image is read."""
    from ...dataset.merge import names_of
    from ...dataset.stats import gather
    from ...dataset.stats_report import write_report
    from ...figures import check_plots

    check_plots()
    found = {}
    paths = [data.data, *(others or ())]
    for name, path in zip(names_of(paths), paths, strict=True):
        with data.progress(name) as update:
            found[name] = gather(data.open(path), processes(workers), data.problems, update)
    report = write_report(found, out)
    if data.as_json:
        print(json.dumps({name: each.summary() for name, each in found.items()}))
    else:
        for name, each in found.items():
            per_image = each.masks / max(each.images, 1)
            print(f"{name}: {each.images:,} images, {each.masks:,} masks, {per_image:.1f} an image")
        print(f"report: {report}")
    data.end()
