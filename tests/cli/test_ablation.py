"""`anymask eval ablation`: arms are trained, scored side by side, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.cli.ablation import read_ablation
from anymask.errors import ConfigError
from anymask.evaluation.suite import read_suite
from anymask.task import rle
from anymask.training.config import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
model = "test_tiny_light"
workers = 0
warmup = 1
bf16 = false
[sources]
shapes = 1.0
[[stages]]
size = 64
steps = 2
batch = 1
objects = 1
"""
SUITE = """
baselines = false
[[entries]]
protocol = "points"
data = "shapes"
options = { clicks = [1, 2] }
"""
ABLATION = """
recipe = "recipe.toml"
suite = "suite.toml"
[arms]
all = []
one_image = ["images=1"]
"""


@pytest.fixture()
def folder(tmp_path):
    shapes = tmp_path / "shapes"
    shapes.mkdir()
    for name in "abc":
        Image.new("RGB", (64, 64)).save(shapes / f"{name}.png")
        mask = np.zeros((64, 64), bool)
        mask[10:50, 10:50] = True
        record = {"image": {"file_name": f"{name}.png", "width": 64, "height": 64}}
        record["annotations"] = [{"id": 1, "segmentation": rle.encode(mask)}]
        (shapes / f"{name}.json").write_text(json.dumps(record))
    for name, text in (("recipe", RECIPE), ("suite", SUITE), ("ablation", ABLATION)):
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def test_arms_are_trained_and_scored(anymask, folder):
    out = folder / "out"
    command = ("eval", "ablation", folder / "ablation.toml", "--data", folder, "--root", folder, "-o", out)
    result = anymask(*command)
    assert result.code == 0, result.err
    table = (out / "scores" / "table.md").read_text()
    assert "| all | one_image |" in table and "1 click" in table
    recipes = [json.loads((out / arm / "recipe.json").read_text())["images"] for arm in ("all", "one_image")]
    assert recipes == [0, 1]
    assert anymask(*command).code == 0, "the same command goes on, here with nothing left to do"
    assert (out / "scores" / "table.md").read_text() == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('recipe = "r"\nsuite = "s"\n[arms]\n', "at least one"),
        ('recipe = "r"\nsuite = "s"\narm = 1\n[arms]\na = []\n', "did you mean 'arms'"),
        ('recipe = "r"\nsuite = "s"\n[arms]\na = "lr=1"\n', "a list of changes"),
        ('recipe = "r"\n[arms]\na = []\n', "suite"),
    ],
)
def test_what_is_no_ablation_is_named(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_ablation(path)


def test_the_ablations_and_suites_of_the_project_load():
    ablations, suites = sorted(RECIPES.glob("ablations/*.toml")), sorted(RECIPES.glob("suites/*.toml"))
    assert len(ablations) >= 3 and len(suites) >= 3
    for path in suites:
        assert read_suite(path).entries
    for path in ablations:
        plan = read_ablation(path)
        assert read_suite(path.parent / plan.suite).entries
        changed = [read_recipe(path.parent / plan.recipe, changes) for changes in plan.arms.values()]
        assert len({str(recipe) for recipe in changed}) == len(changed), "no two arms are the same"
