"""The guide to fine-tuning: its commands and its Python run on real photos, at a small size."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from anymask.cli.main import run
from anymask.dataset.sa1b import open_folder
from anymask.model.checkpoint import read_card
from anymask.training.config import read_recipe
from anymask.training.sources import Sources

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "fine_tune.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in GUIDE.splitlines() if line.startswith("    anymask ")]
TRAINING = [command for command in COMMANDS if command.startswith("anymask train")]
SMALL = ("stages=[{size=256, steps=2, batch=1, objects=2}]", "log_every=1", "workers=0")
FEW = (*SMALL, "images=2", "validation.images=1")
"""changes to the recipe that make a command quick"""


@pytest.fixture()
def place(shared_data, photos, tmp_path, monkeypatch):
    """A folder with all that the guide's commands name: fifty labelled photos of facades, as SA-1B's records and as
    COCO's JSON, three more, one to segment, and the recipes."""
    facades = open_folder(shared_data / "train" / "facade")
    (tmp_path / "my_coco" / "images").mkdir(parents=True)
    for name, samples in (("my_photos", facades[:150:3]), ("other_photos", facades[1:150:60])):
        (tmp_path / name).mkdir()
        for sample in samples:
            shutil.copy(sample.where, tmp_path / name)
            shutil.copy(sample.image_path, tmp_path / name)
    (tmp_path / "my_coco" / "instances.json").write_text(json.dumps(as_coco(facades[:30:3])))
    for sample in facades[:30:3]:
        shutil.copy(sample.image_path, tmp_path / "my_coco" / "images")
    shutil.copy(photos / "coffee.jpg", tmp_path / "photo.jpg")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_coco(samples):
    """The content of a COCO JSON."""
    images, annotations = [], []
    for number, sample in enumerate(samples, 1):
        image = sample.record["image"]
        images.append({"id": number, **{key: image[key] for key in ("file_name", "width", "height")}})
        for each in sample.annotations:
            kept = {key: each[key] for key in ("segmentation", "area", "bbox")}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1, **kept})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "part"}]}


@pytest.fixture()
def do(monkeypatch, capfd):
    """Run a command of the guide with changes to its recipe; gives what it printed."""

    def call(command, changes=()):
        words = shlex.split(command)
        monkeypatch.setattr(sys, "argv", [*words, *changes])
        try:
            run()
        except SystemExit as stop:
            assert not stop.code, capfd.readouterr().err
        return capfd.readouterr().out

    return call


def test_the_recipe_is_the_guides():
    recipe = read_recipe(ROOT / "recipes" / "fine_tune.toml")
    assert recipe.start == recipe.model == "nano" and recipe.sources["mine"].path == "."
    assert f"{recipe.validation.every} steps" in GUIDE and recipe.steps % recipe.validation.every == 0
    assert len(TRAINING) == 5
    for command in TRAINING:
        path, *words = shlex.split(command)[2:]
        assert read_recipe(ROOT / path, [word for word in words if re.match(r"[\w.]+=", word)]).start == "nano"


def test_nothing_was_left_out():
    assert not re.search(r"@\w+@", GUIDE + (ROOT / "recipes" / "fine_tune.toml").read_text(encoding="utf-8"))
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", GUIDE)
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []


@pytest.mark.slow
def test_from_labels_to_figures_before_and_after(place, do, monkeypatch):
    plan, train, *_ = TRAINING
    assert "2 steps at 256" in do(plan, SMALL) and not (place / "run").exists()
    told = do(train, (*SMALL, "validation.images=4"))
    assert "before" in told and "--model run/best.safetensors" in told

    with (place / "run" / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "2"]
    assert all(0 < float(row[name]) < 1 for row in rows for name in ("1 click", "3 clicks", "box"))
    assert rows[0]["1 click"] != rows[1]["1 click"]
    sources = Sources(place / "my_photos", **as_read(place / "recipes" / "fine_tune.toml"))
    trained_on = {sample.name for sample in sources.samples["mine"]}
    judged = {name.split(",")[0] for name in json.loads((place / "run/examples/history.json").read_text())[0]["ious"]}
    assert len(trained_on) >= 30 and judged and not judged & trained_on
    assert judged <= {sample.name for sample in sources.held_out}
    assert read_card(place / "run" / "best.safetensors")["validation"]["1 click"] == pytest.approx(
        max(float(row["1 click"]) for row in rows), abs=1e-5
    )

    [segment, everything] = [c for c in COMMANDS if c.startswith(("anymask segment", "anymask everything"))]
    do(segment)
    monkeypatch.setattr("anymask.predict.automask.presets.PRESETS", {"objects": {"points_per_side": 3}})
    do(everything)
    assert (place / "masks" / "photo_overlay.jpg").exists()
    [code] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "fine_tune.md", "exec"), names)
    assert names["mask"].any()
    for command in (c for c in COMMANDS if c.startswith("anymask eval")):
        assert re.search(r"nano +best ", do(command))


def as_read(path):
    """What a recipe says of its data."""
    recipe = read_recipe(path)
    return {"sources": recipe.sources, "seed": recipe.seed, "validation": recipe.validation}


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAINING[2:])
def test_the_other_ways_run(place, do, command):
    told = do(command.replace("--data my_photos", "--data my_coco", 1) if "instances.json" in command else command, FEW)
    assert "use them" in told
