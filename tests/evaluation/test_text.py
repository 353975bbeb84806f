"""Text: the union of what is answered against the union of what is labelled, and silence where nothing is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.errors import DataError, ModelError
from anymask.evaluation.text import Text, TextAnswer
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import SamPredictor


class Reader:
    """Knows the answer to some texts: masks with their scores."""

    def __init__(self, **answers):
        self.answers, self.asked, self.images = answers, [], []

    def set_image(self, image):
        self.images.append(image)

    def predict_text(self, text):
        self.asked.append(text)
        masks, scores = self.answers.get(text, ([], []))
        shape = self.images[-1].shape[:2]
        return TextAnswer(np.array(masks, bool).reshape(-1, *shape), np.array(scores, np.float32))


def test_all_that_is_answered_against_all_that_is_labelled(block, labelled, figures):
    left, right = block(0, 10, 0, 10), block(0, 10, 20, 40)
    image = labelled([Object(1, left, "cup"), Object(2, right, "cup"), Object(3, left, "eel"), Object(4, left)])
    cups = ([block(0, 10, 0, 5), right, ~left], [0.9, 0.5, 0.4])  # the last is not sure enough
    reader = Reader(cup=cups, eel=([left], [0.49]))
    rows = Text().evaluate(reader, image)
    assert reader.asked == ["cup", "eel"] and len(reader.images) == 1
    assert [row["iou"] for row in rows] == [250 / 300, 0] and [row["silent"] for row in rows] == [False, True]
    assert [row["area"] for row in rows] == [300, 100]
    assert json.loads(json.dumps(rows)) == rows
    found = figures(Text(), reader, image)
    assert found["text, mean IoU"] == pytest.approx(5 / 12) and found["text, found"] == 0.5 and found["texts"] == 2
    assert found["text, mean IoU, category cup"] == pytest.approx(5 / 6)
    assert found["text, mean IoU, category eel"] == 0
    assert figures(Text(0.4), reader, image)["text, mean IoU, category eel"] == 1


def test_silence_is_right_where_a_category_is_known_to_be_absent(block, labelled, figures):
    cup = block(0, 10, 0, 10)
    image = labelled([Object(1, cup, "cup")], image={"neg_categories": ["eel", "cup", "fox"]})
    reader = Reader(cup=([cup], [1]), eel=([cup], [0.9]))
    found = figures(Text(), reader, image)
    assert reader.asked == ["cup", "eel", "fox"], "what is there is not asked about as absent"
    assert found["text, mean IoU"] == 1 and found["text, found"] == 1
    assert found["text, nothing answered where nothing is"] == 0.5 and found["texts"] == 3
    assert "text, nothing answered where nothing is" not in figures(Text(), reader, labelled([Object(1, cup, "cup")]))


def test_masks_without_a_pixel_are_silence(block, labelled):
    image = labelled([], image={"neg_categories": ["eel"]})
    [row] = Text().evaluate(Reader(eel=([block(0, 0, 0, 0)], [1])), image)
    assert row["silent"] is True


def test_labels_without_categories_are_no_score(block, labelled):
    reader = Reader()
    assert Text().evaluate(reader, labelled([block(0, 5, 0, 5)])) == [] and not reader.images
    with pytest.raises(DataError, match="name no categories"):
        list(Text().summarise([]))


def test_a_model_without_text_is_refused():
    predictor = SamPredictor(Sam(MODELS["test_tiny_light"].config))
    with pytest.raises(ModelError, match="--model test_tiny_light: takes no text prompts"):
        Text().subject(predictor)
    predictor.predict_text = lambda text: None
    assert Text().subject(predictor) is predictor
