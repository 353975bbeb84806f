"""`anymask train`: what it shows, how it stops and goes on, and its plan."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from anymask.cli.training_display import TrainingDisplay, gain, in_words
from anymask.task import rle
from anymask.training.config import Recipe, Stage

RECIPE = """
model = "test_tiny_light"
workers = 0
bf16 = false
log_every = 1
save_every = 2
lr = 1e-3
[sources]
squares = 1.0
[validation]
every = 2
share = 0.4
[prompting]
points = 1
[[stages]]
size = 64
steps = 4
batch = 1
objects = 1
"""


@pytest.fixture()
def command(tmp_path):
    """The arguments that train a toy model on eight squares."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for i in range(8):
        mask = np.zeros((48, 64), bool)
        mask[10 + i : 30, 12 : 40 + i] = True
        Image.fromarray(np.where(mask[..., None], 220, 30).astype(np.uint8).repeat(3, 2)).save(folder / f"{i}.png")
        image = {"width": 64, "height": 48, "file_name": f"{i}.png"}
        annotations = [{"id": 1, "segmentation": rle.encode(mask), "area": int(mask.sum())}]
        (folder / f"{i}.json").write_text(json.dumps({"image": image, "annotations": annotations}))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return "train", tmp_path / "recipe.toml", "--data", tmp_path, "-o", tmp_path / "run"


@pytest.fixture()
def recipe():
    return Recipe(model="nano", sources={"a": 1.0}, stages=(Stage(64, 600, 1, 1),))


def test_a_run_is_shown_and_ends_with_how_to_use_it(anymask, command, tmp_path):
    result = anymask(*command)
    assert result.code == 0, result.err
    assert "step 4/4  loss" in result.out and "left" in result.out
    assert re.search(r"^   step   1 click  3 clicks +box +objects$", result.out, re.MULTILINE)
    table = re.findall(r"^      (\d)(?: +0\.\d{3}){3} +\d(?:  (before|best 1 click))?$", result.out, re.MULTILINE)
    assert [step for step, _ in table] == ["0", "2", "4"] and table[0][1] == "before"
    weights = tmp_path / "run" / "best.safetensors"
    assert f"weights: {weights}\n" in result.out and weights.exists()
    assert f"--model {weights}\n" in result.out
    index = tmp_path / "run" / "examples" / "index.html"
    assert f"examples: {index}\n" in result.out and index.exists()


def test_a_recipe_without_validation_ends_with_its_last_weights(anymask, command, tmp_path):
    result = anymask(*command, "validation.every=0")
    assert result.code == 0 and "3 clicks" not in result.out and "examples" not in result.out
    assert f"weights: {tmp_path / 'run' / 'test_tiny_light.safetensors'}\n" in result.out


@pytest.mark.parametrize(
    ("step", "told"),
    [(1, "before the first step was saved; the same command goes on"), (3, "holds step 2, and the same")],
)
def test_an_interrupt_says_what_is_saved(anymask, command, monkeypatch, step, told):
    def interrupt(display, at, figures):
        if at == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "report", interrupt)
        result = anymask(*command)
    assert result.code == 130 and told in result.out and "Traceback" not in result.err
    assert [line for line in result.out.splitlines() if "stopped" in line] == result.out.splitlines()[-1:]
    again = anymask(*command)
    assert again.code == 0 and "step 4/4" in again.out


def test_only_the_main_process_speaks(anymask, command, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    result = anymask(*command)
    assert (result.code, result.out) == (0, "")


def test_the_plan_writes_nothing(anymask, command, tmp_path):
    result = anymask(*command, "--dry-run")
    assert result.code == 0, result.err
    assert "test_tiny_light" in result.out and "4 steps" in result.out
    assert not (tmp_path / "run").exists()


FIGURES = {"loss": 1.25, "iou_first": 0.451, "iou_last": 0.608, "seconds": 2.3, "left": 4810.0}


@pytest.mark.parametrize("terminal", [True, False])
def test_a_live_line_fits_a_terminal(recipe, tmp_path, terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=80, color_system=None, legacy_windows=False)
    with TrainingDisplay(recipe.steps, recipe.validation.metric, tmp_path, console) as display:
        display.report(120, FIGURES)
    told = "loss 1.250  IoU 0.45 → 0.61  2.30 s/step  1 h 20 min left"
    assert told in text.getvalue()
    assert "step 120/600" in text.getvalue()


def rows(recipe, out, *validations):
    """The printed table, given "1 click" by step."""
    text = io.StringIO()
    with TrainingDisplay(recipe.steps, recipe.validation.metric, out, Console(file=text, width=80)) as display:
        for step, figure in validations:
            display.validated(step, {"1 click": figure, "3 clicks": 0.5, "box": 0.7, "objects": 62.0})
    return text.getvalue().splitlines()


def test_the_best_validation_is_marked(recipe, tmp_path):
    head, *table = rows(recipe, tmp_path, (0, 0.4), (100, 0.45), (200, 0.44), (1300, 0.46))
    assert head.split() == ["step", "1", "click", "3", "clicks", "box", "objects"]
    assert [row.split()[0] for row in table] == ["0", "100", "200", "1,300"]
    assert [" ".join(row.split()[5:]) for row in table] == ["before", "best 1 click", "", "best 1 click"]
    assert {row.split()[4] for row in table} == {"62"}


def test_the_best_of_a_run_that_goes_on_is_known(recipe, tmp_path):
    (tmp_path / "validation.csv").write_text("step,1 click,3 clicks,box,objects\n100,0.5,0.5,0.7,62\n")
    assert [row.endswith("best 1 click") for row in rows(recipe, tmp_path, (200, 0.48), (300, 0.52))[1:]] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([], None),
        ([(0, 0.4, 0.7)], None),
        (
            [(0, 0.4, 0.7), (50, 0.6, 0.6), (1100, 0.5, 0.8)],
            "step 0 to step 50, the best: a 0.400 → 0.600, b 0.700 → 0.600",
        ),
        ([(0, 0.4, 0.7), (50, 0.3, 0.8)], "no step was better than step 0, whose a is 0.400"),
    ],
)
def test_the_gain_is_from_the_first_to_the_best(tmp_path, table, told):
    if table:
        lines = [f"{step},{a},{b},9" for step, a, b in table]
        (tmp_path / "validation.csv").write_text("\n".join(["step,a,b,objects", *lines, ""]))
    found = gain(tmp_path, "a")
    assert found is None if told is None else told in found


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (float("nan"), "some time"),
        (8, "under a minute"),
        (70, "a minute"),
        (1500, "25 minutes"),
        (3599, "1 h 0 min"),
        (9000, "2 h 30 min"),
        (400_000, "5 days"),
        (604_800, "7 days"),
    ],
)
def test_times_are_told_as_a_person_does(seconds, words):
    assert in_words(seconds) == words
