"""Text prompts: all that a text names, with clicks and boxes or without, from what a detector says of each cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anymask.errors import CheckpointError, NoImageError, PromptError
from anymask.model.text.detector import DetectorConfig, Maps, TextDetector
from anymask.model.text.weights import load_detector, save_detector
from anymask.model.weights import load_model
from anymask.predict.labels import label_masks
from anymask.predict.predictor import SamPredictor
from anymask.predict.text import TextFinder
from anymask.task.metrics import iou

WORDS = {"disc": 0, "square": 1, "dog": 2}
STAGES = ((1, 4, 1, 1, 3), (2, 4, 1, 2, 3), (2, 6, 1, 2, 5), (2, 6, 1, 2, 3), (2, 8, 1, 2, 3))
SMALL = DetectorConfig("toy", word_width=4, size=256, stem=4, stages=STAGES, width=8, mixers=(1, 1))


def disc(x, y, radius, side=256):
    rows, columns = np.mgrid[:side, :side]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


THINGS = {"left": disc(64, 64, 30), "right": disc(190, 70, 36), "low": disc(90, 190, 28)}


@pytest.fixture(scope="module")
def image():
    pixels = np.full((256, 256, 3), 40, np.uint8)
    for mask, colour in zip(THINGS.values(), [(230, 60, 60), (60, 220, 60), (70, 90, 240)], strict=True):
        pixels[mask] = colour
    return pixels


class Told(TextDetector):
    """A detector that says what it is told: the surest cell of a thing is its middle."""

    def __init__(self, scores):
        super().__init__(SMALL)
        self.told = scores
        self.looked = 0

    def forward(self, pixels):
        self.looked += 1
        side = SMALL.size // 16
        concepts = torch.zeros(1, 2, 4, side, side)
        boxes = torch.tensor([0.0, 0, 1, 1])[:, None, None].repeat(1, 2, 1, side, side).reshape(1, 2, 4, side, side)
        concepts[:, :, 3] = 1
        for name, (word, score) in self.told.items():
            mask = THINGS[name]
            ys, xs = np.nonzero(mask)
            box = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
            for y in range(side):
                for x in range(side):
                    cover = mask[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16].mean()
                    if cover > 0.5:
                        middle = np.hypot(x * 16 + 8 - xs.mean(), y * 16 + 8 - ys.mean())
                        concepts[0, :, :, y, x] = 0
                        concepts[0, :, WORDS[word], y, x] = score - middle / 1000
                        boxes[0, :, :, y, x] = box
        return Maps(concepts, boxes, torch.full((1, 2, side, side), 20.0))

    def scores(self, maps, phrases):
        return torch.einsum("bkdhw,nd->bnkhw", maps.concepts, phrases)


@pytest.fixture()
def predictor(image, monkeypatch):
    def phrases(self, texts):
        return torch.eye(4)[[WORDS[text] for text in texts]]

    monkeypatch.setattr(TextFinder, "phrases", phrases)
    detector = Told({"left": ("disc", 0.9), "right": ("disc", 0.7), "low": ("square", 0.8)})
    made = SamPredictor(load_model("nano"), text_model=detector)
    made.set_image(image)
    return made


def names(found):
    """Which things the masks are of, in order."""
    return [max(THINGS, key=lambda name: iou(mask, THINGS[name])) for mask in found.masks]


def test_all_things_of_a_name_are_found_each_once_and_no_others(predictor):
    found = predictor.predict_text("disc")
    assert sorted(names(found)) == ["left", "right"]
    assert all(max(iou(mask, thing) for thing in THINGS.values()) > 0.85 for mask in found.masks)
    assert found.scores.max() == pytest.approx(0.9, abs=0.02) and found.scores.min() == pytest.approx(0.7, abs=0.02)
    worth = found.scores * found.ious
    assert (np.diff(worth) <= 0).all(), "best first"
    assert names(predictor.predict_text("square")) == ["low"]


def test_what_is_not_there_gives_nothing_and_threshold_0_gives_the_likeliest(predictor):
    none = predictor.predict_text("dog")
    assert none.masks.shape == (0, 256, 256) and not len(none.scores) and none.boxes.shape == (0, 4)
    assert sorted(names(predictor.predict_text("disc", threshold=0.8))) == ["left"]
    assert len(predictor.predict_text("disc", threshold=0, most=1).masks) == 1


def test_a_box_says_where_to_look(predictor):
    assert names(predictor.predict_text("disc", box=[130, 10, 250, 130])) == ["right"]
    assert not len(predictor.predict_text("disc", box=[40, 150, 140, 240]).masks), "what is there is a square"


def test_a_click_says_which_and_who_clicks_is_right(predictor):
    assert names(predictor.predict_text("disc", [[190, 70]], [1])) == ["right"]
    [score] = predictor.predict_text("disc", [[180, 60], [200, 80]], [1, 1]).scores
    assert score > 0.3
    other = predictor.predict_text("disc", [[85, 185], [95, 195]], [1, 1])
    assert names(other) == ["low"] and other.scores[0] < 0.1, "and the score says that it is no disc"


def test_a_click_on_background_takes_away_what_it_lies_on(predictor):
    assert names(predictor.predict_text("disc", [[64, 64]], [0])) == ["right"]
    assert sorted(names(predictor.predict_text("disc", [[128, 240]], [0]))) == ["left", "right"]


def test_the_image_is_looked_at_once_and_anew_for_another(predictor, image):
    detector = predictor.finder.detector
    for text in ("disc", "dog", "square"):
        predictor.predict_text(text)
    assert detector.looked == 1
    predictor.set_image(image[:, ::-1].copy())
    predictor.predict_text("disc")
    assert detector.looked == 2
    predictor.reset_image()
    with pytest.raises(NoImageError):
        predictor.predict_text("disc")


def test_an_embedding_alone_is_not_enough(predictor):
    embedding = predictor.embedding
    predictor.set_embedding(embedding)
    with pytest.raises(NoImageError, match="text needs the image itself"):
        predictor.predict_text("disc")


def test_clicks_off_the_image_and_without_labels_are_refused(predictor):
    with pytest.raises(PromptError, match="outside the image"):
        predictor.predict_text("disc", [[300, 10]], [1])
    with pytest.raises(PromptError, match="one label for each point"):
        predictor.predict_text("disc", [[30, 10]])


def test_masks_get_the_likeliest_name_or_none(predictor):
    masks = np.stack([THINGS["left"], THINGS["low"], disc(230, 230, 20), THINGS["left"] & (np.arange(256) < 45)])
    found = label_masks(predictor.finder, masks, ["disc", "square"], 0.6)
    assert [label.name for label in found] == ["disc", "square", None, None], "a part of a disc is no disc"
    assert found[0].score == pytest.approx(0.9, abs=0.05)
    assert label_masks(predictor.finder, masks[:0], ["disc"]) == []
    with pytest.raises(PromptError, match="labels: none are given"):
        label_masks(predictor.finder, masks, [])


def test_what_a_mask_shows_is_what_its_cells_show(predictor):
    shown = predictor.finder.describe(np.stack(list(THINGS.values())))
    assert np.allclose(np.linalg.norm(shown, axis=1), 1, atol=1e-5)
    assert shown[0] @ shown[1] > 0.95 and shown[0] @ shown[2] < 0.3


def test_a_detector_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    detector = TextDetector(SMALL).eval()
    save_detector(detector, tmp_path / "own.safetensors", {"about": "toy"})
    read = load_detector(tmp_path / "own.safetensors")
    assert read.config == SMALL
    pixels = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        for made, again in zip(detector(pixels), read(pixels), strict=True):
            assert torch.allclose(made, again, rtol=0.02, atol=0.3), "to half precision"
    with pytest.raises(CheckpointError, match="is no text detector's"):
        from anymask.model.checkpoint import save_model

        save_model(load_model("nano"), tmp_path / "sam.safetensors")
        load_detector(tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match="nowhere"):
        load_detector(tmp_path / "nowhere.safetensors")
