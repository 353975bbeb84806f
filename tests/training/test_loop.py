"""The loop: it learns, it goes on exactly where it stopped, and it says what is wrong with a run."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from anymask.errors import ConfigError, DataError, TrainingError
from anymask.model.checkpoint import open_model, read_card, save_model
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import SamPredictor
from anymask.training.config import Augmentation, Prompting, Source, Stage, Validation
from anymask.training.distributed import Alone
from anymask.training.ema import MovingAverage
from anymask.training.log import Log
from anymask.training.loop import Pace, Run, train
from anymask.training.lora import Lora
from anymask.training.rollout import Targets
from anymask.training.sources import Sources

VARIED = {
    "prompting": Prompting(points=3, fewer=True, refine=False, learn=2, centre=0.5, box_single=True),
    "augmentation": Augmentation(jitter=(0.6, 2.0), flip=True, colour=1.0, paste=0.5),
    "ema": 0.9,
    "validation": Validation(every=3, share=0.3),
}


@pytest.fixture()
def varied(recipe):
    return dataclasses.replace(recipe, **VARIED)


def figures(path):
    """The log without the times."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def weights(path):
    return open_model(path).state_dict()


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def brightness(sam, samples, step):
    """A figure that depends on the weights and on the step."""
    return {"1 click": float(sum(value.double().sum() for value in sam.state_dict().values())) + step % 2}


def go(recipe, data, out, stop_at):
    """Train in this process and kill it, as `kill -9` does, when it tells of a step."""

    def report(step, _):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    train(recipe, data, out, report=report, validate=brightness)


