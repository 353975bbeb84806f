"""Edge maps of pictures and masks whose edges are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anymask.errors import DataError
from anymask.evaluation import edge_detectors
from anymask.evaluation.edge_detectors import canny, mask_edges, sobel, suppress_non_maxima

SHAPE = (60, 80)


def disc_logits(x: float, y: float, radius: float, steepness: float = 1.0) -> np.ndarray:
    """Logits of a disc, 0 on its rim, falling off by `steepness` a pixel."""
    rows, columns = np.indices(SHAPE)
    return (steepness * (radius - np.hypot(columns - x, rows - y))).astype(np.float32)


@pytest.fixture(scope="module")
def halves():
    """A picture that is dark on the left, bright from column 40 on, with a weak step down at row 30 on the right."""
    image = np.full((*SHAPE, 3), 40, np.uint8)
    image[:, 40:] = 220
    image[30:, 40:] = 180
    return image


@pytest.mark.parametrize("detector", [canny, sobel])
def test_detectors_find_the_step_where_it_is_and_weigh_it_by_its_height(detector, halves):
    edges = detector(halves)
    assert edges.dtype == np.float32 and edges.shape == SHAPE
    assert edges.min() == 0 and edges.max() == pytest.approx(1)
    assert (edges[5:25, 38:42].max(axis=1) > 0.9).all()
    assert (edges[5:25, :35] == 0).all() and (edges[40:55, 46:] == 0).all()
    weak = edges[28:32, 55:75].max(axis=0)
    assert ((weak > 0) & (weak < 0.5)).all()


@pytest.mark.parametrize("detector", [canny, sobel])
def test_detectors_give_thin_lines(detector, halves):
    edges = detector(halves)
    assert ((edges[5:25] > 0).sum(axis=1) <= 2).all()  # a step between two pixels may mark both


@pytest.mark.parametrize("detector", [canny, sobel])
def test_a_picture_of_one_colour_has_no_edges(detector):
    assert not detector(np.full((*SHAPE, 3), (10, 200, 90), np.uint8)).any()


def test_hysteresis_gives_the_highest_threshold_that_a_pixel_survives():
    """A weak tail hangs on a strong edge; an equally weak edge stands alone."""
    ridges = np.zeros(SHAPE, np.float32)
    ridges[10, 10:20], ridges[10, 20:30], ridges[40, 20:30] = 1, 0.3, 0.3
    soft = edge_detectors._hysteresis(ridges)
    assert (soft[10, 10:20] == 1).all()
    assert soft[10, 20:30] == pytest.approx(0.75)  # 0.4 × 0.75 = 0.3
    assert soft[40, 20:30] == pytest.approx(0.3)
    assert not soft[ridges == 0].any()


def test_suppression_thins_a_thick_line_to_its_middle():
    for angle in (0, 30, 45, 90, 120):
        thick = np.zeros(SHAPE, np.float32)
        way = 40 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        first, last = ((np.array([40, 30]) + sign * way).round().astype(int).tolist() for sign in (-1, 1))
        cv2.line(thick, first, last, 1, 5)
        thick = cv2.GaussianBlur(thick, (0, 0), 2)
        edges = suppress_non_maxima(thick)
        assert edges.max() == pytest.approx(1) and edges.min() == 0
        rows, columns = np.nonzero(edges[15:45, 20:60] > 0.5)
        off = np.abs((columns + 20 - 40) * way[1] - (rows + 15 - 30) * way[0]) / 40
        assert len(rows) and off.max() <= 1.1
        assert len(rows) < 2 * 60


def test_suppression_fades_towards_the_image_edge():
    edge_map = np.zeros(SHAPE, np.float32)
    edge_map[30] = 1
    edges = suppress_non_maxima(edge_map, border=5)
    assert edges[30, 0] == 0 and edges[30, 2] == pytest.approx(0.4, abs=0.05) and edges[30, 40] == pytest.approx(1)
    assert suppress_non_maxima(edge_map, border=0)[30, 0] == pytest.approx(1)


def test_an_empty_map_stays_empty():
    assert not suppress_non_maxima(np.zeros(SHAPE, np.float32)).any()


def test_mask_edges_lie_on_the_outline():
    edges = mask_edges([disc_logits(40, 30, 15)], SHAPE)
    assert edges.dtype == np.float32 and edges.max() == pytest.approx(1) and edges.min() == 0
    rows, columns = np.nonzero(edges)
    assert np.abs(np.hypot(columns - 40, rows - 30) - 15).max() < 4
    thinned = suppress_non_maxima(edges)
    rows, columns = np.nonzero(thinned > 0.3)
    radius = np.hypot(columns - 40, rows - 30)
    assert np.abs(radius - 15).max() < 2
    angles = np.unique(np.degrees(np.arctan2(rows - 30, columns - 40)) % 360 // 15)
    assert len(angles) == 24  # all around


def test_doubt_away_from_the_outline_is_left_out():
    """The probability also falls inside the mask, from sure to nearly in doubt, with no outline there."""
    logits = np.full(SHAPE, -8, np.float32)
    logits[10:50, 10:70] = 8
    logits[25:35, 30:50] = 0.5
    edges = mask_edges([logits], SHAPE)
    assert edges[10, 40] > 0.9
    assert not edges[20:40, 20:60].any()


def test_of_several_masks_the_largest_value_counts_however_they_come():
    sure, vague = disc_logits(20, 30, 10, steepness=4), disc_logits(60, 30, 10, steepness=0.4)
    both = mask_edges(iter([sure, vague]), SHAPE)
    assert np.array_equal(both, mask_edges(np.stack([vague, sure]), SHAPE))
    assert both[:, :38].max() == pytest.approx(1)
    assert 0 < both[:, 42:].max() < 0.5
    assert np.allclose(both[:, :38], mask_edges([sure], SHAPE)[:, :38])


def test_masks_without_an_outline_give_no_edges():
    none, everything = np.full(SHAPE, -5, np.float32), np.full(SHAPE, 5, np.float32)
    for masks in ([], [none], [everything]):
        edges = mask_edges(masks, SHAPE)
        assert edges.shape == SHAPE and not edges.any()


def test_extreme_logits_do_not_overflow():
    assert np.isfinite(mask_edges([1e6 * disc_logits(40, 30, 15)], SHAPE)).all()


def test_a_mask_of_another_size_is_named():
    with pytest.raises(DataError, match=r"mask 1: expected logits of 60×80, got shape \(60, 81\)"):
        mask_edges([disc_logits(40, 30, 5), np.zeros((60, 81), np.float32)], SHAPE)
