"""The verbs for data that is large or lies elsewhere: shard, upload and download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..progress import one_bar
from .options import Reading, Workers, origin, processes, tell


def shard(
    data: Reading,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the shards; a cut run goes on.")],
    per_shard: Annotated[int, typer.Option(min=1, help="Images in each.")] = 1000,
    workers: Workers = None,
) -> None:
    """Pack labelled images into tar shards like SA-1B's, with an index in Parquet and checksums."""
    from ...dataset.shard_writer import write_shards

    samples = data.open()
    with data.progress() as update:
        found = write_shards(
            samples,
            out,
            images=per_shard,
            workers=processes(workers),
            problems=data.problems,
            origin=origin(data.data),
            progress=update,
        )
    tell(data, {out: found})


def upload(
    folder: Annotated[Path, typer.Argument(help="Folder with data.")],
    url: Annotated[str, typer.Argument(help="Where to, such as s3://bucket/set; what fsspec knows.")],
) -> None:
    """Copy a folder to an object store or another machine; what is there already is not sent again."""
    from ...dataset.transfer import upload

    with one_bar(Console(stderr=True), "files") as update:
        sent = upload(folder, url, update)
    print(f"{url}: {sent} files sent")


def download(
    url: Annotated[str, typer.Argument(help="Where from, such as s3://bucket/set; what fsspec knows.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the data.")],
) -> None:
    """Copy data from an object store or another machine, and compare it with its checksums."""
    from ...dataset.transfer import download

    with one_bar(Console(stderr=True), "files") as update:
        fetched = download(url, folder, update)
    print(f"{folder}: {fetched} files fetched")