def test_a_run_that_was_killed_ends_with_the_same_losses_and_weights_to_the_last_bit(shapes, varied, tmp_path):
    torch.set_num_threads(1)
    whole = train(varied, shapes, tmp_path / "whole", validate=brightness)
    job = tmp_path / "job.pickle"
    job.write_bytes(pickle.dumps((varied, shapes, tmp_path / "parts", 7)))
    code = (
        f"import pickle, sys, torch; sys.path.insert(0, {os.path.dirname(__file__)!r}); torch.set_num_threads(1)\n"
        f"import test_loop; test_loop.go(*pickle.load(open({str(job)!r}, 'rb')))"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    state = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
    assert state["step"] == 4 and not (tmp_path / "parts" / "test_tiny_light.safetensors").exists()
    parts = train(varied, shapes, tmp_path / "parts", validate=brightness)
    assert parts.name == whole.name == "best.safetensors"
    assert equal(weights(whole), weights(parts))
    name = "test_tiny_light.safetensors"
    assert equal(weights(tmp_path / "whole" / name), weights(tmp_path / "parts" / name))
    assert not equal(weights(whole), weights(tmp_path / "whole" / name))
    for log in ("log.csv", "validation.csv"):
        assert figures(tmp_path / "parts" / log) == figures(tmp_path / "whole" / log)


def test_the_weights_carry_their_recipe_and_load_as_a_model(shapes, recipe, tmp_path):
    path = train(recipe, shapes, tmp_path)
    assert read_card(path)["recipe"]["sources"]["shapes"]["share"] == 1.0
    assert open_model(path).config.name == "test_tiny_light"


def test_a_run_whose_clicks_all_come_first_goes_on(shapes, recipe, tmp_path, train_until):
    """Without corrections the weights of mask prompts have no gradient, and the optimiser knows nothing of them."""
    recipe = dataclasses.replace(recipe, prompting=Prompting(points=0, refine=False))
    whole = weights(train(recipe, shapes, tmp_path / "whole"))
    train_until(recipe, shapes, tmp_path / "parts", 5)
    assert equal(whole, weights(train(recipe, shapes, tmp_path / "parts")))


def test_nothing_is_worse_than_the_start(shapes, recipe, tmp_path):
    """A run that only loses keeps the weights that it began with."""
    judged = dataclasses.replace(recipe, validation=Validation(every=5, share=0.3))
    path = train(judged, shapes, tmp_path, validate=lambda sam, samples, step: {"1 click": -float(step)})
    assert read_card(path)["steps"] == 0


def test_weights_without_their_state_are_not_written_over(shapes, recipe, tmp_path):
    path = train(recipe, shapes, tmp_path)
    (tmp_path / "state.pt").unlink()
    with pytest.raises(ConfigError, match="state is gone; name a new folder"):
        train(recipe, shapes, tmp_path)
    assert path.exists()


@pytest.mark.parametrize("left", ["", "step,loss", "step,loss\n12,0.5\n1"])
def test_what_a_killed_process_left_is_cleared_away(shapes, recipe, tmp_path, left):
    (tmp_path / "log.csv").write_text(left)
    half = tmp_path / ".state.pt.abc123.pt"
    half.write_text("half of a state")
    train(recipe, shapes, tmp_path)
    assert [row["step"] for row in figures(tmp_path / "log.csv")] == [str(i + 1) for i in range(10)]
    assert not half.exists()


def test_a_cut_row_of_a_run_that_goes_on_is_left_out(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n5,0.5\n10,0.4\n1")
    Log(path, 20).add(21, {"loss": 0.3})
    assert path.read_text() == "step,loss\n5,0.5\n10,0.4\n21,0.3\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # PyTorch's compiler warns of itself
def test_a_compiled_decoder_takes_stages_of_several_sizes(shapes, recipe, tmp_path):
    compiled = dataclasses.replace(recipe, compile=True, prompting=Prompting(points=2, fewer=True, refine=False))
    train(compiled, shapes, tmp_path)
    assert len(figures(tmp_path / "log.csv")) == 10


@pytest.mark.slow
def test_it_learns_the_shapes(shapes, recipe, tmp_path):
    train(dataclasses.replace(recipe, stages=(Stage(64, 250, 4, 2),), lr=5e-3, warmup=20), shapes, tmp_path)
    log = figures(tmp_path / "log.csv")
    first, last = (sum(float(r["iou_first"]) for r in rows) / 20 for rows in (log[:20], log[-20:]))
    assert last > first + 0.3


def test_another_recipe_does_not_go_on_with_a_state(shapes, recipe, tmp_path):
    train(recipe, shapes, tmp_path)
    with pytest.raises(ConfigError, match=r"another recipe, with lr = 0.003 and not 0.0001; name"):
        train(dataclasses.replace(recipe, lr=1e-4), shapes, tmp_path)
    train(dataclasses.replace(recipe, save_every=2, log_every=5), shapes, tmp_path)


def test_a_step_in_parts_is_the_step_as_a_whole(shapes, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, stages=(Stage(64, 3, 4, 2),), save_every=3)
    whole = train(recipe, shapes, tmp_path / "whole")
    parts = train(dataclasses.replace(recipe, accumulate=2), shapes, tmp_path / "parts")
    kept = train(dataclasses.replace(recipe, checkpointing=True), shapes, tmp_path / "kept")
    for other in (parts, kept):
        for name, value in weights(whole).items():
            if name.endswith("k_proj.bias"):
                continue  # changes nothing in attention: its gradient is noise, which AdamW brings to full size
            torch.testing.assert_close(weights(other)[name], value, atol=1e-4, rtol=1e-3, msg=name)
    a, b = (figures(tmp_path / name / "log.csv") for name in ("whole", "parts"))
    for x, y in zip(a, b, strict=True):
        assert float(x["loss"]) == pytest.approx(float(y["loss"]), rel=1e-3)


def test_the_average_of_the_weights_is_what_is_saved(shapes, recipe, tmp_path):
    plain = weights(train(recipe, shapes, tmp_path / "plain"))
    averaged = weights(train(dataclasses.replace(recipe, ema=0.99), shapes, tmp_path / "averaged"))
    last = torch.load(tmp_path / "averaged" / "state.pt", weights_only=True)["model"]
    assert all(torch.equal(last[f"sam.{name}"], value) for name, value in plain.items()), "training is the same"
    assert not equal(plain, averaged)


def test_the_average_follows_the_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.0)
    average = MovingAverage(layer, 0.5)
    layer.weight.data.fill_(8.0)
    for step, expected in ((100, 4.0), (101, 6.0)):
        average.update(layer, step)
        assert average.weights["weight"].item() == expected


def test_frozen_parts_stay_and_adapters_are_merged(shapes, recipe, tmp_path):
    start = tmp_path / "start.safetensors"
    torch.manual_seed(3)
    save_model(Sam(MODELS["test_tiny"].config), start)
    recipe = dataclasses.replace(recipe, model="test_tiny", start=str(start), stages=(Stage(64, 2, 2, 2),))
    before = weights(start)
    frozen = weights(train(dataclasses.replace(recipe, freeze=("image_encoder",)), shapes, tmp_path / "frozen"))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], frozen[name])}
    assert changed == {"prompt_encoder", "mask_decoder"}
    adapted = weights(train(dataclasses.replace(recipe, lora=Lora(rank=2)), shapes, tmp_path / "adapted"))
    assert adapted.keys() == before.keys()
    moved = [name for name in before if not torch.equal(before[name], adapted[name])]
    assert any("qkv.weight" in name for name in moved) and not any("mlp" in n and "image_encoder" in n for n in moved)


