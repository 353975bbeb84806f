"""A suite: many data sets and protocols, measured for several models, into one table and one figure (§7)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..dataset.sample import Sample
from ..errors import ConfigError
from ..files import make_folder, replacing, write_json
from ..model.sam import Sam
from ..model.weights import SUFFIXES
from ..settings import check_types, field_names, read_toml, refuse_unknown, tables
from .experiment import Outcome, Progress, Subject, baseline_subjects, check_subjects, measure, model_subject
from .protocol import EvaluationProtocol
from .protocols import make_protocol
from .report import plot, plot_suite

HEADLINES = {
    "points": ("1 click, best-scored mask, mean IoU", "1 click, best of three, mean IoU", "3 clicks, mean IoU"),
    "interactive": ("NoC@85", "NoC@90", "failures over 20 clicks @90"),
    "boxes": ("box, single mask, mean IoU", "box, best of three, mean IoU"),
    "detections": ("AP",),
    "edges": ("ODS", "OIS", "AP", "R50"),
    "proposals": ("AR@1000",),
    "text": ("text, mean IoU",),
}
"""the metrics of each protocol that a suite's table shows; of others all that are no details"""


@dataclass(frozen=True)
class Entry:
    """One line of a suite: a protocol on a data set."""

    protocol: str
    """name of the protocol"""
    data: str
    """folder or file, relative to the suite's own folder, or the name of a set"""
    name: str = ""
    """how the set is called in the table; empty for the data's own name"""
    format: str = "auto"
    """how the labels are written"""
    images: str = ""
    """folder of the images, where they do not lie beside the labels"""
    format_options: dict[str, Any] = field(default_factory=dict)
    """what else the format's loader takes"""
    as_paper: bool = False
    """of a set by name, images with about 10 000 masks, drawn at random (D.1)"""
    options: dict[str, Any] = field(default_factory=dict)
    """the protocol's options; files among them are named as the protocol's own verb takes them"""
    bf16: bool = False
    """compute in bfloat16: faster, and the figures differ a little"""

    def __post_init__(self) -> None:
        check_types(self)
        make_protocol(self.protocol, self.options)


@dataclass(frozen=True)
class Suite:
    """What a suite file holds."""

    entries: tuple[Entry, ...]
    """written [[entries]]"""
    models: tuple[str, ...] = ("nano",)
    """names or weights files; the first is compared with the others in the figure"""
    baselines: bool = True
    """also measure simple methods without a model"""

    def __post_init__(self) -> None:
        check_types(self)
        if not self.entries or not self.models:
            raise ConfigError("expected at least one model, and one entry, written [[entries]]")


def read_suite(path: str | Path) -> Suite:
    """Read a suite. Raises ConfigError for what is none, and for what a protocol does not know."""
    record = read_toml(path)
    try:
        refuse_unknown(record, field_names(Suite))
        rest: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        rest["entries"] = tuple(Entry(**entry) for entry in tables(record, "entries", Entry))
        return Suite(**rest)
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


@dataclass(frozen=True)
class _Task:
    """An entry, ready to be measured."""

    protocol: EvaluationProtocol
    subjects: list[Subject]
    samples: list[Sample]
    data: str
    title: str

    @property
    def folder(self) -> str:
        return f"{self.protocol.name}-{self.data}"


def run_suite(
    suite: Suite,
    find: Callable[[Entry], tuple[list[Sample], str]],
    load: Callable[[str], Sam],
    folder: Path,
    progress: Progress = lambda name, done, total: None,
    limit: int | None = None,
    again: bool = False,
) -> list[Outcome]:
    """Measure all entries, and write table.md, table.csv, figure.png and suite.json.

    A cut run goes on. `find` opens an entry's data, `load` a model. A folder PROTOCOL-DATA holds each entry's files.
    What is missing is told before anything is measured.
    """
    make_folder(folder)
    tasks = [_task(suite, entry, find, load) for entry in suite.entries]
    _check(tasks)
    for model in suite.models if len(suite.models) > 1 else ():
        load(model)
    outcomes = []
    for task in tasks:
        tell = partial(_tell, progress, task.folder)
        where = folder / task.folder
        outcome = measure(
            task.protocol, task.subjects, task.samples[:limit], task.data, where, tell, again, title=task.title
        )
        plot(outcome, where)
        outcomes.append(outcome)
    write_json(folder / "suite.json", [outcome.to_dict() for outcome in outcomes], indent=2)
    _write(folder / "table.md", to_markdown(outcomes, suite.models))
    _write(folder / "table.csv", to_csv(outcomes))
    plot_suite(outcomes, folder / "figure.png")
    return outcomes


def _task(
    suite: Suite, entry: Entry, find: Callable[[Entry], tuple[list[Sample], str]], load: Callable[[str], Sam]
) -> _Task:
    protocol = make_protocol(entry.protocol, entry.options)
    subjects = [model_subject(short_name(model), protocol, partial(load, model), entry.bf16) for model in suite.models]
    subjects += baseline_subjects(protocol) if suite.baselines else []
    samples, name = find(entry)
    return _Task(protocol, subjects, samples, name, entry.name)


def _check(tasks: Sequence[_Task]) -> None:
    """Raise ConfigError for what `check_subjects` refuses, and for two entries whose files would be the same."""
    folders = [task.folder for task in tasks]
    for task in tasks:
        check_subjects(task.protocol, task.subjects)
        if folders.count(task.folder) > 1:
            raise ConfigError(
                f"two entries are {task.protocol.name} on {task.data}; put one into a suite of its own, with its own -o"
            )


def _tell(progress: Progress, task: str, subject: str, done: int, total: int) -> None:
    progress(f"{task}: {subject}", done, total)


def short_name(model: str) -> str:
    """How a model is called in tables: its name, or that of its weights file without the suffix."""
    name = Path(model).name
    return Path(name).stem if name.endswith(SUFFIXES) else name


def headlines(outcomes: Sequence[Outcome], models: Sequence[str]) -> list[list[str]]:
    """A header, and a row a headline metric: the models' figures, the baselines', and what others published."""
    names = [short_name(model) for model in models]
    rows = [["data", "protocol", "metric", *names, "baselines", "published"]]
    for outcome in outcomes:
        for metric in outcome.names(HEADLINES.get(outcome.protocol)):
            own = {subject: outcome.shown(subject, metric) for subject in outcome.metrics}
            baselines = ", ".join(f"{name} {value}" for name, value in own.items() if name not in names and value)
            published = ", ".join(f"{each.who} {each.value:.3f}" for each in outcome.published.get(metric, []))
            shown = [own.get(name, "") for name in names]
            rows.append([outcome.title, outcome.protocol, metric, *shown, baselines, published])
    return rows


def to_markdown(outcomes: Sequence[Outcome], models: Sequence[str]) -> str:
    """The headline metrics as a table in Markdown."""
    header, *rows = ([cell.replace("|", "\\|") for cell in row] for row in headlines(outcomes, models))
    rule = [*["---"] * 3, *["---:"] * len(models), "---", "---"]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rows))


def to_csv(outcomes: Sequence[Outcome]) -> str:
    """Every metric of every subject: a line each, with the interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["data", "protocol", "subject", "metric", "value", "low", "high"])
    for outcome in outcomes:
        for subject, metrics in outcome.metrics.items():
            for metric in metrics:
                low, high = metric.interval or ("", "")
                writer.writerow([outcome.title, outcome.protocol, subject, metric.name, metric.value, low, high])
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
