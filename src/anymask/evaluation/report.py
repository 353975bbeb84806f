"""The pictures of an evaluation: a curve or bars for one protocol, and a suite's figure after the paper's."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..figures import COLOURS, new_figure, save_figure
from .experiment import Outcome
from .protocol import Metric

ORACLE = "1 click, best of three, mean IoU"

Curve = dict[int, Metric]
"""mean IoU by number of clicks"""


def plot(outcome: Outcome, folder: Path) -> Path:
    """Draw plot.png: IoU by clicks, precision by recall, and for all else bars with their intervals."""
    clicks = {name: curve for name, metrics in outcome.metrics.items() if len(curve := _curve(metrics)) > 1}
    edges = {name: found for name in outcome.metrics if (found := _precision_recall(outcome, name)) is not None}
    figure, axes = new_figure(6.4, 5.6 if edges else 4.4)
    if edges:
        _draw_precision_recall(axes, outcome, edges)
    elif clicks:
        _draw_curves(axes, outcome, clicks)
    else:
        _draw_bars(axes, outcome)
    title = textwrap.fill(f"{outcome.protocol} on {_plain(outcome.title)}", 60)
    figure.suptitle(title, x=0.02, horizontalalignment="left", fontsize="medium", fontweight="bold")
    return save_figure(figure, folder / "plot.png")


def plot_suite(outcomes: Sequence[Outcome], path: Path) -> Path | None:
    """Draw a suite in the manner of the paper's figure 9; None where no entry is the points protocol's.

    Left, for each data set, how much better one click of the first subject is than one of the second. Right, mean IoU
    over all data sets after each number of clicks, with stars for the best of three masks after the first.
    """
    outcomes = [outcome for outcome in outcomes if outcome.protocol == "points"]
    if not outcomes:
        return None
    pair = list(outcomes[0].metrics)[:2]
    differences = _differences(outcomes, *pair) if len(pair) == 2 else []
    figure, axes = new_figure(
        11 if differences else 6.4, max(4.4, 1.6 + 0.28 * len(differences)), 1 + bool(differences)
    )
    if differences:
        _draw_differences(axes[0], differences)
        axes[0].set_title(f"{_plain(pair[0])} over {_plain(pair[1])}, 1 click", loc="left")
    right = figure.axes[-1]
    _draw_means(right, outcomes)
    sets = "1 data set" if len(outcomes) == 1 else f"{len(outcomes)} data sets"
    right.set_title(f"mean over {sets}", loc="left")
    return save_figure(figure, path)


def _plain(name: str) -> str:
    """A name from outside as matplotlib shows it as it is, rather than as a formula."""
    return name.replace("$", r"\$")


def _curve(metrics: Sequence[Metric]) -> Curve:
    """The metrics that are mean IoU after so many clicks."""
    found = {}
    for metric in metrics:
        match = re.fullmatch(r"(\d+) clicks?(, best-scored mask)?, mean IoU", metric.name)
        if match:
            found[int(match[1])] = metric
    return found


def _draw_curves(axes: Any, outcome: Outcome, curves: Mapping[str, Curve]) -> None:
    """Mean IoU by clicks, with the intervals as bands; baselines are dashed."""
    for name, curve in curves.items():
        clicks = list(curve)
        line = _line(axes, outcome, name, clicks, [metric.value for metric in curve.values()])
        bands = [metric.interval or (metric.value, metric.value) for metric in curve.values()]
        axes.fill_between(clicks, *zip(*bands, strict=True), color=line.get_color(), alpha=0.15, linewidth=0)
    _label_clicks(axes, max((list(curve) for curve in curves.values()), key=len))


def _line(axes: Any, outcome: Outcome, subject: str, x: Sequence[int], y: Sequence[float]) -> Any:
    style = "-" if subject in outcome.models else "--"
    return axes.plot(x, y, style, marker="o", markersize=4, label=_plain(subject))[0]


def _label_clicks(axes: Any, clicks: list[int]) -> None:
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1))
    axes.set_xticks(clicks if len(clicks) < 8 else [click for click in clicks if click in (1, 5) or click % 5 == 0])
    _legend(axes)


def _legend(axes: Any) -> None:
    """Name the lines or bars: below the axes, or within where others share the figure."""
    handles, labels = axes.get_legend_handles_labels()
    if len(axes.figure.axes) > 1:
        axes.legend(handles, labels, frameon=False, loc="best")
        return
    columns = min(len(labels), max(1, 72 // (max(map(len, labels)) + 8)))
    axes.figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=columns)


def _precision_recall(outcome: Outcome, subject: str) -> tuple[list[float], list[float]] | None:
    """Recall and precision at the rising thresholds of a subject, as far as anything is found; None without any."""
    series: dict[str, list[float]] = {"recall": [], "precision": []}
    for metric in outcome.metrics[subject]:
        kind, found, _ = metric.name.partition(" at threshold ")
        if found and kind in series:
            series[kind].append(metric.value)
    points = [pair for pair in zip(series["recall"], series["precision"], strict=True) if pair[0] > 0]
    return ([recall for recall, _ in points], [precision for _, precision in points]) if points else None


def _draw_precision_recall(axes: Any, outcome: Outcome, curves: Mapping[str, tuple[list[float], list[float]]]) -> None:
    """Precision by recall, with lines of equal F in grey, a dot at the ODS, and the published ODS as dashed lines."""
    for level in np.arange(1, 10) / 10:
        recall, precision = _equal_f(level)
        axes.plot(recall, precision, color="#dddddd", linewidth=0.8, zorder=1)
        axes.annotate(f"{level:.1f}", (1, precision[-1]), (2, 0), textcoords="offset points", **_SMALL)
    axes.annotate("F", (1, 1), (2, 0), textcoords="offset points", **_SMALL)
    for style, each in zip(("--", ":", "-."), outcome.published.get("ODS", []), strict=False):
        label = f"{each.who}, ODS {each.value:.3f}"
        axes.plot(*_equal_f(each.value), style, color="#444444", linewidth=1, label=_plain(label))
    for name, (recall, precision) in curves.items():
        label = f"{name}, ODS {outcome.shown(name, 'ODS')}"
        style = "o" if len(recall) == 1 else "-" if name in outcome.models else "--"
        [line] = axes.plot(recall, precision, style, label=_plain(label))
        best = [[m.value] for kind in ("recall", "precision") if (m := outcome.find(name, f"ODS, {kind}")) is not None]
        if len(best) == 2:
            axes.plot(*best, "o", color=line.get_color())
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(False)
    _legend(axes)


_SMALL = {"fontsize": "x-small", "color": "#999999", "verticalalignment": "center", "annotation_clip": False}


def _equal_f(level: float) -> tuple[Any, Any]:
    """Recall and precision, as far as both are 1 or less, whose harmonic mean is `level`."""
    above = np.linspace(level, 1, 50)
    below = level * above / (2 * above - level)
    return np.concatenate([below[::-1], above]), np.concatenate([above[::-1], below])


def _draw_bars(axes: Any, outcome: Outcome) -> None:
    """Horizontal bars: a group for each figure from 0 to 1, a bar for each subject, published figures as ticks."""
    figures = {
        name: {m.name: m for m in metrics if not isinstance(m.value, int)} for name, metrics in outcome.metrics.items()
    }
    names = [name for name in outcome.names() if any(name in some for some in figures.values())]
    height = 0.8 / max(1, len(figures))
    axes.figure.set_figheight(1.6 + max(1, len(names)) * (0.14 + 0.15 * max(1, len(figures))))
    for place, (subject, some) in enumerate(figures.items()):
        shown = [(row + (place - (len(figures) - 1) / 2) * height, some[n]) for row, n in enumerate(names) if n in some]
        widths = [metric.value for _, metric in shown]
        errors = [[abs(m.value - (m.interval or (m.value, m.value))[side]) for _, m in shown] for side in (0, 1)]
        bars = {"xerr": errors, "error_kw": {"linewidth": 0.8}} if np.any(errors) else {}
        axes.barh([y for y, _ in shown], widths, height * 0.9, label=_plain(subject), **bars)
    _draw_published(axes, outcome, names)
    axes.set_yticks(range(len(names)), [textwrap.fill(_plain(name), 36) for name in names])
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0), max(high, 1))
    axes.grid(False, axis="y")
    _legend(axes)


def _draw_published(axes: Any, outcome: Outcome, names: Sequence[str]) -> None:
    found: dict[str, list[tuple[int, float]]] = {}
    for row, name in enumerate(names):
        for each in outcome.published.get(name, []):
            found.setdefault(each.who, []).append((row, each.value))
    for style, (who, places) in zip(("-", ":", "--"), found.items(), strict=False):
        rows, values = (np.array(each) for each in zip(*places, strict=True))
        axes.vlines(values, rows - 0.45, rows + 0.45, color="black", linestyle=style, linewidth=1.5, label=_plain(who))


def _differences(outcomes: Sequence[Outcome], subject: str, reference: str) -> list[tuple[float, str]]:
    """How much larger mean IoU after one click is, with the data set's title; the largest difference first."""
    found = []
    for outcome in outcomes:
        ours, theirs = (_curve(outcome.metrics.get(name, ())).get(1) for name in (subject, reference))
        if ours and theirs:
            found.append((ours.value - theirs.value, outcome.title))
    return sorted(found, reverse=True)