def test_validation_keeps_the_best_and_ends_a_run_that_gets_no_better(shapes, recipe, tmp_path):
    told = iter([0.3, 0.4, 0.6, 0.5, 0.55, 0.7])
    seen = []

    def validate(sam, samples, step):
        seen.append((step, len(samples), sam.training))
        return {"1 click": 0.0, "box": next(told)}

    judged = Validation(every=2, share=0.3, metric="box", patience=2, images=3)
    path = train(dataclasses.replace(recipe, validation=judged), shapes, tmp_path, validate=validate)
    assert [step for step, _, _ in seen] == [0, 2, 4, 6, 8] and all(not training for _, _, training in seen)
    assert path == tmp_path / "best.safetensors" and read_card(path)["steps"] == 4
    assert read_card(path)["validation"]["box"] == 0.6
    assert [float(row["box"]) for row in figures(tmp_path / "validation.csv")] == [0.3, 0.4, 0.6, 0.5, 0.55]
    train(dataclasses.replace(recipe, validation=judged), shapes, tmp_path, validate=validate)
    assert len(seen) == 5, "a run that was stopped stays so"


def test_a_metric_that_validation_does_not_give_is_named(shapes, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, validation=Validation(every=2, share=0.3, metric="box"))
    with pytest.raises(ConfigError, match="gives only 1 click"):
        train(recipe, shapes, tmp_path, validate=brightness)


def test_what_is_held_out_is_not_trained_on(shapes):
    held = Sources(shapes, {"shapes": Source()}, validation=Validation(every=1, share=0.3))
    names = {sample.name for sample in held.samples["shapes"]}, {sample.name for sample in held.held_out}
    assert names[0] and names[1] and not names[0] & names[1]
    assert names[0] | names[1] == {f"{i:02}" for i in range(12)}


@pytest.mark.parametrize("model", ["test_tiny", "test_tiny_light"])
def test_training_sees_a_photo_as_prediction_does(model, shapes, recipe, tmp_path, monkeypatch):
    """The padding too, which the rule of each model puts before or after the normalisation."""
    run = Run(dataclasses.replace(recipe, model=model), Sources(shapes, {"shapes": Source()}), tmp_path, Alone("cpu"))
    sam = run.task.sam
    seen = []
    plain = sam.encode
    monkeypatch.setattr(sam, "encode", lambda pixels: (seen.append(pixels.detach()), plain(pixels))[1])
    photo = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    SamPredictor(sam).set_image(photo)
    side = sam.config.mask_size
    targets = Targets(
        torch.ones(1, 1, side, side, dtype=torch.bool), torch.tensor([[[0.0, 0, 9, 9]]]), torch.ones(1, 1, 2)
    )
    run.learn(Stage(64, 1, 1, 1), [torch.from_numpy(photo).permute(2, 0, 1)], targets)
    torch.testing.assert_close(seen[0], seen[1])
    empty = seen[0][0, :, 32:]
    black = -sam.pixel_mean / sam.pixel_std if sam.config.pad_black else torch.zeros(3, 1, 1)
    torch.testing.assert_close(empty, black.expand_as(empty))


