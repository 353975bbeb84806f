"""Suites: what a file may say, what is told before anything is measured, and the table and figure at the end."""

from __future__ import annotations

import csv
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference import fill_with_noise

from anymask.dataset.sa1b import open_folder
from anymask.errors import ConfigError, DataError, OutputError, UnknownModelError
from anymask.evaluation.expected import Published
from anymask.evaluation.experiment import Outcome
from anymask.evaluation.points import Points
from anymask.evaluation.protocol import Metric
from anymask.evaluation.suite import Entry, Suite, read_suite, run_suite, short_name, to_csv, to_markdown
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.task import rle

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "suites"
ENTRY = '[[entries]]\nprotocol = "points"\ndata = "squares"\n'


@pytest.fixture()
def write(tmp_path):
    """Write a suite; the path comes back."""

    def to_file(text):
        path = tmp_path / "suite.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def test_a_suite_is_read_with_all_that_it_may_say(write):
    suite = read_suite(
        write(
            'models = ["nano", "runs/mine.safetensors"]\nbaselines = false\n'
            + ENTRY
            + 'name = "Squares"\nformat = "coco"\nimages = "photos"\nas_paper = true\nformat_options = {key = "x"}\n'
            + 'options = {clicks = [1, 3], sampling = "random"}\n[[entries]]\nprotocol = "boxes"\ndata = "lvis"\n'
        )
    )
    assert suite.models == ("nano", "runs/mine.safetensors") and suite.baselines is False
    first, second = suite.entries
    assert first == Entry(
        "points", "squares", "Squares", "coco", "photos", {"key": "x"}, True, {"clicks": [1, 3], "sampling": "random"}
    )
    assert second == Entry("boxes", "lvis")


def test_the_shortest_suite_measures_nano_and_the_baselines(write):
    assert read_suite(write(ENTRY)) == Suite((Entry("points", "squares"),), ("nano",), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modells = []\n" + ENTRY, "unknown key 'modells'; did you mean 'models'?"),
        (ENTRY + 'dta = "x"', "unknown key 'dta'; did you mean 'data'?"),
        (ENTRY + 'xyz = "x"', "unknown key 'xyz'; expected one of as_paper, bf16, data, "),
        (ENTRY.replace("points", "pionts"), "unknown protocol 'pionts'; did you mean 'points'?"),
        (ENTRY + "options = {click = 1}", "points: unknown option 'click'; did you mean 'clicks'?"),
        (ENTRY + "options = {clicks = 3}", "points: clicks: expected tuple[int, ...], got 3"),
        (ENTRY + "options = {clicks = [0]}", "points: clicks: expected numbers of 1 or more, got (0,)"),
        (ENTRY + "name = 3", "name: expected str, got 3"),
        (ENTRY + "images = true", "images: expected str, got True"),
        ('[[entries]]\nprotocol = "points"', "entries: one has no 'data'; expected protocol, data in each [[entries]]"),
        ('[[entries]]\ndata = "x"', "entries: one has no 'protocol'"),
        ("", "expected at least one model, and one entry, written [[entries]]"),
        ("models = []\n" + ENTRY, "expected at least one model, and one entry, written [[entries]]"),
        ("entries = 3", "entries: expected tables, each written [[entries]]"),
        ('entries = ["points"]', "entries: expected tables, each written [[entries]]"),
        ("[entries]\nprotocol = 'points'", "entries: expected tables, each written [[entries]]"),
        ('models = "nano"\n' + ENTRY, "models: expected tuple[str, ...], got 'nano'"),
        ("models = [3]\n" + ENTRY, "models: expected tuple[str, ...], got (3,)"),
        ('baselines = "no"\n' + ENTRY, "baselines: expected bool, got 'no'"),
        (ENTRY + "options = 3", "options: expected dict[str, Any], got 3"),
        (ENTRY + 'format_options = "x"', "format_options: expected dict[str, Any], got 'x'"),
        ("models = [", "not TOML: "),
    ],
)
def test_a_wrong_suite_ends_in_one_line_that_names_the_file(write, text, message):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        read_suite(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and message in told and "\n" not in told
    assert "__init__" not in told


def test_a_suite_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read"):
        read_suite(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("nano", "nano"),
        ("vit_h", "vit_h"),
        ("runs/mine.safetensors", "mine"),
        ("/tmp/sam_vit_b_01ec64.pth", "sam_vit_b_01ec64"),
        ("runs/lr1.5", "lr1.5"),
        ("runs/half", "half"),
    ],
)
def test_models_go_by_a_short_name(model, name):
    assert short_name(model) == name