def _draw_differences(axes: Any, differences: Sequence[tuple[float, str]]) -> None:
    values = [value for value, _ in differences]
    bars = axes.barh(range(len(values)), values, color=[COLOURS[0] if value >= 0 else COLOURS[1] for value in values])
    axes.bar_label(bars, [f"{value:+.3f}".replace("-", "−") for value in values], padding=3)
    axes.set_yticks(range(len(values)), [textwrap.fill(_plain(title), 30) for _, title in differences])
    axes.set_ylim(max(len(values), 4) - 0.5, -0.5)
    axes.margins(x=0.25)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.grid(False, axis="y")
    axes.set(xlabel="difference of mean IoU")


def _draw_means(axes: Any, outcomes: Sequence[Outcome]) -> None:
    """Mean IoU over data sets by clicks, with stars for the best of three masks."""
    shown: list[int] = []
    for subject in outcomes[0].metrics:
        curves = [_curve(outcome.metrics.get(subject, ())) for outcome in outcomes]
        clicks = sorted(set.intersection(*map(set, curves)))
        means = [_mean([curve[click].value for curve in curves]) for click in clicks]
        line = _line(axes, outcomes[0], subject, clicks, means)
        best = [metric.value for outcome in outcomes if (metric := outcome.find(subject, ORACLE)) is not None]
        axes.plot(1, _mean(best), "*", color=line.get_color(), markersize=11)
        shown = max(shown, clicks, key=len)
    axes.plot([], [], "*", color="black", markersize=9, linestyle="none", label="best of three masks")
    _label_clicks(axes, shown)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
