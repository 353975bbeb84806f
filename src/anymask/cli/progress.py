"""Progress of long jobs in a terminal; nothing where the output is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def bars(console: Console) -> Progress:
    """Bars with counts and the time left; they vanish at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def updating(progress: Progress, task: Any) -> Callable[[int, int], None]:
    """What tells a bar how many are done, and of how many."""

    def update(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return update


@contextmanager
def one_bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A single bar, as what is called with how many are done, and of how many."""
    with bars(console) as progress:
        yield updating(progress, progress.add_task(what, total=None))