@pytest.fixture()
def data(tmp_path):
    """Two folders of two images with one object each."""
    for folder in ("squares", "bars"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            mask = np.zeros((24, 32), bool)
            mask[4 + i : 12, 6 : (20 if folder == "bars" else 14)] = True
            Image.fromarray(np.where(mask, 220, 30).astype(np.uint8)).save(tmp_path / folder / f"{i}.png")
            image = {"width": 32, "height": 24, "file_name": f"{i}.png"}
            record = {"image": image, "annotations": [{"id": 1, "segmentation": rle.encode(mask)}]}
            (tmp_path / folder / f"{i}.json").write_text(json.dumps(record))
    return tmp_path


@pytest.fixture()
def find(data):
    return lambda entry: (open_folder(data / entry.data), entry.data)


def make(name, loaded=None):
    """A toy model, another for each name; the name is noted."""
    if loaded is not None:
        loaded.append(name)
    if name.startswith("no_"):
        raise UnknownModelError(f"model {name!r} is not known")
    sam = Sam(MODELS["test_tiny_light"].config)
    fill_with_noise(sam, seed=len(name))
    return sam.eval()


SUITE = Suite(
    (
        Entry("points", "squares", "Squares | small", options={"clicks": [1, 3]}),
        Entry("points", "bars", options={"clicks": [1, 3]}),
        Entry("boxes", "squares"),
    ),
    ("one", "runs/another.pth"),
)


def test_two_models_side_by_side(find, tmp_path):
    out, told = tmp_path / "out", []
    outcomes = run_suite(SUITE, find, make, out, lambda *each: told.append(each))
    assert [(each.protocol, each.title, each.models) for each in outcomes] == [
        ("points", "Squares | small", ["one", "another"]),
        ("points", "bars", ["one", "another"]),
        ("boxes", "squares", ["one", "another"]),
    ]
    assert sorted(path.name for path in out.iterdir()) == [
        "boxes-squares",
        "figure.png",
        "points-bars",
        "points-squares",
        "suite.json",
        "table.csv",
        "table.md",
    ]
    assert sorted(path.name for path in (out / "points-bars").iterdir()) == [
        "another.jsonl",
        "disc.jsonl",
        "felzenszwalb.jsonl",
        "one.jsonl",
        "plot.png",
        "summary.json",
    ]
    assert told[:4] == [*(("points-squares: one", done, 2) for done in range(3)), ("points-squares: another", 0, 2)]
    assert json.loads((out / "suite.json").read_text()) == json.loads(json.dumps([each.to_dict() for each in outcomes]))
    lines = (out / "table.md").read_text().splitlines()
    assert lines[0] == "| data | protocol | metric | one | another | baselines | published |"
    assert lines[1] == "| --- | --- | --- | ---: | ---: | --- | --- |"
    assert lines[2].startswith(r"| Squares \| small | points | 1 click, best-scored mask, mean IoU | 0.")
    assert "disc 0." in lines[2] and "felzenszwalb 0." in lines[2]
    assert len(lines) == 2 + 3 + 3 + 2
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = next(r for r in rows if (r["data"], r["subject"], r["metric"]) == ("bars", "one", "3 clicks, mean IoU"))
    metric = outcomes[1].find("one", "3 clicks, mean IoU")
    assert [float(found[key]) for key in ("value", "low", "high")] == [metric.value, *metric.interval]


def test_a_cut_suite_goes_on_and_gives_the_same(find, tmp_path, monkeypatch):
    for drawing in ("plot", "plot_suite"):
        monkeypatch.setattr(f"anymask.evaluation.suite.{drawing}", lambda *_: None)
    run_suite(SUITE, find, make, tmp_path / "uncut")
    calls, evaluate = [], Points.evaluate

    def counting(self, subject, image, stop):
        if len(calls) == stop:
            raise KeyboardInterrupt
        calls.append(image.name)
        return evaluate(self, subject, image)

    monkeypatch.setattr(Points, "evaluate", lambda *given: counting(*given, 11))
    with pytest.raises(KeyboardInterrupt):
        run_suite(SUITE, find, make, tmp_path / "cut")
    assert not (tmp_path / "cut" / "table.md").exists()
    monkeypatch.setattr(Points, "evaluate", lambda *given: counting(*given, None))
    run_suite(SUITE, find, make, tmp_path / "cut")
    assert len(calls) == 16, "two images of two sets for four subjects, none twice"
    for name in ("table.md", "table.csv", "suite.json", "points-bars/one.jsonl", "points-bars/disc.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "uncut" / name).read_bytes()
    run_suite(SUITE, find, make, tmp_path / "cut", again=True)
    assert len(calls) == 32


def test_a_limit_and_no_baselines(find, tmp_path):
    suite = Suite(SUITE.entries[:1], ("one",), baselines=False)
    [outcome] = run_suite(suite, find, make, tmp_path / "out", limit=1)
    assert list(outcome.metrics) == ["one"] and outcome.find("one", "objects").value == 1
    with pytest.raises(OutputError, match=r"one\.jsonl: holds results for data '1 images, .*--again"):
        run_suite(suite, find, make, tmp_path / "out")


@pytest.mark.parametrize(
    ("suite", "error", "message"),
    [
        (Suite((SUITE.entries[0], Entry("boxes", "gone")), ("one",)), DataError, "gone: no such folder"),
        (Suite(SUITE.entries, ("one", "no_such")), UnknownModelError, "no_such"),
        (
            Suite(SUITE.entries, ("one", "runs/one.pth")),
            ConfigError,
            "two of the models and baselines are called 'one'",
        ),
        (Suite(SUITE.entries, ("runs/disc.pth",)), ConfigError, "two of the models and baselines are called 'disc'"),
        (
            Suite((*SUITE.entries, Entry("points", "bars", "Other bars")), ("one",)),
            ConfigError,
            "two entries are points on bars; put one into a suite of its own",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(find, tmp_path, suite, error, message):
    with pytest.raises(error, match=message):
        run_suite(suite, find, make, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_a_missing_library_is_told_before_anything_is_measured(find, tmp_path, monkeypatch):
    loaded = []
    for library in ("skimage", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ConfigError, match=rf"needs {library}; pip install 'anymask\[eval\]'"):
            run_suite(SUITE, find, partial(make, loaded=loaded), tmp_path / "out")
    assert not loaded and not list(tmp_path.glob("out/*"))


def test_a_place_that_cannot_be_written_is_told_before_a_model_is_loaded(find, tmp_path):
    (tmp_path / "file").write_text("")
    loaded = []
    with pytest.raises(OutputError, match="file/out: cannot be made a folder"):
        run_suite(SUITE, find, partial(make, loaded=loaded), tmp_path / "file" / "out")
    assert not loaded


def test_the_tables_of_outcomes():
    outcome = Outcome("edges", "bsds500", "BSDS500", ["nano"])
    outcome.metrics = {
        "nano": [Metric("ODS", 0.65), Metric("recall at threshold 0.50", 0.5, None, True), Metric("images", 200)],
        "canny": [Metric("ODS", 0.6), Metric("AP", 0.5)],
    }
    outcome.published = {"ODS": [Published("SAM ViT-H", 0.768, "table 3"), Published("HED", 0.788, "table 3")]}
    other = Outcome("fairness", "people", "people", ["nano"])
    other.metrics = {"nano": [Metric("age old, 1 click, mean IoU", 0.5, (0.4, 0.6)), Metric("objects, age old", 3)]}
    assert to_markdown([outcome, other], ["nano"]).splitlines()[2:] == [
        "| BSDS500 | edges | ODS | 0.650 | canny 0.600 | SAM ViT-H 0.768, HED 0.788 |",
        "| BSDS500 | edges | AP |  | canny 0.500 |  |",
        "| people | fairness | age old, 1 click, mean IoU | 0.500 (0.400–0.600) |  |  |",
        "| people | fairness | objects, age old | 3 |  |  |",
    ]
    assert to_csv([outcome, other]).splitlines() == [
        "data,protocol,subject,metric,value,low,high",
        "BSDS500,edges,nano,ODS,0.65,,",
        "BSDS500,edges,nano,recall at threshold 0.50,0.5,,",
        "BSDS500,edges,nano,images,200,,",
        "BSDS500,edges,canny,ODS,0.6,,",
        "BSDS500,edges,canny,AP,0.5,,",
        'people,fairness,nano,"age old, 1 click, mean IoU",0.5,0.4,0.6',
        'people,fairness,nano,"objects, age old",3,,',
    ]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_load(path):
    suite = read_suite(path)
    assert len({(entry.protocol, entry.data) for entry in suite.entries}) == len(suite.entries), (
        "each has its own folder"
    )