def test_a_vit_trains_too_and_in_bfloat16(shapes, recipe, tmp_path):
    stages = (Stage(64, 2, 2, 2),)
    for name, bf16 in (("test_tiny", False), ("test_tiny_light", True)):
        train(dataclasses.replace(recipe, model=name, stages=stages, bf16=bf16), shapes, tmp_path / name)
        assert len(figures(tmp_path / name / "log.csv")) == 2


def test_what_comes_before_the_steps_is_told(shapes, recipe, tmp_path):
    told = []
    recipe = dataclasses.replace(recipe, freeze=("image_encoder",), cached=True, stages=(Stage(64, 1, 1, 1),))
    train(recipe, shapes, tmp_path, announce=lambda *one: told.append(one))
    assert told == [(what, i + 1, 12) for what in ("checking labels", "embedding images") for i in range(12)]


def test_a_loss_that_is_no_number_ends_the_run_with_advice(shapes, recipe, tmp_path):
    wild = dataclasses.replace(recipe, lr=1e30, clip=0.0, warmup=0, log_every=100)
    with pytest.raises(TrainingError, match=r"step 4: .*begin anew in another folder .* with a lower lr"):
        train(wild, shapes, tmp_path)
    assert not (tmp_path / "state.pt").exists(), "what is no number is not saved"


def test_bad_data_in_a_worker_is_told_in_a_line(shapes, recipe, tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    record = {"image": {"file_name": "a.png", "width": 9, "height": 9}, "annotations": [{"segmentation": [[1, 2]]}]}
    (folder / "a.json").write_text(json.dumps(record))
    with pytest.raises(DataError) as caught:
        train(dataclasses.replace(recipe, workers=1, check=False), tmp_path, tmp_path / "out")
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_does_not_fit_the_model_is_told(shapes, recipe, tmp_path):
    for changes, message in (
        ({"model": "test_tiny", "start": "lite2"}, "light encoder"),
        ({"start_encoder": "mae.pth"}, "ViT encoder"),
        ({"drop_path": 0.5}, "drop_path"),
        ({"freeze": ("encoder",)}, "encoder"),
        ({"accumulate": 2}, "do not divide"),
        ({"sources": {"gone": 1.0}}, "gone"),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            train(dataclasses.replace(recipe, **changes), shapes, tmp_path / message.split()[0])
        assert not (tmp_path / message.split()[0] / "log.csv").exists(), "before the first step"
    with pytest.raises(ConfigError, match="device"):
        train(recipe, shapes, tmp_path, device="tpu")


def test_the_time_left_counts_what_the_steps_to_come_cost(recipe, monkeypatch):
    clock = iter([0.0, 1.0, 21.0, 26.0])
    monkeypatch.setattr("anymask.training.loop.time.perf_counter", lambda: next(clock))
    recipe = dataclasses.replace(recipe, stages=(Stage(64, 10, 2, 2), Stage(128, 5, 1, 2)))
    pace = Pace(dataclasses.replace(recipe, validation=Validation(every=5)), 0)
    with pace.validating():
        pass
    assert pace.seconds(3) == 2.0, "20 of the 26 seconds were a validation's"
    assert pace.left(3) == pytest.approx(7 * 2.0 + 5 * 2.0 * 2 + 3 * 20.0)
