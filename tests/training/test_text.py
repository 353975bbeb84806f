"""Training a text detector: views and targets, the loss, runs that are cut and go on, and that it learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anymask.errors import ConfigError, DataError, TrainingError
from anymask.model.text.detector import DetectorConfig, TextDetector
from anymask.model.text.weights import load_detector
from anymask.predict.text import TextFinder
from anymask.task import rle
from anymask.training.text import calibration, loop
from anymask.training.text.calibration import Answers
from anymask.training.text.config import TextRecipe, TextSource, read_text_recipe
from anymask.training.text.loop import train_text
from anymask.training.text.losses import focal_loss, paired_iou
from anymask.training.text.phrases import SENTENCES, imagenet_names, phrase, plural
from anymask.training.text.views import NOTHING, Plan, View, draw_view, targets

pytest.importorskip("wordllama")

COLOURS = {"apple": (220, 30, 30), "banana": (225, 215, 40), "car": (40, 60, 220)}


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A folder `things` of 40 images with one or two blocks each: what a block is called is told by its colour."""
    root = tmp_path_factory.mktemp("text")
    folder = root / "things"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        image = rng.integers(90, 120, (96, 128, 3), np.uint8)
        annotations = []
        for j, name in enumerate(rng.permutation(list(COLOURS))[: 1 + i % 2]):
            mask = np.zeros((96, 128), bool)
            y, x = rng.integers(4, 40), 4 + 62 * j + rng.integers(0, 20)
            mask[y : y + 40, x : x + 38] = True
            image[mask] = np.clip(np.array(COLOURS[name]) + rng.integers(-12, 12, 3), 0, 255)
            segmentation = rle.encode(mask)
            annotations.append({"id": j, "segmentation": segmentation, "area": int(mask.sum()), "category": str(name)})
        Image.fromarray(image).save(folder / f"{i:02}.png")
        record = {"image": {"width": 128, "height": 96, "file_name": f"{i:02}.png"}, "annotations": annotations}
        (folder / f"{i:02}.json").write_text(json.dumps(record))
    return root


@pytest.fixture(autouse=True)
def _no_imagenet(monkeypatch):
    """A backbone of a few channels in the place of ImageNet's, and a classifier that guesses anything."""
    small = {
        "stem": 8,
        "stages": ((1, 8, 1, 1, 3), (2, 8, 1, 2, 3), (2, 12, 1, 2, 3), (2, 16, 1, 2, 3), (2, 24, 1, 2, 3)),
    }

    def config(name, **given):
        return DetectorConfig(name, **small, **given)

    monkeypatch.setattr(loop, "DetectorConfig", config)

    def fill(backbone):
        for layer in backbone.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    monkeypatch.setattr(loop, "load_imagenet", fill)
    monkeypatch.setattr(loop, "imagenet_classifier", lambda: nn.Conv2d(24, 1000, 1))


def recipe(**changes):
    given = {
        "model": "toy",
        "sources": {"things": TextSource(views=2)},
        "steps": 4,
        "batch": 4,
        "names": 3,
        "width": 24,
        "mixers": (1, 1),
        "size": 128,
        "jitter": (0.9, 1.1),
        "distil": 0.0,
        "held_out": 0.2,
        "warmup": 5,
        "validate_every": 0,
        "bf16": False,
        **changes,
    }
    return TextRecipe(**given)


def test_a_cell_shows_the_smallest_thing_that_covers_it_and_the_largest():
    large, small, thin = np.zeros((3, 64, 64), np.float32)
    large[:48], small[16:32, 16:48], thin[60, 3:9] = 1, 1, 1
    labels, boxes = targets([large, small, thin], [5, 7, 9], 64)
    assert labels.shape == (2, 4, 4) and (labels[1, :3] == 5).all()
    assert (labels[0, 1, 1:3] == 7).all() and labels[0, 0, 0] == 5 and labels[0, 3, 3] == NOTHING
    assert boxes[0, 1, 1].tolist() == [16, 16, 48, 32] and boxes[1, 1, 1].tolist() == [0, 0, 64, 48]
    assert labels[0, 3, 0] == 9 and boxes[0, 3, 0].tolist() == [3, 60, 9, 61], "a thin thing has a cell, too"


