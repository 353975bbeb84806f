"""One protocol on one data set: the figures of several subjects side by side, and what is left on disk."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from PIL import Image

from anymask.dataset.sample import Sample
from anymask.errors import ConfigError, OutputError
from anymask.evaluation.experiment import Opened, Subject, baseline_subjects, measure, model_subject
from anymask.evaluation.protocol import EvaluationProtocol, Metric

RITM = "RITM HRNet18 IT-M"


@dataclass(frozen=True)
class Quality(EvaluationProtocol):
    """Every image's figure is the subject's quality; it goes by a name for which there are published figures."""

    name: ClassVar[str] = "interactive"
    baselines: ClassVar = {"disc": lambda: 9.0, "felzenszwalb": lambda: 7.0}

    def subject(self, predictor):
        return predictor.model.quality

    def evaluate(self, subject, image):
        return [{"quality": subject}]

    def summarise(self, rows):
        mean = sum(row["quality"] for row in rows) / len(rows)
        yield Metric("NoC@90", mean, (mean - 0.5, mean + 0.25))
        yield Metric("failures", 3)
        yield Metric("plain", mean)
        yield Metric("hidden", 1.0, detail=True)
        if mean == 2:
            yield Metric("of the model alone", -0.5)


@pytest.fixture()
def samples(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("RGB", (8, 6)).save(path)
    record = {"image": {"file_name": "grey.png", "width": 8, "height": 6}, "annotations": []}
    return [Sample(Path(f"{name}.json"), name, lambda: record, path) for name in "abc"]


@pytest.fixture()
def subjects(monkeypatch):
    monkeypatch.setattr(
        "anymask.evaluation.experiment.SamPredictor", lambda sam, *how, **more: SimpleNamespace(model=sam)
    )
    sam = SimpleNamespace(quality=2.0, weights_hash="abc")
    return [model_subject("nano", Quality(), lambda: sam), *baseline_subjects(Quality())]


def test_the_summary_holds_all_figures_with_their_intervals_and_what_was_published(samples, subjects, tmp_path):
    outcome = measure(Quality(), subjects, samples, "grabcut", tmp_path / "out", title="GrabCut")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary == json.loads(json.dumps(outcome.to_dict()))
    assert (summary["protocol"], summary["data"], summary["title"]) == ("interactive", "grabcut", "GrabCut")
    assert list(summary["metrics"]) == ["nano", "disc", "felzenszwalb"] and summary["models"] == ["nano"]
    assert summary["metrics"]["nano"]["NoC@90"] == {"value": 2.0, "interval": [1.5, 2.25]}
    assert summary["metrics"]["disc"]["plain"] == {"value": 9.0, "interval": None}
    assert summary["metrics"]["nano"]["hidden"]["value"] == 1.0, "details are kept in the file"
    assert summary["published"] == {"NoC@90": [{"who": RITM, "value": 1.54, "source": "Sofiiuk et al. 2021"}]}
    rows = (tmp_path / "out" / "disc.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["settings"]["model"] == "disc" and json.loads(rows[0])["settings"]["weights"] is None
    assert [json.loads(row)["image"] for row in rows[1:]] == ["a", "b", "c"]
    assert json.loads((tmp_path / "out" / "nano.jsonl").read_text().splitlines()[0])["settings"]["weights"] == "abc"


def test_the_table_shows_what_is_no_detail_and_intervals_of_models_alone(samples, subjects, tmp_path):
    outcome = measure(Quality(), subjects, samples, "grabcut", tmp_path)
    assert outcome.title == "grabcut"
    assert outcome.table() == [
        ["metric", "nano", "disc", "felzenszwalb", RITM],
        ["NoC@90", "2.000 (1.500–2.250)", "9.000", "7.000", "1.540"],
        ["failures", "3", "3", "3", ""],
        ["plain", "2.000", "9.000", "7.000", ""],
        ["of the model alone", "-0.500", "", "", ""],
    ]
    assert outcome.notes() == [f"{RITM}: Sofiiuk et al. 2021"]


def test_without_published_figures_there_is_no_column_and_no_note(samples, subjects, tmp_path):
    outcome = measure(Quality(), subjects, samples, "mine", tmp_path)
    assert outcome.table()[0] == ["metric", "nano", "disc", "felzenszwalb"] and outcome.notes() == []
    assert json.loads((tmp_path / "summary.json").read_text())["published"] == {}


def test_progress_tells_the_subject_and_the_images(samples, subjects, tmp_path):
    told = []
    measure(Quality(), subjects[:2], samples, "grabcut", tmp_path, lambda *each: told.append(each))
    assert told == [(name, done, 3) for name in ("nano", "disc") for done in range(4)]


def test_a_second_call_goes_on_and_again_starts_anew(samples, tmp_path):
    opened = []

    def asked(quality):
        opened.append(quality)
        return Opened(quality, "same")

    def value(quality, again):
        subject = Subject("m", partial(asked, quality))
        return measure(Quality(), [subject], samples, "d", tmp_path, again=again).find("m", "plain").value

    assert [value(4.0, False), value(5.0, False), value(6.0, True), value(7.0, False)] == [4.0, 4.0, 6.0, 6.0]
    assert opened == [4.0, 5.0, 6.0, 7.0]


def test_other_weights_of_one_name_are_refused(samples, tmp_path):
    measure(Quality(), [Subject("m", lambda: Opened(1.0, "abc"))], samples, "d", tmp_path)
    before = (tmp_path / "m.jsonl").read_bytes()
    with pytest.raises(OutputError, match=r"m\.jsonl: holds results for weights 'abc', not 'xyz'"):
        measure(Quality(), [Subject("m", lambda: Opened(1.0, "xyz"))], samples, "d", tmp_path)
    assert (tmp_path / "m.jsonl").read_bytes() == before


def never():
    raise AssertionError("opened before all was checked")


@pytest.mark.parametrize("name", ["m", "disc"])
def test_two_subjects_of_one_name_are_refused_before_any_is_opened(samples, tmp_path, name):
    subjects = [Subject("m", never), Subject(name, never), *baseline_subjects(Quality())]
    with pytest.raises(ConfigError, match=f"two of the models and baselines are called '{name}'; give the weights"):
        measure(Quality(), subjects, samples, "d", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("library", "protocol", "names", "what"),
    [
        ("matplotlib", "points", ["m"], "plots"),
        ("skimage", "points", ["m", "felzenszwalb"], "felzenszwalb"),
        ("skimage", "edges", ["m"], "edges"),
        ("scipy", "edges", ["m"], "edges"),
    ],
)
def test_a_missing_library_is_told_before_anything_is_opened(
    samples, tmp_path, monkeypatch, library, protocol, names, what
):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(Quality, "name", protocol)
    with pytest.raises(ConfigError, match=rf"^{what}: needs {library}; pip install 'anymask\[eval\]'$"):
        measure(Quality(), [Subject(name, never) for name in names], samples, "d", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_library_that_nothing_needs_may_be_missing(samples, subjects, tmp_path, monkeypatch):
    for library in ("skimage", "scipy"):
        monkeypatch.setitem(sys.modules, library, None)
    assert measure(Quality(), subjects[:2], samples, "d", tmp_path).models == ["nano"]


def test_bfloat16_is_noted(samples, tmp_path, monkeypatch):
    for name, how in (("low", {"bf16": True}), ("full", {})):
        measure(Quality(), [Subject(name, lambda how=how: Opened(1.0, "w", how))], samples, "d", tmp_path)
    first = [
        json.loads((tmp_path / f"{name}.jsonl").read_text().splitlines()[0])["settings"] for name in ("low", "full")
    ]
    assert first[0]["bf16"] is True and "bf16" not in first[1]
    with pytest.raises(OutputError, match="bf16"):
        measure(Quality(), [Subject("low", lambda: Opened(1.0, "w"))], samples, "d", tmp_path)


def test_bfloat16_is_the_fast_precision_and_zoom_is_passed_on(monkeypatch):
    asked = []

    def predictor(sam, *how, refine, second_look):
        asked.append((*how, refine, second_look))
        return SimpleNamespace(model=sam)

    monkeypatch.setattr("anymask.evaluation.experiment.SamPredictor", predictor)
    sam = SimpleNamespace(weights_hash="w", quality=1.0)
    low = model_subject("nano", Quality(), lambda: sam, True, "torch").open()
    zoomed = model_subject("nano", Quality(), lambda: sam, False, "torch", "zoom", True).open()
    assert asked == [("torch", "fast", "none", False), ("torch", "exact", "zoom", True)]
    assert (low.how, zoomed.how) == ({"bf16": True}, {"refine": "zoom", "second_look": True})
