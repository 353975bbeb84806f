"""What is measured on runs is what is measured on pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anymask.errors import DataError
from anymask.task import rle
from anymask.task.measure import measure


def expected(mask):
    """Area, centre, and the area of the hull around all corners of all pixels."""
    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([x + i, y + j], axis=1) for i in (0, 1) for j in (0, 1)]).astype(np.int32)
    return len(x), (x.mean() + 0.5, y.mean() + 0.5), cv2.contourArea(cv2.convexHull(corners))


def random_masks():
    rng = np.random.default_rng(0)
    for number in range(120):
        height, width = rng.integers(1, 14, 2)
        mask = rng.random((height, width)) < (0.1, 0.5, 0.97)[number % 3]
        if mask.any():
            yield mask
    for shape in ((1, 1), (5, 1), (1, 5), (4, 7)):
        yield np.ones(shape, bool)
    over = np.zeros(48, bool)  # one run through four columns
    over[9:33] = True
    yield over.reshape(8, 6).T


def test_measures_are_those_of_the_pixels():
    for mask in random_masks():
        found = measure(rle.encode(mask))
        area, centre, hull = expected(mask)
        assert found.area == area and found.hull_area == hull
        np.testing.assert_allclose(found.centre, centre)


def test_concavity():
    block = np.zeros((20, 30), bool)
    block[5:15, 5:25] = True
    assert measure(rle.encode(block)).concavity == 0
    ring = block.copy()
    ring[7:13, 7:23] = False
    assert measure(rle.encode(ring)).concavity == pytest.approx(96 / 200)
    tiny = np.zeros((3, 3), bool)
    tiny[1, 1] = True
    assert measure(rle.encode(tiny)).concavity == 0


def test_an_empty_mask_has_no_centre():
    found = measure(rle.encode(np.zeros((4, 5), bool)))
    assert found.area == 0 and np.isnan(found.centre).all() and found.concavity == 0


def test_what_is_no_mask():
    with pytest.raises(DataError, match="is not RLE"):
        measure({"size": [3, 4]})