def test_the_first_view_is_the_image_and_the_others_differ(things):
    plan = Plan(recipe(), things)
    assert plan.labels == sorted(COLOURS) and len(plan.views) == 74 and plan.known == {"things": [0, 1, 2]}
    first = plan.views[1]
    pixels, masks, labels = draw_view(first, recipe())
    assert (pixels == first.sample.image()).all() and len(masks) == len(labels) == 2
    assert set(labels) == {a["category"] for a in first.sample.annotations}
    again = View(first.source, first.sample, 1, False)
    changed = draw_view(again, recipe())[0]
    assert changed.shape != pixels.shape or (changed != pixels).any()
    assert (draw_view(again, recipe())[0] == changed).all(), "the same whenever it is asked for"


def test_held_out_images_are_not_trained_on(things):
    views = Plan(recipe(), things).views
    out = {view.sample.name for view in views if view.held_out}
    assert 2 <= len(out) <= 20 and not out & {view.sample.name for view in views if not view.held_out}
    with pytest.raises(DataError, match="none is held out"):
        Plan(recipe(held_out=1e-9), things)


def test_absent_labels_are_known_where_the_source_has_them_not(things):
    plan = Plan(recipe(absent=("zebra",)), things)
    assert plan.labels[-1] == "zebra" and plan.known["things"] == [0, 1, 2, 3]


def test_it_learns_what_things_are_called_and_says_what_is_not_there(things, tmp_path):
    weights = train_text(recipe(steps=150, batch=8, lr=3e-3), things, tmp_path)
    finder = TextFinder(load_detector(weights))
    plan = Plan(recipe(), things)
    right, there, absent = [], [], []
    for view in plan.views[:40]:
        if not view.held_out:
            continue
        sample = view.sample
        finder.set_pixels(sample.image())
        for name in COLOURS:
            places = finder.find(name, 0, 1)
            masks = [sample.mask(a) for a in sample.annotations if a["category"] == name]
            (there if masks else absent).append(places.scores[0])
            if masks:
                x, y = places.points[0].astype(int)
                right.append(masks[0][y, x])
    assert np.mean(right) > 0.7, np.mean(right)
    assert np.mean(there) > np.mean(absent)


