"""Text: the best mask against what is labelled so, alone and with a click, and silence where nothing is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.errors import ConfigError, DataError
from anymask.evaluation.text import Text
from anymask.predict.text import Instances


class Reader:
    """Knows the answer to some texts, masks with their scores, and to a click the mask that is clicked for."""

    def __init__(self, clicked=None, **answers):
        self.answers, self.clicked, self.asked, self.clicks, self.images = answers, clicked, [], [], []

    def set_image(self, image):
        self.images.append(image)

    def predict_text(self, text, point_coords=None, point_labels=None, *, threshold, most):
        masks, scores = self.answers.get(text, ([], []))
        if point_coords is None:
            self.asked.append(text)
        else:
            self.clicks.append((text, *point_coords[0], *point_labels))
            masks, scores = ([self.clicked], [1]) if self.clicked is not None else (masks, scores)
        masks = np.array(masks, bool).reshape(-1, *self.images[-1].shape[:2])
        chosen = np.array(scores, np.float32) >= threshold
        nothing = np.zeros((int(chosen.sum()), 4), np.int64)
        scores = np.array(scores, np.float32)[chosen]
        return Instances(masks[chosen][:most], scores[:most], nothing, nothing, scores)


def test_the_best_mask_and_all_sure_ones(block, labelled, figures):
    left, right = block(0, 10, 0, 10), block(0, 10, 20, 40)
    image = labelled([Object(1, left, "cup"), Object(2, right, "cup"), Object(3, left, "eel"), Object(4, left)])
    cups = ([block(0, 10, 0, 5), right, ~left], [0.9, 0.5, 0.4])  # the last is not sure enough
    reader = Reader(cup=cups, eel=([left], [0.49]))
    rows = Text().evaluate(reader, image)
    assert reader.asked == ["cup", "eel"] and len(reader.images) == 1
    assert [row["best"] for row in rows] == [0.5, 1], "the best mask against the object that it fits best"
    assert [row["iou"] for row in rows] == [250 / 300, 0] and [row["silent"] for row in rows] == [False, True]
    assert [row["area"] for row in rows] == [300, 100]
    assert json.loads(json.dumps(rows)) == rows
    found = figures(Text(), reader, image)
    assert found["text, best-scored mask, mean IoU"] == 0.75
    assert found["text, all sure masks, mean IoU"] == pytest.approx(5 / 12) and found["text, found"] == 0.5
    assert found["text, best-scored mask, mean IoU, category cup"] == 0.5
    assert figures(Text(0.4), reader, image)["text, found"] == 1


def test_a_click_is_added_in_the_middle_of_each_object_and_in_the_largest_error(block, labelled, figures):
    left, right = block(2, 11, 2, 11), block(2, 11, 20, 29)
    image = labelled([Object(1, left, "cup"), Object(2, right, "cup")])
    reader = Reader(clicked=left, cup=([block(2, 11, 2, 5)], [0.9]))
    found = figures(Text(), reader, image)
    assert [click[1:] for click in reader.clicks[:2]] == [(6.5, 6.5, 1), (24.5, 6.5, 1)]
    text, x, y, label = reader.clicks[2]
    assert text == "cup" and label == 1 and 5 < x < 11 and 2 < y < 11, "what the best mask lacks of its object"
    assert found["text and 1 click, mean IoU"] == 0.5, "one of the two is what was clicked for"
    assert found["text, then 1 click in the largest error, mean IoU"] == 1


def test_silence_is_right_where_a_category_is_not_there(block, labelled, figures):
    cup = block(0, 10, 0, 10)
    image = labelled([Object(1, cup, "cup")], image={"neg_categories": ["eel", "cup", "fox"]})
    reader = Reader(cup=([cup], [1]), eel=([cup], [0.9]))
    found = figures(Text(), reader, image)
    assert reader.asked == ["cup", "eel", "fox"], "what is there is not asked about as absent"
    assert found["not there, precision"] == 1 and found["not there, recall"] == 0.5
    assert found["not there, F1"] == pytest.approx(2 / 3) and found["texts"] == 3
    silent = figures(Text(), Reader(eel=([cup], [0.9])), image)
    assert silent["not there, precision"] == 0.5 and silent["not there, recall"] == 0.5
    assert "not there, F1" not in figures(Text(), reader, labelled([Object(1, cup, "cup")]))


def test_absent_names_are_drawn_as_many_as_there_are_and_the_same_each_time(block, labelled):
    image = labelled([Object(1, block(0, 10, 0, 10), "cup"), Object(2, block(0, 10, 20, 30), "eel")])
    asked = []
    for _ in range(2):
        reader = Reader()
        Text(vocabulary=("cup", "eel", "ant", "bee", "cow", "dog")).evaluate(reader, image)
        asked.append(reader.asked)
    assert asked[0] == asked[1] and asked[0][:2] == ["cup", "eel"] and len(asked[0]) == 4
    assert set(asked[0][2:]) < {"ant", "bee", "cow", "dog"}
    other = Reader()
    Text(vocabulary=("cup", "ant", "bee", "cow", "dog")).evaluate(other, labelled(image.objects, "other"))
    assert other.asked[2:] != asked[0][2:], "another image has others"


def test_masks_without_a_pixel_are_silence(block, labelled):
    image = labelled([], image={"neg_categories": ["eel"]})
    [row] = Text().evaluate(Reader(eel=([block(0, 0, 0, 0)], [1])), image)
    assert row["silent"] is True


def test_labels_without_categories_are_no_score(block, labelled):
    reader = Reader()
    assert Text().evaluate(reader, labelled([block(0, 5, 0, 5)])) == [] and not reader.images
    with pytest.raises(DataError, match="name no categories"):
        list(Text().summarise([]))
    with pytest.raises(ConfigError, match="threshold: expected 0 to 1"):
        Text(1.5)
