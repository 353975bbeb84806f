"""What the verbs of `anymask dataset` share: which data to read, how to write it, and what is said of it."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from rich.console import Console

from ..everything import SOME_FAILED
from ..progress import one_bar
from ..shared_options import Format, Images, LoaderOption, key_and_value, with_options

if TYPE_CHECKING:
    from ...dataset.convert import Converted, Origin, Target
    from ...dataset.problems import Problems
    from ...dataset.sample import Sample


Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; as many as there are cores where it is not given.")
]


def processes(workers: int | None) -> int:
    """How many processes `Workers` means."""
    return workers or os.cpu_count() or 1


@dataclass
class Reading:
    """What all that read labelled images take."""

    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Folder, file or pattern of tars with labelled images.", show_default=False
        ),
    ]
    format: Format = "auto"
    images: Images = None
    option: LoaderOption = None
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out what is wrong, and say so at the end; exit code 3.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False

    @cached_property
    def problems(self) -> Problems:
        """What takes faults of the data."""
        from ...dataset.problems import Problems

        return Problems(self.keep_going)

    @cached_property
    def console(self) -> Console:
        """Where progress and faults are told."""
        return Console(stderr=True, highlight=False, markup=False)

    def open(self, data: Path | None = None) -> Sequence[Sample]:
        """The samples of `data`, or of another path that is read in the same way."""
        from ...dataset.formats import open_data

        options = dict(key_and_value(option) for option in self.option or ())
        return open_data(data or self.data, self.format, self.images, self.problems, **options)

    @contextmanager
    def progress(self, what: str = "images") -> Iterator[Callable[[int, int], None]]:
        """A bar."""
        with one_bar(self.console, what) as update:
            yield update

    def end(self) -> None:
        """Tell what was wrong. Ends with the exit code 3 where something was."""
        for line in self.problems.found:
            self.console.print(f"left out: {line}", soft_wrap=True)
        if self.problems.found:
            raise typer.Exit(SOME_FAILED)


@dataclass
class Writing(Reading):
    """What all that write labelled images take as well."""

    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the new data; it must not be there yet.", show_default=False)
    ] = Path()
    to: Annotated[str, typer.Option("--to", help="Format to write: sa1b, coco, yolo, labelme, via, cvat, …")] = "sa1b"
    holes: Annotated[
        Literal["join", "fill", "refuse"],
        typer.Option(
            help="In formats of one polygon an object, holes and several parts are joined by bridges of no width, or "
            "filled and made objects of their own, or are an error."
        ),
    ] = "join"
    place: Annotated[
        Literal["copy", "link", "none"],
        typer.Option(help="Whether images are copied, linked to, or left where they are."),
    ] = "copy"

    @cached_property
    def target(self) -> Target:
        """How the new data is written."""
        from ...dataset.convert import Target

        if self.out == Path():
            raise typer.BadParameter("-o: is missing; name the folder for the new data")
        return Target(self.to, self.holes, self.place)

    def write(self, samples: Sequence[Sample], change: Callable[[Sample], Sample | None] | None = None) -> None:
        """Write samples into `out`, and tell what came of it."""
        from ...dataset.convert import convert

        target, told = self.target, origin(self.data)
        with self.progress() as update:
            found = convert(
                samples, self.out, target, change=change, problems=self.problems, origin=told, progress=update
            )
        tell(self, {self.out: found})


def origin(*data: Path) -> Origin:
    """What the card tells of where new data is from."""
    from ...dataset.card import find_sources
    from ...dataset.convert import Origin

    sources = [source for path in data for source in find_sources(path)]
    return Origin(sources, shlex.join(["anymask", *sys.argv[1:]]))


def tell(data: Reading, written: dict[Path, Converted]) -> None:
    """Print what was written, as a whole or in parts, and what was wrong."""
    if data.as_json:
        parts = {str(out): _counts(found) for out, found in written.items()}
        counts = next(iter(parts.values())) if len(parts) == 1 else {"parts": parts}
        print(json.dumps({**counts, "skipped": data.problems.found}))
    else:
        for out, found in written.items():
            print(f"{out}: {found.images} images, {found.masks} masks")
            if found.left_out:
                print(f"not taken: {found.left_out} images")
            for loss, times in found.losses.items():
                print(f"lost: {loss}, {times}")
    data.end()


def _counts(found: Converted) -> dict[str, Any]:
    return {
        "images": found.images,
        "masks": found.masks,
        "not_taken": found.left_out,
        "losses": dict(found.losses),
    }


def add_verb(app: typer.Typer, verb: Callable[..., None]) -> None:
    """Add a command for a function that takes `Reading` or `Writing`, and options of its own."""
    first, *own = inspect.signature(verb).parameters
    hints = get_type_hints(verb, include_extras=True)
    shared = hints[first]
    parameters = inspect.signature(verb).parameters
    mine = {name: parameters[name].replace(annotation=hints[name]) for name in own}

    def run(**given: Any) -> None:
        told = shared(**{field.name: given.pop(field.name) for field in fields(shared)})
        verb(told, **given)

    with_options(shared, run, mine, verb.__doc__)
    app.command(verb.__name__.rstrip("_"))(run)
