"""The loop: it learns, it goes on exactly where it stopped, and it says what is wrong with a recipe."""

from __future__ import annotations

import csv
import dataclasses
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch

from anymask.errors import ConfigError, DataError
from anymask.model.checkpoint import open_model, read_card
from anymask.training import loop
from anymask.training.config import Recipe, Stage, read_recipe
from anymask.training.loop import schedule, train


def figures(path):
    """The log without the times."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_stopped_run_ends_with_the_same_weights_to_the_last_bit(shapes, recipe, tmp_path):
    whole = train(recipe, shapes, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop_at_seven(step, _):
        if step == 7:
            raise StopError

    with pytest.raises(StopError):
        train(recipe, shapes, tmp_path / "parts", report=stop_at_seven)
    state = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
    assert state["step"] == 4
    parts = train(recipe, shapes, tmp_path / "parts")
    a, b = open_model(whole).state_dict(), open_model(parts).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert figures(tmp_path / "parts" / "log.csv") == figures(tmp_path / "whole" / "log.csv")


def test_the_weights_carry_their_recipe_and_load_as_a_model(shapes, recipe, tmp_path):
    weights = train(recipe, shapes, tmp_path)
    assert read_card(weights)["recipe"]["sources"] == {"shapes": 1.0}
    assert open_model(weights).config.name == "test_tiny_light"


@pytest.mark.slow
def test_it_learns_the_shapes(shapes, recipe, tmp_path):
    long = Recipe(**{**recipe.__dict__, "stages": (Stage(64, 250, 4, 2),), "lr": 5e-3, "warmup": 20})
    train(long, shapes, tmp_path)
    log = figures(tmp_path / "log.csv")
    first, last = (sum(float(r["iou_first"]) for r in rows) / 20 for rows in (log[:20], log[-20:]))
    assert last > first + 0.3


def test_another_recipe_does_not_go_on_with_a_state(shapes, recipe, tmp_path):
    train(recipe, shapes, tmp_path)
    with pytest.raises(ConfigError, match="another recipe"):
        train(Recipe(**{**recipe.__dict__, "lr": 1e-4}), shapes, tmp_path)


def test_rounds_go_back_one_by_one_as_if_at_once(recipe):
    """The gradient of the encoder is that of the summed loss, though each round goes back by itself."""
    from anymask.model.registry import MODELS
    from anymask.model.sam import Sam
    from anymask.training.rollout import Targets, rollout

    torch.manual_seed(0)
    sam = Sam(MODELS["test_tiny_light"].config)
    masks = torch.rand(2, 2, 32, 32) > 0.5
    targets = Targets(masks, torch.tensor([8.0, 8, 50, 50]).expand(2, 2, 4), torch.full((2, 2, 2), 30.0))
    pixels = [torch.rand(3, 64, 64) * 255, torch.rand(3, 40, 64) * 255]
    frozen = Recipe(**{**recipe.__dict__, "clip": 1e9, "weight_decay": 0.0})
    optimizer = torch.optim.SGD([{"params": list(sam.parameters()), "peak_lr": 0.0}], lr=0.0)
    loop.train_step(sam, optimizer, frozen, Stage(64, 1, 2, 2, spread=0.2), 5, pixels, targets)
    found = {name: p.grad.clone() for name, p in sam.named_parameters() if p.grad is not None}
    sam.zero_grad()
    generator = torch.Generator().manual_seed(frozen.seed * 1_000_003 + 5)
    embedding = sam.encode(torch.stack([sam.preprocess(image) for image in pixels]))
    rounds = list(rollout(sam, embedding, targets, 64, frozen.rounds, generator, 0.2))
    (sum(r["loss"] for r in rounds) / frozen.rounds).backward()
    for name, p in sam.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(found[name], p.grad, atol=1e-5, rtol=1e-3, msg=name)


def test_the_schedule_warms_up_and_comes_down():
    rates = [schedule(step, 100, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] < 0.001


def test_workers_give_the_same_views_as_none(shapes):
    from anymask.training.views import Sources, Views, batches

    views = Views(Sources(shapes, {"shapes": 1.0}), 64, 32, 2, 4, seed=3)
    with_none = list(batches(views, 2, 0, 0))
    with_one = list(batches(views, 2, 0, 1))
    for (a, s), (b, t) in zip(with_none, with_one, strict=True):
        assert all(map(torch.equal, a, b)) and torch.equal(s.masks, t.masks) and torch.equal(s.boxes, t.boxes)
    assert not multiprocessing.active_children()


def test_views_hold_what_their_targets_say(shapes):
    from anymask.training.views import Sources, Views

    views = Views(Sources(shapes, {"shapes": 1.0}), 64, 32, 2, 40, seed=1)
    for i in range(len(views)):
        view = views[i]
        assert max(view.pixels.shape[1:]) == 64 and view.masks.shape == (2, 32, 32)
        assert not view.masks[:, view.pixels.shape[1] // 2 + 1 :].any(), "nothing lies in the padding"
        for mask, box, centre in zip(view.masks, view.boxes, view.centres, strict=True):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            expected = [columns.min() * 2, rows.min() * 2, columns.max() * 2 + 2, rows.max() * 2 + 2]
            assert box.tolist() == expected
            assert mask[int(centre[1] // 2), int(centre[0] // 2)]
            bright = view.pixels.float().mean(0)[::2, ::2]
            inside = mask[: bright.shape[0], : bright.shape[1]]
            ground = ~view.masks.any(0)[: bright.shape[0], : bright.shape[1]]
            assert bright[inside].mean() > 1.5 * bright[ground].mean()


def test_recipes_of_the_project_load():
    recipes = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        assert read_recipe(path).steps > 0


def test_changes_and_wrong_keys(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('model = "nano"\n[sources]\na = 1.0\n[[stages]]\nsize = 64\nsteps = 1\nbatch = 1\nobjects = 1\n')
    assert read_recipe(path, ["lr=1e-5", "sources.b=2.0", "start=lite0"]).sources == {"a": 1.0, "b": 2.0}
    for change, message in (
        ("learning=1", "unknown key"),
        ("sed=1", "did you mean 'seed'"),
        ("lr", "expected key=value"),
        ("lr=-1", "lr > 0"),
        ("model.x=1", "no further keys"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_recipe(path, [change])
    path.write_text("model = ")
    with pytest.raises(ConfigError, match=r"r\.toml"):
        read_recipe(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("model", ["test_tiny", "test_tiny_light"])
def test_training_sees_a_photo_as_prediction_does(model, recipe, monkeypatch):
    """The padding too, which the rule of each model puts before or after the normalisation."""
    from anymask.model.registry import MODELS
    from anymask.model.sam import Sam
    from anymask.predict.predictor import SamPredictor
    from anymask.training.rollout import Targets

    config = dataclasses.replace(MODELS[model].config, pad_black=model == "test_tiny_light")
    sam = Sam(config)
    seen = []
    plain = sam.encode
    monkeypatch.setattr(sam, "encode", lambda pixels: (seen.append(pixels.detach()), plain(pixels))[1])
    photo = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    SamPredictor(sam).set_image(photo)
    side = config.mask_size
    targets = Targets(
        torch.ones(1, 1, side, side, dtype=torch.bool), torch.tensor([[[0.0, 0, 9, 9]]]), torch.ones(1, 1, 2)
    )
    optimizer = torch.optim.SGD([{"params": list(sam.parameters()), "peak_lr": 0.0}], lr=0.0)
    pixels = [torch.from_numpy(photo).permute(2, 0, 1)]
    loop.train_step(sam, optimizer, recipe, Stage(64, 1, 1, 1), 0, pixels, targets)
    torch.testing.assert_close(seen[0], seen[1])
    empty = seen[0][0, :, 32:]
    black = -sam.pixel_mean / sam.pixel_std if config.pad_black else torch.zeros(3, 1, 1)
    torch.testing.assert_close(empty, black.expand_as(empty))


def test_a_vit_trains_too_and_in_bfloat16(shapes, recipe, tmp_path):
    stages = (Stage(64, 2, 2, 2),)
    for name, bf16 in (("test_tiny", False), ("test_tiny_light", True)):
        changed = Recipe(**{**recipe.__dict__, "model": name, "stages": stages, "bf16": bf16})
        train(changed, shapes, tmp_path / name)
        assert len(figures(tmp_path / name / "log.csv")) == 2


def test_bad_data_in_a_worker_is_told_in_a_line(shapes, recipe, tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    record = {"image": {"file_name": "a.png", "width": 9, "height": 9}, "annotations": [{"segmentation": [[1, 2]]}]}
    (folder / "a.json").write_text(json.dumps(record))
    with pytest.raises(DataError) as caught:
        train(Recipe(**{**recipe.__dict__, "workers": 1}), tmp_path, tmp_path / "out")
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_changes_no_result_may_change_on_resume(shapes, recipe, tmp_path):
    train(recipe, shapes, tmp_path)
    train(Recipe(**{**recipe.__dict__, "save_every": 2, "log_every": 5}), shapes, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sources=coco", "sources: expected dict"),
        ("sources.a=x", "sources.a: expected a number"),
        ("warmup=a", "warmup: expected int"),
        ("lr=fast", "lr: expected float"),
        ("save_every=0", "at least 1"),
        ("model=3", "model: expected str"),
        ("stages=3", r"written \[\[stages\]\]"),
        ("bf16=1", "bf16: expected bool"),
    ],
)
def test_values_of_a_wrong_kind_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        read_recipe(Path(__file__).parents[2] / "recipes" / "nano.toml", [change])


def test_lite0_needs_a_light_encoder_and_a_device_must_be_there(shapes, recipe, tmp_path):
    with pytest.raises(ConfigError, match="light encoder"):
        train(Recipe(**{**recipe.__dict__, "model": "test_tiny", "start": "lite0"}), shapes, tmp_path)
    with pytest.raises(ConfigError, match="device"):
        train(recipe, shapes, tmp_path, device="tpu")


def test_data_that_is_none_is_named(shapes, recipe, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        train(Recipe(**{**recipe.__dict__, "sources": {"gone": 1.0}}), shapes, tmp_path / "out")
    broken = tmp_path / "data" / "shapes"
    broken.mkdir(parents=True)
    (broken / "a.json").write_text(json.dumps({"image": {}}))
    with pytest.raises(DataError, match=r"a\.json"):
        train(recipe, broken.parent, tmp_path / "out2")
