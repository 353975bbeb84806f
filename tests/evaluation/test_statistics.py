"""Bootstrap intervals: how often they hold the truth, and that alike objects count as little as they tell."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.evaluation.statistics import mean_interval


def width(interval):
    return interval[1] - interval[0]


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_interval_holds_the_true_mean_as_often_as_it_says(draw):
    rng = np.random.default_rng(1)
    samples = getattr(rng, draw)(1.0, size=(400, 60))
    intervals = [mean_interval(sample.tolist(), draws=400) for sample in samples]
    held = np.mean([low <= 1 <= high for low, high in intervals])
    assert 0.9 < held < 0.98, "95 % but for what a percentile interval of 60 values lacks"


def test_a_lower_level_holds_it_less_often():
    rng = np.random.default_rng(2)
    samples = rng.normal(1.0, size=(400, 60))
    held = np.mean([low <= 1 <= high for low, high in (mean_interval(s, level=0.5, draws=400) for s in samples)])
    assert 0.42 < held < 0.56


def test_the_width_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(size=500)
    expected = 2 * 1.96 * values.std() / np.sqrt(500)
    assert width(mean_interval(values)) == pytest.approx(expected, rel=0.05)


def test_objects_of_one_image_are_drawn_together():
    """Nine objects that are all alike tell no more than one; drawn apart they would seem to tell nine times as much."""
    rng = np.random.default_rng(0)
    one_each = rng.random(80)
    nine_each = np.repeat(one_each, 9)
    images = np.repeat(np.arange(80), 9)
    apart, together, single = mean_interval(nine_each), mean_interval(nine_each, images), mean_interval(one_each)
    assert width(together) == pytest.approx(width(single), rel=0.05)
    assert width(apart) == pytest.approx(width(single) / 3, rel=0.1)


def test_clustered_intervals_hold_the_mean_where_those_of_single_values_do_not():
    rng = np.random.default_rng(3)
    held = {True: 0, False: 0}
    for _ in range(120):
        values = (rng.normal(size=(50, 1)) + 0.3 * rng.normal(size=(50, 8))).ravel()
        for clustered in held:
            clusters = np.repeat(np.arange(50), 8).tolist() if clustered else None
            low, high = mean_interval(values, clusters, draws=300)
            held[clustered] += low <= 0 <= high
    assert held[True] > 105 and held[False] < 84, "of 120"


def test_the_mean_is_over_objects_whatever_the_size_of_their_image():
    """Of two images one has nine objects: drawn twice, both or neither gives the means 1, .9 and 0."""
    interval = mean_interval([1.0] * 9 + [0.0], ["a"] * 9 + ["b"])
    assert interval == (0, 1)
    low, high = mean_interval([1.0] * 9 + [0.0], ["a"] * 9 + ["b"], level=0.2)
    assert low == high == pytest.approx(0.9)


def test_the_same_values_give_the_same_interval_in_any_order():
    rng = np.random.default_rng(0)
    values, images = rng.random(200), rng.integers(0, 30, 200)
    order = rng.permutation(200)
    interval = mean_interval(values, images.tolist())
    assert interval == mean_interval(values, images.tolist())
    assert mean_interval(values[order], images[order].tolist()) == pytest.approx(interval, abs=1e-12)
    assert mean_interval(values, images.tolist(), seed=1) != interval
    low, high = interval
    assert low < values.mean() < high and isinstance(low, float)


def test_a_single_cluster_or_value_gives_no_width():
    assert mean_interval([0.25, 0.75], ["a", "a"]) == (0.5, 0.5)
    assert mean_interval([0.25]) == (0.25, 0.25)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
