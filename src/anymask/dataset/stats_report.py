"""The report of what sets hold, side by side: one HTML file with the paper's figures 5 and 6, and the same as JSON."""

from __future__ import annotations

import base64
import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..figures import new_figure, save_figure
from ..files import make_folder, replacing, write_json
from .stats import CONCAVITIES, SIZES, Stats, same_sizes

MASKS_PER_IMAGE = ((0, 0), (1, 9), (10, 50), (51, 100), (101, 200), (201, None))
"""ranges of figure 6, and images without masks"""
SHOWN = 20
"""names that a plot shows"""
NAMED = {
    "categories": "Categories",
    "annotators": "Annotators",
    "countries": "Countries",
    "income_groups": "Income groups",
    "regions": "Regions",
}

Sets = Mapping[str, Stats]
"""by name"""


def write_report(sets: Sets, folder: Path) -> Path:
    """Write report.html, stats.json and a PNG of each figure into a folder; the path of the report.

    Raises ConfigError where matplotlib is missing, and OutputError where the folder cannot be written.
    """
    make_folder(folder)
    write_json(folder / "stats.json", {name: stats.summary() for name, stats in sets.items()}, indent=1)
    figures = []
    for name, title, draw in _figures(sets):
        path = save_figure(draw(sets), folder / f"{name}.png")
        figures.append((title, base64.b64encode(path.read_bytes()).decode("ascii")))
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(_page(sets, figures), encoding="utf-8")
    return folder / "report.html"


def _figures(sets: Sets) -> list[tuple[str, str, Callable[[Sets], Any]]]:
    """File, title and drawing of each figure that there is something for."""
    figures: list[tuple[str, str, Callable[[Sets], Any]]] = [
        ("centres", "Where the centres of masks lie, by place in the image (figure 5)", draw_centres),
        ("masks", "Masks per image, their size and their concavity (figure 6)", draw_masks),
        ("image_sizes", "Image sizes", draw_image_sizes),
    ]
    for kind, title in NAMED.items():
        if any(stats.names[kind] for stats in sets.values()):
            figures.append((kind, title, lambda sets, kind=kind: draw_names(sets, kind)))  # type: ignore[misc]
    return figures


def draw_centres(sets: Sets) -> Any:
    """The paper's figure 5: a map for each set, each in shares of its own largest cell."""
    figure, axes = new_figure(2.6 * max(len(sets), 2), 3.0, len(sets))
    for each, (name, stats) in zip(np.atleast_1d(axes), sets.items(), strict=True):
        each.imshow(stats.centres, cmap="magma", interpolation="bilinear", extent=(0, 1, 1, 0))
        each.set(title=_short(name), xticks=[], yticks=[])
        each.grid(False)
    return figure


def draw_masks(sets: Sets) -> Any:
    """The paper's figure 6: masks per image, relative mask size, and concavity had all sets masks of the same sizes."""
    figure, (left, middle, right) = new_figure(12, 3.8, 3)
    width = 0.8 / len(sets)
    for place, (name, stats) in enumerate(sets.items()):
        shares = [100 * _between(stats.masks_per_image, *ends) / max(stats.images, 1) for ends in MASKS_PER_IMAGE]
        left.bar(
            np.arange(len(shares)) + (place - (len(sets) - 1) / 2) * width, shares, width * 0.9, label=_short(name)
        )
    left.set_xticks(range(len(MASKS_PER_IMAGE)), [_range(*ends) for ends in MASKS_PER_IMAGE])
    left.set(xlabel="masks per image", ylabel="% of images")
    for stats, concavity in zip(sets.values(), same_sizes(list(sets.values())), strict=True):
        sizes = stats.size_concavity.sum(1)
        middle.plot(_middles(SIZES), _seen(sizes / max(sizes.sum(), 1)))
        right.plot(_middles(CONCAVITIES), _seen(concavity))
    middle.set(xlabel="relative mask size", ylabel="% of masks", xlim=(0, 1))
    right.set(xlabel="concavity" + (", sizes alike" if len(sets) > 1 else ""), ylabel="% of masks", xlim=(0, 1))
    for axes in (middle, right):
        if any(stats.masks > stats.empty for stats in sets.values()):
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.01)
    if len(sets) > 1:
        figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=6)
    return figure


