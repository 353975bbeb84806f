"""The plots: one for each kind of outcome, and what is drawn in it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from anymask.errors import ConfigError
from anymask.evaluation import report
from anymask.evaluation.expected import Published
from anymask.evaluation.experiment import Outcome
from anymask.evaluation.protocol import Metric

SUBJECTS = {"nano": 0.6, "disc": 0.3, "felzenszwalb": 0.45}


def interval(value):
    return value - 0.03, value + 0.03


def outcome(protocol, metrics, subjects=SUBJECTS, title="a set", published=None):
    """An outcome whose metrics a function gives for each subject's quality; the first subject is the model."""
    made = {name: metrics(quality) for name, quality in subjects.items()}
    return Outcome(protocol, "set", title, [next(iter(subjects))], made, published or {})


def clicks(quality, numbers=(1, 2, 3, 5, 9), oracle=True):
    found = []
    for number in numbers:
        answer = "1 click, best-scored mask" if number == 1 else f"{number} clicks"
        value = quality + 0.3 * (1 - 1 / number)
        found.append(Metric(f"{answer}, mean IoU", value, interval(value)))
    best = [Metric("1 click, best of three, mean IoU", quality + 0.1, interval(quality + 0.1))] if oracle else []
    return [*found, *best, Metric("correlation of predicted with true IoU", -0.4), Metric("objects", 312)]


def noc(quality):
    curve = [
        Metric(f"{k} click{'s' * (k > 1)}, mean IoU", value := 0.9 - (1 - quality) / k, interval(value), k > 3)
        for k in range(1, 21)
    ]
    return [Metric("NoC@90", 12.3, (11.0, 13.0)), *curve, Metric("objects", 50)]


def boxes(quality):
    names = ("single mask, mean IoU", "best-scored of three, mean IoU", "boundary IoU", "mean IoU, 31 small objects")
    return [Metric(f"box, {name}", quality, interval(quality)) for name in names] + [Metric("objects", 312)]


def edges(quality, thresholds=99):
    levels = np.arange(1, thresholds + 1) / (thresholds + 1)
    recall, precision = quality * (1 - levels**2), quality * levels
    recall[-3:] = precision[-3:] = 0 if thresholds > 9 else quality
    scores = [Metric("ODS", quality), Metric("ODS, recall", quality, None, True)]
    scores.append(Metric("ODS, precision", quality - 0.1, None, True))
    for level, r, p in zip(levels, recall, precision, strict=True):
        scores.append(Metric(f"recall at threshold {level:.2f}", r, None, True))
        scores.append(Metric(f"precision at threshold {level:.2f}", p, None, True))
    return [*scores, Metric("images", 200)]


def fairness(quality):
    groups = ("feminine", "masculine", "under $10k, over $20k", "年轻", "a" * 60)
    means = [Metric(f"income {group}, 1 click, mean IoU", quality, interval(quality)) for group in groups]
    return [*means, Metric("⚑ feminine and masculine differ, 1 click: intervals do not overlap, gap", 0.1)]


SAM = {"ODS": [Published("SAM ViT-H", 0.768, "table 3"), Published("HED", 0.788, "table 3")]}
AR = {f"AR@{n}": [Published("SAM ViT-H", 0.59, "table 4"), Published("ViTDet-H", 0.63, "")] for n in (10, 1000)}
KINDS = {
    "clicks": outcome("points", clicks),
    "all clicks": outcome("interactive", noc),
    "bars": outcome("boxes", boxes),
    "bars below zero": outcome("points", lambda quality: clicks(quality, (1,))),
    "bars without intervals": outcome(
        "proposals", lambda q: [Metric(f"AR@{n}", q) for n in (1, 10, 1000)], published=AR
    ),
    "one metric": outcome("text", lambda quality: [Metric("text, mean IoU", quality)], {"nano": 0.4}),
    "counts alone": outcome("text", lambda quality: [Metric("texts", 3)], {"nano": 0.4}),
    "edges": outcome("edges", edges, {"nano": 0.6, "canny": 0.55, "sobel": 0.5}, published=SAM),
    "one threshold": outcome("edges", lambda quality: edges(quality, 1), {"person": 0.8}),
    "odd names": outcome("fairness", fairness, {"a_weights_file_of_a_very_long_name_$1_$2": 0.5}, "a $et of $ome " * 9),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_outcome_is_drawn(kind, tmp_path):
    path = report.plot(KINDS[kind], tmp_path)
    assert path == tmp_path / "plot.png" and list(tmp_path.iterdir()) == [path]
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.width == 960 and 250 <= picture.height <= 1500
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20, "something is drawn"


@pytest.fixture()
def drawn(monkeypatch):
    """The figures that are saved."""
    figures = []
    save = report.save_figure
    monkeypatch.setattr(report, "save_figure", lambda figure, path: figures.append(figure) or save(figure, path))
    return figures


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "counts alone"])
def test_all_words_lie_within_the_picture(kind, tmp_path, drawn):
    report.plot(KINDS[kind], tmp_path)
    [figure] = drawn
    figure.draw_without_rendering()
    words = [figure._suptitle, *figure.legends, *figure.axes[0].get_yticklabels(), figure.axes[0].xaxis.label]
    width, height = figure.bbox.size
    for part in words:
        box = part.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, part
    [names] = figure.legends
    assert not names.get_window_extent().overlaps(figure.axes[0].get_window_extent()), "nothing lies under the names"


