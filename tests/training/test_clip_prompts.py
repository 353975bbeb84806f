"""Training on CLIP's vectors of objects: crops, what is kept on disk, and that words then pick the right object."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from anymask.dataset.formats import open_data
from anymask.errors import ConfigError, PromptError
from anymask.model.checkpoint import save_model
from anymask.model.weights import load_model
from anymask.predict.predictor import SamPredictor
from anymask.task import rle
from anymask.task.metrics import iou
from anymask.training import start
from anymask.training.clip_prompts import ObjectVectors, crop_object, embed_objects
from anymask.training.config import Augmentation, Prompting, Recipe, Stage
from anymask.training.loop import train

COLOURS = {"red": (230, 40, 40), "green": (40, 220, 40), "blue": (50, 60, 240), "yellow": (230, 220, 40)}


class ColourTower:
    """Stands for CLIP: what it sees in a crop is the colour of the mask, and what it reads is the name of one."""

    width = 3

    def __init__(self, *_):
        self.seen = 0

    def crops(self, crops, masks=None):
        self.seen += len(crops)
        return self._unit(np.array([crop[mask].mean(axis=0) for crop, mask in zip(crops, masks, strict=True)]))

    def texts(self, texts):
        return self._unit(np.array([COLOURS[text] for text in texts]))

    def _unit(self, colours):
        spread = colours - colours.mean(axis=1, keepdims=True)
        return torch.from_numpy(spread / np.linalg.norm(spread, axis=1, keepdims=True)).float()


def write_discs(folder, count, seed):
    """Images of 64×64 with three discs, each of another colour, of which the record says the name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    for i in range(count):
        image = rng.integers(60, 90, (64, 64, 3), np.uint8)
        annotations = []
        places = rng.permutation([(17, 17), (46, 17), (17, 46), (46, 46)])
        for j, name in enumerate(rng.permutation(list(COLOURS))[:3]):
            mask = (x - places[j][0]) ** 2 + (y - places[j][1]) ** 2 < rng.integers(9, 13) ** 2
            image[mask] = np.clip(np.array(COLOURS[name]) + rng.integers(-15, 15, 3), 0, 255)
            record = {"id": j, "segmentation": rle.encode(mask), "area": int(mask.sum()), "category": str(name)}
            annotations.append(record)
        Image.fromarray(image).save(folder / f"{i:03}.png")
        record = {"image": {"width": 64, "height": 64, "file_name": f"{i:03}.png"}, "annotations": annotations}
        (folder / f"{i:03}.json").write_text(json.dumps(record))
    return open_data(folder)


@pytest.fixture()
def tower(monkeypatch):
    tower = ColourTower()
    monkeypatch.setattr(start, "ClipTowers", lambda *_: tower)
    monkeypatch.setattr(start, "clip_width", lambda folder: tower.width)
    start.open_clip.cache_clear()
    yield tower
    start.open_clip.cache_clear()


def recipe(**changes):
    given = {
        "model": "test_tiny_light",
        "sources": {"discs": 1.0},
        "stages": (Stage(64, 4, 4, 3),),
        "text_tower": "somewhere",
        "text_min_area": 0,
        "text_crops": 2,
        "prompting": Prompting(text=1.0, points=0, refine=False),
        "workers": 0,
        "bf16": False,
        "warmup": 20,
        "check": False,
        **changes,
    }
    return Recipe(**given)