def draw_image_sizes(sets: Sets) -> Any:
    """Widths and heights of the images, each dot as large as there are images of that size."""
    figure, axes = new_figure(5.6, 4.4)
    for name, stats in sets.items():
        sides = np.array(list(stats.image_sizes)).reshape(-1, 2)
        times = np.array(list(stats.image_sizes.values()))
        dots = 10 + 190 * times / max(times.max(initial=1), 1)
        axes.scatter(*sides.T, dots, alpha=0.5, linewidths=0, label=_short(name))
    axes.set(xlabel="width, pixels", ylabel="height, pixels")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if len(sets) > 1:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3, markerscale=0.5)
    return figure


def draw_names(sets: Sets, kind: str) -> Any:
    """Bars of the names that are most frequent over all sets, in shares of what is named in each."""
    sets = {name: stats for name, stats in sets.items() if stats.names[kind]}
    together: Counter[str] = sum((stats.names[kind] for stats in sets.values()), Counter())
    names = [name for name, _ in together.most_common(SHOWN)]
    figure, axes = new_figure(6.4, 1.3 + len(names) * (0.16 + 0.06 * len(sets)))
    height = 0.8 / len(sets)
    for place, (set_name, stats) in enumerate(sets.items()):
        counts = stats.names[kind]
        shares = [100 * counts[name] / max(counts.total(), 1) for name in names]
        y = np.arange(len(names)) + (place - (len(sets) - 1) / 2) * height
        axes.barh(y, shares, height * 0.9, label=_short(set_name))
    axes.set_yticks(range(len(names)), [_short(name, 36) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    of = "images" if kind in ("countries", "income_groups", "regions") else "masks"
    axes.set(xlabel=f"% of {of} of which it is known")
    if len(sets) > 1:
        figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3)
    return figure


def _page(sets: Sets, figures: Sequence[tuple[str, str]]) -> str:
    rows = [
        ("images", lambda s: f"{s['images']:,}"),
        ("masks", lambda s: f"{s['masks']:,}"),
        ("crowd regions", lambda s: f"{s['crowd_regions']:,}"),
        ("masks per image, mean", lambda s: f"{s['masks_per_image']['mean']:.1f}"),
        ("masks per image, median", lambda s: f"{s['masks_per_image']['median']:g}"),
        ("relative mask size, mean", lambda s: f"{s['relative_size']['mean']:.3f}"),
        ("concavity, mean", lambda s: f"{s['concavity']['mean']:.3f}"),
        ("categories", lambda s: f"{len(s['categories']):,}"),
    ]
    summaries = [stats.summary() for stats in sets.values()]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in sets)
    body = "".join(
        f"<tr><th>{label}</th>{''.join(f'<td>{show(summary)}</td>' for summary in summaries)}</tr>"
        for label, show in rows
    )
    plots = "".join(
        f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="data:image/png;base64,{image}">'
        for title, image in figures
    )
    title = html.escape(", ".join(sets))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><table><tr><th></th>{head}</tr>{body}</table>{plots}</html>\n"
    )


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #ddd; }
th { text-align: left; font-weight: 600; } td { text-align: right; font-variant-numeric: tabular-nums; }
tr:first-child th { text-align: right; } img { max-width: 100%; }
"""


def _seen(shares: Any) -> Any:
    """Shares in %, with gaps where there is nothing, which a logarithm does not show."""
    return np.where(shares > 0, 100 * shares, np.nan)


def _between(counts: Mapping[int, int], low: int, high: int | None) -> int:
    return sum(times for number, times in counts.items() if low <= number and (high is None or number <= high))


def _range(low: int, high: int | None) -> str:
    if high is None:
        return f"≥{low}"
    return f"{low}–{high}" if high > low else str(low)


def _middles(bins: int) -> Any:
    return (np.arange(bins) + 0.5) / bins


def _short(name: str, most: int = 24) -> str:
    """A name as matplotlib shows it as it is, not as a formula, cut where it is long."""
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")
