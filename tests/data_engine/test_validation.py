"""Validation: the evaluation's own figures, the same objects at every step, and pages that show them."""

from __future__ import annotations

import json

import labelled_data as data
import numpy as np
import pytest
from reference import fill_with_noise

from anymask.data_engine.validation import Validator, ask
from anymask.dataset.formats import open_data
from anymask.dataset.sample import Object
from anymask.errors import DataError
from anymask.evaluation.boxes import Boxes
from anymask.evaluation.points import Points
from anymask.evaluation.protocol import LabelledImage
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import Prediction, SamPredictor


@pytest.fixture(scope="module")
def sam():
    model = Sam(MODELS["test_tiny_light"].config)
    fill_with_noise(model)
    return model.eval()


@pytest.fixture()
def samples(tmp_path):
    """Three images of noise with two objects each."""
    found = []
    rng = np.random.default_rng(0)
    for name in "abc":
        folder = tmp_path / name
        data.write_image(folder / f"{name}.png")
        data.Image.fromarray(rng.integers(0, 255, (data.HEIGHT, data.WIDTH, 3), np.uint8)).save(folder / f"{name}.png")
        found += open_data(data.write_json(folder / "labels.json", data.coco(file_name=f"{name}.png")), images=folder)
    return found


def shown(folder):
    """The objects of each validation in the history, by step."""
    return {each["step"]: list(each["ious"]) for each in json.loads((folder / "history.json").read_text())}


def test_figures_are_those_of_the_evaluation(sam, samples):
    found = Validator()(sam, samples, 10)
    predictor = SamPredictor(sam)
    images = [LabelledImage(s.name, s.image(), s.objects(), s.record) for s in samples]
    points = [row for image in images for row in Points(clicks=(1, 3)).evaluate(predictor, image)]
    boxes = [row for image in images for row in Boxes().evaluate(predictor, image)]
    expected = {f"{n} click{'s' * (n > 1)}": np.mean([row["iou"][str(n)] for row in points]) for n in (1, 3)}
    expected["box"] = np.mean([row["single"] for row in boxes])
    assert found == pytest.approx({**expected, "objects": 6})


class Whole:
    """Answers every prompt with the left half, and scores a mask of nothing higher where three are asked for."""

    def set_image(self, image):
        self.shape = image.shape[:2]

    def predict_many(self, prompts, multimask_output=None):
        half = np.zeros(self.shape, bool)
        half[:, : self.shape[1] // 2] = True
        masks = np.stack([half, half & False, half]) if multimask_output else half[None]
        scores = np.array([0.1, 0.9, 0.2], np.float32)[: len(masks)]
        return [Prediction(masks, scores, np.zeros((len(masks), 4, 4), np.float32)) for _ in prompts]


def test_a_click_gives_the_best_scored_mask_and_a_box_a_single_one():
    half = np.zeros((20, 30), bool)
    half[:, :15] = True
    ignored = np.zeros_like(half)
    ignored[:, 10:20] = True
    targets = [Object(1, half), Object(2, half[:, ::-1]), Object(3, ~ignored & half | ignored, ignore=ignored)]
    answers = ask(Whole(), LabelledImage("a", np.zeros((20, 30, 3), np.uint8), targets, {}))
    assert [answer["1 click"].iou for answer in answers] == [0, 0, 0]
    assert [answer["3 clicks"].iou for answer in answers] == [1, 0, 1]
    assert [answer["box"].iou for answer in answers] == [1, 0, 1]
    assert [len(answer["1 click"].prompt.points) for answer in answers] == [1, 1, 1]
    assert [len(answer["3 clicks"].prompt.points) for answer in answers] == [2, 3, 2], "a perfect mask gets no click"
    assert answers[1]["box"].prompt.box.tolist() == [15, 0, 30, 20]


def test_objects_are_the_same_at_every_step_and_within_the_limits(sam, samples, tmp_path):
    validator = Validator(tmp_path / "run", per_image=1, limit=2)
    assert validator(sam, samples, 1)["objects"] == validator(sam, samples, 2)["objects"] == 2
    first, second = shown(tmp_path / "run" / "examples").values()
    assert first == second and len({name.split(",")[0] for name in first}) == 2
    few = Validator(tmp_path / "few", shown=2)
    assert few(sam, samples, 1)["objects"] == 6
    assert len(shown(tmp_path / "few" / "examples")[1]) == 2


def test_no_objects_are_an_error(sam, tmp_path):
    data.write_image(tmp_path / "a.jpg")
    empty = {**data.coco(), "annotations": []}
    samples = open_data(data.write_json(tmp_path / "labels.json", empty), "coco", images=tmp_path)
    with pytest.raises(DataError, match="hold no masks"):
        Validator()(sam, samples, 1)
    with pytest.raises(DataError, match="hold no masks"):
        Validator()(sam, [], 1)


def test_a_step_that_is_done_again_replaces_what_came_after(sam, samples, tmp_path):
    validator = Validator(tmp_path)
    for step in (0, 50, 100, 50):
        validator(sam, samples, step)
    folder = tmp_path / "examples"
    assert list(shown(folder)) == [0, 50]
    index = (folder / "index.html").read_text()
    assert "step_000050.html" in index and "step_000100.html" not in index
    assert not (folder / "step_000100.html").exists()