def test_a_crop_is_a_square_around_the_object_and_half_of_them_are_without_background():
    image = np.full((40, 60, 3), 200, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[2:12, 40:60] = True
    sides, black = [], 0
    for seed in range(200):
        crop, inside = crop_object(image, mask, np.random.default_rng(seed))
        assert crop.shape[:2] == inside.shape and crop.shape[0] == crop.shape[1]
        assert inside.sum() >= 0.95 * mask.sum(), "the whole object is in it"
        assert (crop[inside] == 200).all()
        sides.append(crop.shape[0])
        black += not crop[~inside].any()
    assert 20 <= min(sides) <= 22 and 38 <= max(sides) <= 42, "from once to twice the box"
    assert 70 <= black <= 130


def test_vectors_are_made_once_and_for_large_objects_alone(tmp_path):
    samples = write_discs(tmp_path / "discs", 3, 0)
    tower, folder = ColourTower(), tmp_path / "vectors"
    areas = sorted(a["area"] for sample in samples for a in sample.annotations)
    embed_objects(tower, samples, folder, "colours", 2, 0, min_area=areas[3])
    assert tower.seen == 2 * sum(area > areas[3] for area in areas)
    embed_objects(tower, samples, folder, "colours", 2, 0, min_area=areas[3])
    assert tower.seen == 2 * sum(area > areas[3] for area in areas), "what is there stays"
    reader, rng = ObjectVectors(folder, 3), np.random.default_rng(0)
    for sample in samples:
        found = reader.read(sample, sample.annotations, rng)
        for vector, annotation in zip(found, sample.annotations, strict=True):
            told = tower.texts([annotation["category"]])[0]
            assert float(vector @ told) > 0.95 if annotation["area"] > areas[3] else not vector.any()
    with pytest.raises(ConfigError, match="another CLIP"):
        embed_objects(tower, samples, folder, "others", 2, 0, min_area=areas[3])


@pytest.mark.slow
def test_words_pick_the_right_one_of_several_objects_on_held_out_images(tmp_path, tower):
    write_discs(tmp_path / "discs", 60, 1)
    asked = recipe(
        model="nano",
        start="nano",
        freeze=("image_encoder",),
        stages=(Stage(128, 200, 4, 3),),
        prompting=Prompting(text=0.9, box=0.0, points=0, refine=False),
        lr=1e-3,
        warmup=10,
        save_every=1000,
    )
    weights = train(asked, tmp_path, tmp_path / "run")
    sam = load_model(weights)
    assert sam.config.text_width == 3
    predictor = SamPredictor(sam, text_model=tmp_path)
    predictor._tower = tower
    right, wrong = [], []
    for sample in write_discs(tmp_path / "held_out", 12, 2):
        predictor.set_image(sample.image())
        for annotation in sample.annotations:
            found = predictor.predict_text(annotation["category"]).masks
            mask = found[0] if len(found) else np.zeros((64, 64), bool)
            for other in sample.annotations:
                (right if other is annotation else wrong).append(iou(mask, sample.mask(other)))
    assert np.mean(right) > 0.8 and np.mean(wrong) < 0.05, (np.mean(right), np.mean(wrong))


def test_a_run_starts_from_weights_that_know_no_text_and_from_those_that_do(tmp_path, tower):
    write_discs(tmp_path / "discs", 4, 1)
    plain = recipe(text_tower="", prompting=Prompting(points=0, refine=False), stages=(Stage(64, 1, 2, 2),))
    first = train(plain, tmp_path, tmp_path / "plain")
    second = train(recipe(start=str(first), stages=(Stage(64, 1, 2, 2),)), tmp_path, tmp_path / "text")
    third = start.start_model(recipe(start=str(second)))
    key = "prompt_encoder.text_projection.weight"
    assert torch.equal(third.state_dict()[key], load_model(second).state_dict()[key])
    old, new = load_model(first).state_dict(), start.start_model(recipe(start=str(first))).state_dict()
    assert all(torch.equal(new[name], value) for name, value in old.items()) and key in new


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ConfigError, match=r"text_tower: goes with prompting\.text"):
        recipe(text_tower="")
    with pytest.raises(ConfigError, match=r"no augmentation\.paste"):
        recipe(augmentation=Augmentation(paste=0.5))
    with pytest.raises(ConfigError, match="text from 0 to 1"):
        recipe(prompting=Prompting(text=2.0))


def test_a_model_without_text_refuses_a_vector(tmp_path):
    from anymask.task.prompts import Prompt

    predictor = SamPredictor(start.start_model(replace(recipe(), text_tower="", prompting=Prompting()), filled=False))
    predictor.set_image(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(PromptError, match="takes none"):
        predictor.predict_many([Prompt(text=np.ones(5))])
    save_model(predictor.model, tmp_path / "sam.safetensors")
    assert load_model(tmp_path / "sam.safetensors").config.text_width == 0
