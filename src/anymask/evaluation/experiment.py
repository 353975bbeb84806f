"""One protocol on one data set, for several models and baselines side by side, with all that is left on disk of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ..dataset.sample import Sample
from ..errors import ConfigError
from ..files import remove, write_json
from ..model.sam import Sam
from ..predict.predictor import SamPredictor
from ..runtime.names import Refine, RuntimeName
from .expected import Published, expected
from .protocol import EvaluationProtocol, Metric
from .run import run

Progress = Callable[[str, int, int], None]
"""called with the name of what is asked, the images done, and the images in all"""


LIBRARIES = {"edges": ("scipy", "skimage"), "felzenszwalb": ("skimage",)}
"""what a protocol or a baseline needs of the extra anymask[eval], besides matplotlib, which draws all plots"""


class Opened(NamedTuple):
    """What the protocol asks.

    Attributes:
        asked: a predictor or what else the protocol made of it, or a baseline.
        weights: the hash of a model's weights.
        how: what else decides its answers, as JSON.
    """

    asked: Any
    weights: str | None = None
    how: dict[str, Any] = {}  # noqa: RUF012


@dataclass(frozen=True)
class Subject:
    """What is asked, opened when it is its turn; `name` is how it is called in tables and files."""

    name: str
    open: Callable[[], Opened]
    is_baseline: bool = False


def model_subject(
    name: str,
    protocol: EvaluationProtocol,
    load: Callable[[], Sam],
    bf16: bool = False,
    runtime: RuntimeName = "auto",
    refine: Refine = "none",
    second_look: bool = False,
) -> Subject:
    """A model as the subject of a protocol, on a runtime.

    Raises ConfigError for a refinement or a second look where the protocol asks for more than a predictor's masks.
    """
    if (refine != "none" or second_look) and not protocol.refines:
        raise ConfigError(f"{protocol.name}: takes masks as the model gives them; leave out --refine and --second-look")

    def open_() -> Opened:
        sam = load()
        predictor = SamPredictor(sam, runtime, "fast" if bf16 else "exact", refine=refine, second_look=second_look)
        asked = {"bf16": bf16, "refine": refine, "second_look": second_look}
        how = {name: value for name, value in asked.items() if value not in (False, "none")}
        return Opened(protocol.subject(predictor), sam.weights_hash, how)

    return Subject(name, open_)


def baseline_subjects(protocol: EvaluationProtocol) -> list[Subject]:
    """The baselines that a protocol has."""

    def subject(name: str, make: Callable[[], Any]) -> Subject:
        return Subject(name, lambda: Opened(make()), is_baseline=True)

    return [subject(name, make) for name, make in protocol.baselines.items()]


def check_subjects(protocol: EvaluationProtocol, subjects: Sequence[Subject]) -> None:
    """Raise ConfigError for two subjects of one name, and for a library that is not installed."""
    names = [subject.name for subject in subjects]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two of the models and baselines are called {name!r}; give the weights file another name"
            )
    needed = {"plots": ("matplotlib",)} | {name: LIBRARIES.get(name, ()) for name in (protocol.name, *names)}
    for what, libraries in needed.items():
        for library in libraries:
            if find_spec(library) is None:
                raise ConfigError(f"{what}: needs {library}; pip install 'anymask[eval]'")


@dataclass
class Outcome:
    """The figures of one protocol on one data set.

    Attributes:
        protocol: its name.
        data: the data set's name.
        title: how people call it.
        models: the subjects that are no baselines.
        metrics: by subject, in the order asked.
        published: what others got, by metric.
    """

    protocol: str
    data: str
    title: str
    models: list[str]
    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    published: dict[str, list[Published]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return {
            "protocol": self.protocol,
            "data": self.data,
            "title": self.title,
            "models": self.models,
            "metrics": {
                name: {m.name: {"value": m.value, "interval": m.interval} for m in metrics}
                for name, metrics in self.metrics.items()
            },
            "published": {name: [each._asdict() for each in found] for name, found in self.published.items()},
        }

    def table(self) -> list[list[str]]:
        """A header and a row for each metric that is no detail: the subjects' figures, then what others published."""
        names = self.names()
        others = dict.fromkeys(each.who for name in names for each in self.published.get(name, []))
        rows = [["metric", *self.metrics, *others]]
        for name in names:
            found = {each.who: f"{each.value:.3f}" for each in self.published.get(name, [])}
            own = [self.shown(subject, name) for subject in self.metrics]
            rows.append([name, *own, *(found.get(who, "") for who in others)])
        return rows

    def names(self, wanted: Sequence[str] | None = None) -> list[str]:
        """The metrics that are no details, or those of `wanted` that a subject has."""
        found = dict.fromkeys(m.name for metrics in self.metrics.values() for m in metrics if not m.detail)
        return list(found) if wanted is None else [name for name in wanted if name in found]

    def find(self, subject: str, name: str) -> Metric | None:
        """A subject's metric of that name."""
        return next((metric for metric in self.metrics.get(subject, ()) if metric.name == name), None)

    def shown(self, subject: str, name: str) -> str:
        """A subject's figure as people read it, a model's with its interval; a count has no decimals."""
        metric = self.find(subject, name)
        if metric is None:
            return ""
        if isinstance(metric.value, int):
            return str(metric.value)
        interval = metric.interval if subject in self.models else None
        return f"{metric.value:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")

    def notes(self) -> list[str]:
        """Where the published figures come from."""
        found = dict.fromkeys((each.who, each.source) for some in self.published.values() for each in some)
        return [f"{who}: {source}" for who, source in found]


def measure(
    protocol: EvaluationProtocol,
    subjects: Sequence[Subject],
    samples: Sequence[Sample],
    data: str,
    folder: Path,
    progress: Progress = lambda name, done, total: None,
    again: bool = False,
    skip_empty: bool = False,
    title: str = "",
) -> Outcome:
    """Run a protocol for each subject, and write each one's rows (NAME.jsonl), and summary.json of all.

    Raises what `check_subjects` and `run` raise; `again` starts anew rather than go on.
    """
    check_subjects(protocol, subjects)
    outcome = Outcome(protocol.name, data, title or data, [each.name for each in subjects if not each.is_baseline])
    for subject in subjects:
        path = folder / f"{subject.name}.jsonl"
        if again:
            remove(path)
        asked, weights, how = subject.open()
        settings = {"model": subject.name, "weights": weights, **how}
        tell = partial(_tell, progress, subject.name, len(samples))
        rows = run(protocol, asked, samples, path, settings, tell, skip_empty)
        outcome.metrics[subject.name] = list(protocol.summarise(rows))
    names = dict.fromkeys(metric.name for metrics in outcome.metrics.values() for metric in metrics)
    outcome.published = {name: found for name in names if (found := expected(protocol.name, data, name))}
    write_json(folder / "summary.json", outcome.to_dict(), indent=2)
    return outcome


def _tell(progress: Progress, name: str, total: int, done: int) -> None:
    progress(name, done, total)
