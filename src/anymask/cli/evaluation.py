"""What the verbs of `anymask eval` share: finding the data, a progress bar, and the table of figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .models import load

if TYPE_CHECKING:
    from ..dataset.data_set import DataSet
    from ..dataset.sample import Sample
    from ..errors import DataError
    from ..evaluation.experiment import Outcome


def find_samples(
    data: str,
    kind: str,
    images: Path | None,
    root: Path,
    options: Mapping[str, Any],
    as_paper: bool = False,
    base: Path = Path(),
) -> tuple[list[Sample], str]:
    """The labelled images that a person means, and the name of their set.

    Args:
        data: a path, or the name of a set. The name counts where both are there.
        kind: the format of what lies at a path.
        images: their folder, where they do not lie with the labels.
        root: the folder of the sets that go by name.
        options: what else the format's loader takes.
        as_paper: draw images at random as the paper did, of a set by name.
        base: what a path is relative to.

    Raises DataError for neither a path nor the name of a set, and for a set that is not on disk; ConfigError for what
    a path, or a set by name, does not take.
    """
    from ..dataset.catalogue import open_set, sample_as_paper
    from ..dataset.formats import open_data
    from ..errors import ConfigError

    path, dataset = base / data, _set(data)
    if dataset and (_is_there(dataset, root) or not path.exists()):
        if kind != "auto" or images or options:
            raise ConfigError(
                f"{data}: is opened by name, as it comes from its home page; --format, --images and --option are for "
                f"a path: give that of a folder or file"
            )
        samples = open_set(dataset.name, root)
        return sample_as_paper(samples, dataset) if as_paper else samples, dataset.name
    if not path.exists():
        raise _unknown(data, path)
    if as_paper:
        raise ConfigError(f"--as-paper: {path} is a path; expected the name of a set (anymask eval sets)")
    samples = list(open_data(path, kind, images, **options))
    return samples, path.resolve().stem if path.is_file() else path.resolve().name


def _set(name: str) -> DataSet | None:
    from ..dataset.catalogue import CATALOGUE, OTHERS

    return (CATALOGUE | OTHERS).get(name.lower())


def _is_there(dataset: DataSet, root: Path) -> bool:
    """Whether a set lies in its folder as it comes from its home page."""
    places = [place for part in dataset.parts for place in (part.path, part.images) if place is not None]
    return all((root / dataset.name / place).exists() for place in places)


def _unknown(data: str, path: Path) -> DataError:
    from ..dataset.catalogue import CATALOGUE, OTHERS
    from ..errors import DataError

    near = get_close_matches(data.lower(), CATALOGUE | OTHERS, n=1)
    hint = f"did you mean {near[0]}?" if near else "anymask eval sets lists those"
    return DataError(f"{path}: no such folder or file, and no set has that name; {hint}")


def check_models(names: Sequence[str], device: str) -> None:
    """Open each of several models, so that one that is missing is told of before the first is measured."""
    for name in names if len(names) > 1 else ():
        load(name, device)


@contextmanager
def watching() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for the images that are done, with the time that is left."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, bars.TaskID] = {}

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)

        yield update


def wide_console() -> Console:
    """Standard output; where that is no terminal, wide enough for a table."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def print_outcome(outcome: Outcome, folder: Path, as_json: bool) -> None:
    """Print the figures of all subjects side by side, and what others published beside them."""
    if as_json:
        print(json.dumps({**outcome.to_dict(), "files": str(folder)}, indent=2, ensure_ascii=False))
        return
    header, *rows = outcome.table()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(header):
        table.add_column(title, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    console = wide_console()
    console.print(Text(f"{outcome.protocol} on {outcome.title}", style="bold"))
    console.print(table)
    for note in outcome.notes():
        console.print(Text(note, style="dim"), soft_wrap=True)
    console.print(Text(f"Rows, summary and plot: {folder}", style="dim"), soft_wrap=True)
