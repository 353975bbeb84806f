"""Plots in one style, through matplotlib."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .files import replacing

COLOURS = ("#1f6feb", "#d1495b", "#2a9d8f", "#8a63d2", "#e09f3e", "#6b7280")
"""of what is compared, in order"""


def check_plots() -> None:
    """Raise ConfigError where matplotlib is missing, before work whose result is to be drawn."""
    if find_spec("matplotlib") is None:
        raise ConfigError("plots: need matplotlib; pip install 'anymask[eval]' or 'anymask[data]'")


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches and its axes. Raises ConfigError where matplotlib is missing."""
    check_plots()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns)
    for each in figure.axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
        each.set_axisbelow(True)
        each.set_prop_cycle(color=COLOURS)
    return figure, axes


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure, whole or not at all."""
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name may be in any script, the font is not
        figure.savefig(temporary, dpi=150)
    return path
