"""The entry point: gathers the verbs, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import sys

import typer

from .. import __version__
from ..errors import AnymaskError
from . import annotate, boxes, everything, export, find, gaze, models, score, segment, train, train_text
from .dataset.app import app as dataset_app

INTERRUPTED = 130

app = typer.Typer(
    name="anymask",
    help="Segment anything: click, box, mask or words to a cut-out; everything in a photo; training and evaluation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("segment")(segment.segment)
app.command("everything")(everything.everything)
app.command("find")(find.find)
app.command("boxes")(boxes.boxes)
app.command("gaze")(gaze.gaze)
app.command("annotate")(annotate.annotate)
app.command("export")(export.export)
app.command("train")(train.train)
app.command("train-text")(train_text.train_text)
app.add_typer(score.app, name="eval")
app.add_typer(dataset_app, name="dataset")
app.add_typer(models.app, name="models")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(f"anymask {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error, 2 wrong usage, 3 some files failed, 130 interrupted."""
    try:
        app()
    except AnymaskError as error:
        print(f"anymask: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("anymask: interrupted; what is done is kept, and the same command goes on", file=sys.stderr)
        raise
