"""Zoom: where the crop lies, that prompts and logits land where they belong, and that edges are finer for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from anymask import load_model
from anymask.errors import ConfigError, NoImageError
from anymask.predict.predictor import SamPredictor
from anymask.predict.zoom import LEAST_GAIN, Crop, Zoom
from anymask.task.metrics import boundary_iou, iou
from anymask.task.prompts import Prompt


@pytest.fixture(scope="module")
def nano():
    return load_model("nano")


def drawn(shape: str = "star", side: int = 1600, reach: int = 110, middle=(1210, 380)):
    """A small spiky shape in a large image, with its mask."""
    angles = np.linspace(0, 2 * np.pi, 33)[:-1]
    lengths = reach * np.where(np.arange(32) % 2, 0.72, 1.0)
    points = [(middle[0] + r * np.cos(a), middle[1] + r * np.sin(a)) for a, r in zip(angles, lengths, strict=True)]
    mask = Image.new("1", (side, side * 3 // 4))
    ImageDraw.Draw(mask).polygon(points, fill=1)
    truth = np.array(mask)
    noise = np.random.default_rng(0).normal(0, 6, (*truth.shape, 3))
    pixels = np.where(truth[..., None], [190, 60, 50], [90, 130, 100]) + noise
    return np.clip(pixels, 0, 255).astype(np.uint8), truth


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((100, 200, 300, 280), Crop(60, 160, 341, 321)),
        ((0, 0, 10, 10), Crop(0, 0, 38, 38)),
        ((0, 0, 900, 700), None),
    ],
)
def test_the_crop_has_a_margin_and_stays_inside(nano, box, expected):
    pixels = np.zeros((700, 1000, 3), np.uint8)
    mask = np.zeros((700, 1000), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    found = Zoom(SamPredictor(nano).runtime, pixels).crop(mask)
    assert found == expected
    assert found is None or found.longer * LEAST_GAIN <= 1000


def test_an_empty_mask_has_no_crop(nano):
    zoom = Zoom(SamPredictor(nano).runtime, np.zeros((70, 100, 3), np.uint8))
    assert zoom.crop(np.zeros((70, 100), bool)) is None


def test_logits_survive_the_way_into_a_crop_and_back(nano):
    zoom = Zoom(SamPredictor(nano).runtime, np.zeros((600, 900, 3), np.uint8))
    y, x = np.mgrid[:256, :256]
    logits = (30 - np.hypot(x - 120, y - 90)).astype(np.float32)
    crop = Crop(231, 150, 640, 501)
    inside = zoom._in_crop(logits, crop)
    centre = np.unravel_index(inside.argmax(), inside.shape)
    scale = 256 / 409
    assert centre == pytest.approx(((90.5 * 900 / 256 - 150) * scale, (120.5 * 900 / 256 - 231) * scale), abs=2)
    back = zoom._in_image(inside, np.full((256, 256), -99, np.float32), crop)
    rows, columns = slice(44, 140), slice(67, 180)  # cells that lie in the crop as a whole
    np.testing.assert_allclose(back[rows, columns], logits[rows, columns], atol=0.6)
    assert back[:40].max() == -99 and back[:, 185:].max() == -99


def test_edges_of_a_small_object_get_finer(nano):
    pixels, truth = drawn()
    prompt = Prompt([[1210, 380]], [1])
    plain, zoom = SamPredictor(nano), SamPredictor(nano, refine="zoom")
    found = []
    for predictor in (plain, zoom):
        predictor.set_image(pixels)
        prediction = predictor.predict_many([prompt])[0]
        best = prediction.scores.argmax()
        found.append((prediction.masks[best], prediction.logits[best], prediction.scores))
    np.testing.assert_array_equal(found[0][2], found[1][2])
    coarse, fine = (boundary_iou(mask, truth, 0.002) for mask, _, _ in found)
    assert fine > coarse + 0.1
    low = zoom.frame.masks_to_original(torch.from_numpy(found[1][1])[None, None])[0, 0].numpy() > 0
    assert iou(low, found[1][0]) > 0.9, "the logits are those of the finer mask, for the next prompt"
    masks, scores, _ = zoom.predict([[1210, 380]], [1])
    np.testing.assert_array_equal(masks[scores.argmax()], found[1][0])


def test_an_object_as_large_as_the_image_is_left_as_it_is(nano):
    pixels, _ = drawn(side=400, reach=140, middle=(200, 150))
    answers = []
    for refine in ("none", "zoom"):
        predictor = SamPredictor(nano, refine=refine)
        predictor.set_image(pixels)
        answers.append(predictor.predict_many([Prompt(box=[40, 5, 360, 295])])[0])
    np.testing.assert_array_equal(answers[0].masks, answers[1].masks)
    np.testing.assert_array_equal(answers[0].logits, answers[1].logits)


def test_a_box_beside_the_mask_is_no_error(nano):
    """What a model answers may lie outside the box that it was asked by."""
    pixels, truth = drawn()
    zoom = Zoom(SamPredictor(nano).runtime, pixels)
    logits = SamPredictor(nano).model.frame(*truth.shape).mask_to_logits(truth, 256)
    found = zoom.refine(Prompt(box=[10, 900, 200, 1100]), truth, logits)
    assert iou(found.mask, truth) > 0.5


def test_zoom_needs_the_image_and_a_known_name(nano):
    with pytest.raises(ConfigError, match="refine 'zom' is not known"):
        SamPredictor(nano, refine="zom")
    predictor = SamPredictor(nano, refine="zoom")
    predictor.set_image(np.zeros((60, 60, 3), np.uint8))
    predictor.set_embedding(predictor.embedding)
    with pytest.raises(NoImageError, match="needs the image itself"):
        predictor.predict([[30, 30]], [1])
