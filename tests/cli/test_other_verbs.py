"""`anymask train`, `eval` and `models pack`, from data to a model with its card."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from anymask.task import rle

RECIPE = """
model = "test_tiny_light"
workers = 0
bf16 = false
log_every = 1
[sources]
squares = 1.0
[[stages]]
size = 64
steps = 3
batch = 2
objects = 2
"""


def make_data(root):
    folder = root / "squares"
    folder.mkdir()
    for i in range(3):
        mask = np.zeros((48, 64), bool)
        mask[10 + i : 30, 12 : 40 + i] = True
        Image.fromarray(np.where(mask[..., None], 220, 30).astype(np.uint8).repeat(3, 2)).save(folder / f"{i}.png")
        image = {"width": 64, "height": 48, "file_name": f"{i}.png"}
        annotations = [{"id": 1, "segmentation": rle.encode(mask), "area": int(mask.sum())}]
        (folder / f"{i}.json").write_text(json.dumps({"image": image, "annotations": annotations}))
    return folder


def test_from_data_to_a_scored_model(anymask, tmp_path):
    folder = make_data(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    trained = anymask("train", tmp_path / "recipe.toml", "lr=1e-3", "--data", tmp_path, "-o", tmp_path / "run")
    assert trained.code == 0 and "step 3/3" in trained.out, trained.err
    weights = tmp_path / "run" / "test_tiny_light.safetensors"
    (tmp_path / "card.toml").write_text('licence = "CC0"\n[scores]\npoints = 0.1\n')
    packed = tmp_path / "packed.safetensors"
    assert anymask("models", "pack", weights, tmp_path / "card.toml", "-o", packed).code == 0
    assert packed.stat().st_size < 0.7 * weights.stat().st_size
    from anymask.model.checkpoint import read_card

    card = read_card(packed)
    assert card["licence"] == "CC0" and card["recipe"]["lr"] == 1e-3
    result = anymask("eval", "points", folder, "--model", packed, "--no-baselines", "-o", tmp_path / "scores", "--json")
    assert result.code == 0, result.err
    figures = json.loads(result.out)["metrics"]["packed"]
    assert figures["objects"]["value"] == 3 and 0 <= figures["1 click, best-scored mask, mean IoU"]["value"] <= 1


def test_wrong_recipes_end_in_one_line(anymask, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for arguments, message in (
        (("train", tmp_path / "gone.toml"), "gone.toml"),
        (("train", tmp_path / "recipe.toml", "spede=1"), "unknown key"),
        (("train", tmp_path / "recipe.toml", "--data", tmp_path, "-o", tmp_path / "run"), "no such file or folder"),
    ):
        result = anymask(*arguments)
        assert result.code == 1 and message in result.err and result.err.count("\n") == 1, result.err


def test_the_version_and_the_help(anymask):
    from anymask import __version__

    assert anymask("--version").out.strip() == f"anymask {__version__}"
    assert {"segment", "everything", "train", "eval", "models"} <= set(anymask("--help").out.split())
