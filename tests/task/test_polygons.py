"""Polygons of masks: the same mask comes back, parts and holes are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from anymask.task.polygons import joined, polygons


def drawn(mask):
    """The mask again, from its polygons, by pycocotools."""
    height, width = mask.shape
    again = np.zeros(mask.shape, int)
    for outer, holes in polygons(mask):
        for sign, rings in ((1, [outer]), (-1, holes)):
            for ring in rings:
                part = coco.frPyObjects([ring.astype(float).ravel().tolist()], height, width)[0]
                again += sign * coco.decode(part).astype(int)
    return again


def noise(density, shape=(23, 31), seed=0):
    return np.random.default_rng(seed).random(shape) < density


@pytest.mark.parametrize("density", [0.02, 0.3, 0.5, 0.7, 0.98])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_mask_comes_back(density, seed):
    mask = noise(density, seed=seed)
    assert np.array_equal(drawn(mask), mask)


@pytest.mark.parametrize("mask", [np.ones((1, 1), bool), np.ones((1, 5), bool), np.ones((6, 1), bool), np.eye(5) > 0])
def test_thin_and_full_masks(mask):
    assert np.array_equal(drawn(mask), mask)


def test_an_empty_mask_has_none():
    assert polygons(np.zeros((4, 5), bool)) == []


def test_a_frame_is_one_part_with_a_hole_that_holds_another():
    mask = np.ones((9, 9), bool)
    mask[1:-1, 1:-1] = False
    mask[3:6, 3:6] = True
    frame, inner = polygons(mask)
    assert frame.outer.tolist() == [[0, 0], [9, 0], [9, 9], [0, 9]]
    assert [hole.tolist() for hole in frame.holes] == [[[1, 1], [8, 1], [8, 8], [1, 8]]]
    assert inner.outer.tolist() == [[3, 3], [6, 3], [6, 6], [3, 6]] and not inner.holes


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_meets_in_a_corner_is_two_parts_and_holes_that_do_are_one_with_their_ring(mirrored):
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = mask[2:, 2:] = True
    mask = mask[:, ::-1] if mirrored else mask
    assert [len(part.outer) for part in polygons(mask)] == [4, 4]
    ring = np.ones((6, 6), bool)
    ring[1:-1, 1:-1] = ~mask
    assert np.array_equal(drawn(ring), ring)


def test_every_corner_turns():
    """No corner lies on a straight line, so that a polygon is no longer than it must be."""
    for outer, holes in polygons(noise(0.6)):
        for ring in (outer, *holes):
            sides = np.diff(ring, axis=0, append=ring[:1])
            assert ((sides == 0).sum(1) == 1).all()
            assert (sides[:, 0] != 0).tolist() == [i % 2 == 0 for i in range(len(ring))]


@pytest.mark.parametrize("density", [0.3, 0.5, 0.8])
def test_one_line_through_all_parts_and_holes_fills_the_same_pixels(density):
    mask = noise(density, seed=5)
    line = joined([ring for outer, holes in polygons(mask) for ring in (outer, *holes)])
    again = coco.decode(coco.frPyObjects([line.astype(float).ravel().tolist()], *mask.shape)[0])
    assert np.array_equal(again, mask)