def test_scores_are_calibrated_on_what_is_held_out(monkeypatch):
    """A score of .3 that is as often right as not becomes .5, however many labels there are of either kind."""
    rng = np.random.default_rng(0)
    raw = torch.from_numpy(rng.uniform(0.02, 0.9, 4000)).float()
    truth = rng.uniform(size=4000) < torch.sigmoid(3 * (torch.logit(raw) - torch.logit(torch.tensor(0.3)))).numpy()
    there, absent = raw[truth], raw[~truth]
    nothing = torch.zeros(0)
    monkeypatch.setattr(calibration, "ask", lambda *_: Answers(there, absent[: len(absent) // 2], nothing, nothing))
    detector = TextDetector(DetectorConfig("toy"))
    detector.config = calibration.calibrate(detector, None, ())
    slope, shift = detector.config.calibration
    assert 2.5 < slope < 3.5
    middle = torch.sigmoid(-torch.tensor(shift / slope))
    assert 0.25 < middle < 0.37


def stopped_at(step):
    """A report that stops a run once so many steps are done."""

    def report(now, figures):
        if now == step:
            raise KeyboardInterrupt

    return report


def test_a_run_that_is_cut_goes_on_exactly(things, tmp_path):
    asked = recipe(steps=6, save_every=2, log_every=1, dropout=0.2)
    whole = train_text(asked, things, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_text(asked, things, tmp_path / "cut", report=stopped_at(5))
    resumed = train_text(asked, things, tmp_path / "cut")
    ours, theirs = load_detector(whole).state_dict(), load_detector(resumed).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    steps = [line.split(",")[0] for line in (tmp_path / "cut" / "log.csv").read_text().splitlines()]
    assert steps == ["step", "1", "2", "3", "4", "5", "6"]
    with pytest.raises(ConfigError, match="the state of another recipe, with lr"):
        train_text(recipe(steps=6, save_every=2, log_every=1, dropout=0.2, lr=0.5), things, tmp_path / "cut")


def test_views_that_are_there_are_not_made_again(things, tmp_path):
    told = []

    def stop(what, done, total):
        told.append(done)
        if len(told) == 30:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("anymask.training.text.views.SAVE_EVERY", 10)
        train_text(recipe(), things, tmp_path, announce=stop)
    again = []
    train_text(recipe(), things, tmp_path, announce=lambda what, done, total: again.append(done))
    assert again[0] in (20, 21, 30, 31) and again[-1] == 74
    (tmp_path / "state.pt").unlink()
    with pytest.raises(ConfigError, match="views of other data or of another recipe"):
        train_text(recipe(size=160), things, tmp_path)


def test_the_backbone_stays_as_it_is_and_the_rest_moves(things, tmp_path):
    torch.manual_seed(0)
    weights = train_text(recipe(steps=2), things, tmp_path)
    again = train_text(recipe(steps=2, lr=1e-2), things, tmp_path / "other")
    one, other = load_detector(weights).state_dict(), load_detector(again).state_dict()
    for name, value in one.items():
        same = torch.equal(value, other[name])
        assert same if name.startswith("backbone") else True
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_a_loss_that_is_no_number_ends_the_run(things, tmp_path, monkeypatch):
    monkeypatch.setattr(loop.TextRun, "learn", lambda self: {"loss": float("nan")})
    with pytest.raises(TrainingError, match="the loss is no finite number"):
        train_text(recipe(), things, tmp_path)


def test_figures_of_a_validation_are_shares(things, tmp_path):
    seen = []
    train_text(recipe(steps=2, validate_every=2), things, tmp_path, report=lambda step, figures: seen.append(figures))
    figures = next(told for told in seen if "AUC" in told)
    assert set(figures) == {"pointing", "box IoU", "AUC"} and all(0 <= value <= 1 for value in figures.values())
    assert (tmp_path / "validation.csv").read_text().startswith("step,pointing,box IoU,AUC\n2,")


def test_the_focal_loss_is_that_of_the_paper():
    logits, target = torch.tensor([2.0, 2.0, -1.0]), torch.tensor([1.0, 0.0, 1.0])
    p = torch.sigmoid(logits)
    expected = torch.stack(
        [
            -0.75 * (1 - p[0]) ** 2 * p[0].log(),
            -0.25 * p[1] ** 2 * (1 - p[1]).log(),
            -0.75 * (1 - p[2]) ** 2 * p[2].log(),
        ]
    )
    assert torch.allclose(focal_loss(logits, target), expected, atol=1e-6)


def test_iou_of_pairs_of_boxes():
    a = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 2, 2]])
    b = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [8, 8, 9, 9]])
    assert torch.allclose(paired_iou(a, b), torch.tensor([1.0, 8 / 24, 0.0]))


def test_names_in_sentences_and_their_plurals():
    rng = np.random.default_rng(0)
    drawn = {phrase(["orange"], rng, plain=0) for _ in range(300)}
    assert "an orange" in drawn and "oranges" in drawn and len(drawn) > 100
    assert all("orange" in said and "{" not in said for said in drawn) and len(SENTENCES) == len(set(SENTENCES))
    assert {phrase(["cup", "mug"], rng, plain=1) for _ in range(50)} == {"cup", "mug"}
    assert [plural(noun) for noun in ("bus", "cherry", "bench", "day", "skis")] == [
        "bus", "cherries", "benches", "days", "skis",
    ]  # fmt: skip
    names = imagenet_names()
    assert len(names) == 1000 and names[0][0] == "tench" and all(map(all, names))


def test_a_recipe_is_read_and_what_is_wrong_in_it_is_told(tmp_path):
    path = tmp_path / "text.toml"
    path.write_text('model = "own"\nsteps = 10\n[sources]\nthings = { views = 3, partly = true }\nmore = 0.5\n')
    read = read_text_recipe(path, ["lr=1e-4"])
    assert read.lr == 1e-4 and read.sources["things"].partly and read.sources["more"].share == 0.5
    for change, said in {
        "stepz=3": "unknown key 'stepz'; did you mean 'steps'",
        "steps=0": "steps: expected at least 1",
        "size=100": "a multiple of 32",
        "held_out=0": "held_out between 0 and 1",
        "sources.things.views=0": "views: expected at least 1",
        "dropout=1": "dropout below 1",
    }.items():
        with pytest.raises(ConfigError, match=said):
            read_text_recipe(path, [change])


def test_the_packaged_recipe_is_one():
    from pathlib import Path

    read = read_text_recipe(Path(__file__).parents[2] / "recipes" / "text" / "nano_text.toml")
    assert read.model == "nano_text" and read.sources["coco_mval_train"].partly
