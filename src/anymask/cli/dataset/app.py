"""`anymask dataset`: all its verbs."""

from __future__ import annotations

import typer

from .blur import blur
from .change import convert, dedup, filter, merge, sample, split
from .options import add_verb
from .quality import agreement, quality
from .shards import download, shard, upload
from .show import show
from .stats import stats
from .validate import validate

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _dataset() -> None:
    """Data sets: from one format to another, parts of them, faults in them, what they hold."""


for verb in (convert, merge, split, sample, filter, dedup, validate, stats, quality, agreement, show, blur, shard):
    add_verb(app, verb)
app.command()(upload)
app.command()(download)
