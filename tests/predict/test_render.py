"""The pictures: the cut-out's alpha, the order of labels, and an overlay that shows the object."""

from __future__ import annotations

import numpy as np

from anymask.predict.render import cutout, label_map, overlay, palette
from anymask.task.prompts import Prompt

IMAGE = np.full((60, 80, 3), (200, 120, 40), np.uint8)


def square(y0, y1, x0, x1):
    mask = np.zeros((60, 80), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_cutout_is_cropped_to_the_object_with_a_soft_edge():
    cut = cutout(IMAGE, square(20, 40, 30, 60))
    assert cut.shape[2] == 4
    assert 20 <= cut.shape[0] <= 26 and 30 <= cut.shape[1] <= 36
    assert cut[cut.shape[0] // 2, cut.shape[1] // 2].tolist() == [200, 120, 40, 255]
    assert len(np.unique(cut[..., 3])) > 2


def test_the_cutout_of_an_empty_mask_is_one_clear_pixel():
    assert cutout(IMAGE, np.zeros((60, 80), bool)).tolist() == [[[0, 0, 0, 0]]]


def test_small_masks_show_over_large_ones_in_the_label_map():
    labels = label_map([square(25, 30, 35, 40), square(10, 50, 10, 70)], (60, 80))
    assert labels[27, 37] == 1 and labels[12, 12] == 2 and labels[0, 0] == 0


def test_one_mask_keeps_its_colours_and_the_ground_goes_dim():
    shown = overlay(IMAGE, [square(20, 40, 30, 60)], Prompt([[45, 30]]))
    assert shown[25, 35].tolist() == [200, 120, 40]
    assert shown[5, 5].max() < 120
    assert shown[30, 45].tolist() != [200, 120, 40], "the click is drawn"


def test_many_masks_have_a_colour_each_and_leave_the_image_alone():
    before = IMAGE.copy()
    shown = overlay(IMAGE, [square(5, 20, 5, 20), square(30, 50, 30, 50)])
    assert shown[12, 12].tolist() != shown[40, 40].tolist()
    assert shown[2, 70].tolist() == [200, 120, 40]
    np.testing.assert_array_equal(IMAGE, before)
    assert len(set(palette(60))) == 60


def test_names_are_written_on_the_masks_that_have_one():
    image = np.full((80, 120, 3), 90, np.uint8)
    masks = np.zeros((2, 80, 120), bool)
    masks[0, 10:70, 5:55], masks[1, 10:70, 65:115] = True, True
    plain, named = overlay(image, masks), overlay(image, masks, names=["car", None])
    changed = (plain != named).any(axis=2)
    assert changed[:, :60].any() and not changed[:, 60:].any()
    assert (overlay(image, masks[:1] & False, names=["car"]) == overlay(image, masks[:1] & False)).all()
    assert overlay(image, masks, names=["a name that is much wider than the picture", "дом"]).shape == image.shape
