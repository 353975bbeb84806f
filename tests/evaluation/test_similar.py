"""Similar: of the masks most like each, how many are of its category."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.dataset.sample import Object
from anymask.errors import DataError
from anymask.evaluation.similar import Similar


class Looker:
    """Sees in a mask a vector that is told by its left edge."""

    def __init__(self, shown):
        self.shown, self.finder = shown, self

    def set_image(self, image):
        pass

    def describe(self, masks):
        return np.array([self.shown[int(np.flatnonzero(mask.any(axis=0))[0])] for mask in masks], np.float32)


def test_precision_is_that_of_the_nearest_in_other_images(block, labelled, figures):
    shown = {0: [1, 0], 10: [0.9, 0.1], 20: [0, 1], 30: [0.8, 0.2]}
    first = labelled([Object(1, block(0, 5, 0, 5), "cup"), Object(2, block(0, 5, 30, 35), "cup")], "first")
    second = labelled([Object(1, block(0, 5, 10, 15), "cup"), Object(2, block(0, 5, 20, 25), "eel")], "second")
    found = figures(Similar(1), Looker(shown), first, second)
    assert found["objects"] == 3, "the eel has no other"
    assert found["precision@1"] == 1, "objects of the same image do not count"
    assert found["precision@1 by chance"] == pytest.approx((1 / 2 + 1 / 2 + 2 / 2) / 3)
    wrong = {**shown, 10: [0, 1], 20: [1, 0]}
    assert figures(Similar(1), Looker(wrong), first, second)["precision@1"] == pytest.approx(1 / 3)


def test_what_cannot_be_asked_is_told(block, labelled):
    with pytest.raises(DataError, match="name no categories"):
        list(Similar().summarise(Similar().evaluate(Looker({}), labelled([block(0, 5, 0, 5)]))))
    rows = Similar().evaluate(Looker({0: [1, 0]}), labelled([Object(1, block(0, 5, 0, 5), "cup")]))
    with pytest.raises(DataError, match="no two images have an object of one category"):
        list(Similar().summarise(rows))
