"""How a training run is shown in a terminal: a live line of how it goes, and a line for each validation."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class TrainingDisplay:
    """Shows a run while it is open. Where there is no terminal, each report is a line of its own.

    Args:
        steps: of the whole run.
        metric: which figure of a validation tells the best weights.
        out: the run's folder.
        console: where to.
    """

    def __init__(self, steps: int, metric: str, out: Path, console: Console) -> None:
        self._steps, self._metric, self._out, self._console = steps, metric, out, console
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(12),
            TextColumn("{task.fields[told]}", markup=False),
            console=console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("", total=steps, told="starting")
        self._best: float | None = None

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line for good."""
        self._console.print(line, soft_wrap=True)

    def report(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the figures of a step; `seconds` is the time of one, `left` that until the end."""
        masks = f"IoU {figures['iou_first']:.2f} → {figures['iou_last']:.2f}  " if "iou_first" in figures else ""
        told = f"loss {figures['loss']:.3f}  {masks}{figures['seconds']:.2f} s/step  {in_words(figures['left'])} left"
        if self._live:
            self._progress.update(self._task, completed=step, told=told)
        else:
            self.say(f"step {step}/{self._steps}  {told}")

    def announce(self, what: str, done: int, total: int) -> None:
        """Show what goes on before the steps; each tenth of it where there is no terminal."""
        told = f"{what}: {done:,} of {total:,}"
        if self._live:
            self._progress.update(self._task, told=told)
        elif done * 10 // total > (done - 1) * 10 // total:
            self.say(told)

    def validating(self, images: int) -> None:
        """Show that a validation has begun."""
        self._progress.update(self._task, told=f"validating on {images} images")

    def validated(self, step: int, figures: Mapping[str, float]) -> None:
        """Print the figures of a validation as a row of the table, and whether they are the best so far."""
        if self._best is None:
            self._best = max((row[self._metric] for row in _rows(self._out)), default=float("-inf"))
            self.say("".join(["   step", *(f"{name:>10}" for name in figures)]))
        remark = ""
        if step == 0:
            remark = "before"
        elif figures[self._metric] > self._best:
            remark = f"best {self._metric}"
        self._best = max(self._best, figures[self._metric])
        cells = [f"{value:>10.0f}" if name == "objects" else f"{value:>10.3f}" for name, value in figures.items()]
        self.say(f"{step:>7,}{''.join(cells)}  {remark}".rstrip())


def gain(out: Path, metric: str) -> str | None:
    """What a run has gained from its first validation to that with the best figure; None without two of them."""
    rows = _rows(out)
    if len(rows) < 2:
        return None
    first, best = rows[0], max(rows, key=lambda row: row[metric])
    if best is first:
        return f"no step was better than step {first['step']:.0f}, whose {metric} is {first[metric]:.3f}"
    names = [name for name in first if name not in ("step", "objects")]
    figures = ", ".join(f"{name} {first[name]:.3f} → {best[name]:.3f}" for name in names)
    return f"from step {first['step']:,.0f} to step {best['step']:,.0f}, the best: {figures}"


def _rows(out: Path) -> list[dict[str, float]]:
    """The validations of a run so far."""
    path = out / "validation.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def in_words(seconds: float) -> str:
    """A time to wait, as a person says it; "some time" where it is not known."""
    if seconds != seconds:
        return "some time"
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{round(hours / 24)} days"