def test_clicks_are_curves_with_models_solid_and_baselines_dashed(tmp_path, drawn):
    report.plot(KINDS["clicks"], tmp_path)
    [axes] = drawn[0].axes
    assert list(lines(axes)) == list(SUBJECTS)
    assert lines(axes)["nano"].get_xydata()[:2].tolist() == [[1, 0.6], [2, 0.75]]
    assert [lines(axes)[name].get_linestyle() for name in SUBJECTS] == ["-", "--", "--"]
    assert len(axes.collections) == 3, "a band an interval"
    assert axes.get_xticks().tolist() == [1, 2, 3, 5, 9]


def test_of_twenty_clicks_a_few_are_named(tmp_path, drawn):
    report.plot(KINDS["all clicks"], tmp_path)
    assert drawn[0].axes[0].get_xticks().tolist() == [1, 5, 10, 15, 20]


def test_bars_have_a_group_a_metric_and_published_figures_as_ticks(tmp_path, drawn):
    report.plot(KINDS["bars"], tmp_path)
    report.plot(KINDS["bars without intervals"], tmp_path)
    bars, published = (figure.axes[0] for figure in drawn)
    assert [len(container) for container in bars.containers if "Bar" in type(container).__name__] == [4, 4, 4]
    assert "objects" not in [label.get_text() for label in bars.get_yticklabels()], "a count is no bar"
    assert not any("ErrorbarContainer" in type(each).__name__ for each in published.containers)
    assert {"SAM ViT-H", "ViTDet-H"} < set(legend(drawn[1]))
    segments = published.collections[0].get_segments()
    assert [segment[:, 0].tolist() for segment in segments] == [[0.59, 0.59]] * 2
    assert [segment[:, 1].mean() for segment in segments] == pytest.approx([1, 2])


def test_edges_are_precision_by_recall_with_lines_of_equal_f(tmp_path, drawn):
    report.plot(KINDS["edges"], tmp_path)
    [axes] = drawn[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("recall", "precision")
    assert legend(drawn[0]) == [
        "SAM ViT-H, ODS 0.768",
        "HED, ODS 0.788",
        "nano, ODS 0.600",
        "canny, ODS 0.550",
        "sobel, ODS 0.500",
    ]
    curve = lines(axes)["nano, ODS 0.600"].get_xydata()
    assert len(curve) == 96, "where nothing is found there is no precision"
    assert curve[0] == pytest.approx([0.6 * (1 - 0.01**2), 0.6 * 0.01])
    dots = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert pytest.approx(dots[0][0]) == [0.6, 0.5] and len(dots) == 3
    grey = [line for line in axes.lines if line.get_color() == "#dddddd"]
    assert len(grey) == 9
    for level, line in zip(np.arange(1, 10) / 10, grey, strict=True):
        recall, precision = line.get_xydata().T
        assert 2 * recall * precision / (recall + precision) == pytest.approx(np.full(len(recall), level))
        assert max(recall.max(), precision.max()) == pytest.approx(1)


def test_names_are_shown_as_they_are_and_not_as_formulas(tmp_path, drawn):
    report.plot(KINDS["odd names"], tmp_path)
    axes = drawn[0].axes[0]
    assert any(r"under \$10k" in label.get_text() for label in axes.get_yticklabels())
    assert legend(drawn[0]) == [r"a_weights_file_of_a_very_long_name_\$1_\$2"]


def suite(count=6, subjects=SUBJECTS, metrics=clicks):
    titles = ["COCO", "GrabCut", "Berkeley", "a set with quite a long name for a set", "LVIS", "EgoHOS"][:count]
    found = []
    for number, title in enumerate(titles):
        shifted = {
            name: quality + 0.1 * number * (-1) ** place for place, (name, quality) in enumerate(subjects.items())
        }
        found.append(outcome("points", metrics, shifted, title))
    return found


def test_a_suite_is_drawn_as_in_the_papers_figure(tmp_path, drawn):
    others = [KINDS["edges"], KINDS["bars"]]
    assert report.plot_suite([*others, *suite()], tmp_path / "figure.png") == tmp_path / "figure.png"
    left, right = drawn[0].axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx([1.3, 1.1, 0.9, 0.7, 0.5, 0.3])
    assert left.get_yticklabels()[0].get_text() == "EgoHOS" and "nano over disc" in left.get_title("left")
    assert lines(right)["nano"].get_ydata()[0] == pytest.approx(0.6 + 0.25)
    stars = [line.get_ydata()[0] for line in right.lines if line.get_marker() == "*" and len(line.get_ydata())]
    assert stars == pytest.approx([0.95, 0.15, 0.8])
    assert "6 data sets" in right.get_title("left")
    with Image.open(tmp_path / "figure.png") as picture:
        assert 1500 <= picture.width <= 1800 and 600 <= picture.height <= 900


@pytest.mark.parametrize(
    ("outcomes", "axes"),
    [
        (suite(1), 2),
        (suite(6, {"nano": 0.6}), 1),
        (suite(2, metrics=lambda quality: clicks(quality, (3, 5))), 1),
        (suite(2, metrics=lambda quality: clicks(quality, (1,))), 2),
        (suite(2, metrics=lambda quality: clicks(quality, oracle=False)), 2),
        ([*suite(1), outcome("points", lambda quality: clicks(quality, (2,)))], 2),
    ],
)
def test_a_suite_with_little_in_it_is_drawn_too(outcomes, axes, tmp_path, drawn):
    assert report.plot_suite(outcomes, tmp_path / "figure.png").exists()
    assert len(drawn[0].axes) == axes


def test_a_suite_without_points_has_no_figure(tmp_path):
    assert report.plot_suite([KINDS["edges"]], tmp_path / "figure.png") is None
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_there_is_one_line(tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ConfigError, match=r"^plots: need matplotlib; pip install 'anymask\[eval\]' or 'anymask\[data\]'$"
    ):
        report.plot(KINDS["clicks"], tmp_path)
