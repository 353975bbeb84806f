"""Fixations in streams of gaze: their times, their places, noise, blinks, drift, and how late they are told of."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.errors import ConfigError, DataError
from anymask.task.gaze import Fixation, FixationDetector, GazeSample, fixations

RATE = 60.0


def recording(rests, noise=3.0, seed=0, drift=0.0):
    """Samples at 60 Hz of rests (x, y, seconds), with a saccade of two samples between them."""
    rng = np.random.default_rng(seed)
    samples, time, last = [], 0.0, None
    for x, y, seconds in rests:
        if last is not None:
            for part in (0.35, 0.8):
                samples.append(GazeSample(time, last[0] + part * (x - last[0]), last[1] + part * (y - last[1])))
                time += 1 / RATE
        start = time
        for _ in range(round(seconds * RATE)):
            dx, dy = rng.normal(0, noise, 2)
            moved = drift * (time - start)
            samples.append(GazeSample(time, x + dx + moved, y + dy))
            time += 1 / RATE
        last = (x, y)
    return samples


RESTS = [(100, 80, 0.4), (400, 300, 0.3), (120, 330, 0.6), (600, 60, 0.25)]


def test_every_rest_is_one_fixation_where_and_when_it_was():
    found = list(fixations(recording(RESTS), FixationDetector(40)))
    assert len(found) == len(RESTS)
    for fixation, (x, y, seconds) in zip(found, RESTS, strict=True):
        assert np.hypot(fixation.x - x, fixation.y - y) < 4
        assert fixation.end - fixation.start == pytest.approx(seconds, abs=2.5 / RATE)
        assert fixation.over


def test_a_fixation_is_told_of_as_soon_as_it_is_long_enough():
    detector = FixationDetector(40, duration=0.1)
    told = [(sample.time, event) for sample in recording(RESTS) if (event := detector.add(sample))]
    begun = [(time, event) for time, event in told if not event.over]
    ended = [(time, event) for time, event in told if event.over]
    assert len(begun) == len(RESTS) and len(ended) == len(RESTS) - 1
    for time, event in begun:
        assert 0.1 - 1e-9 <= time - event.start <= 0.1 + 1 / RATE + 1e-9
    for time, event in ended:
        assert time - event.end <= 2 / RATE + 1e-9
    assert detector.finish().over and detector.finish() is None


def test_a_short_blink_is_bridged_and_a_long_one_ends_the_fixation():
    samples = recording([(200, 200, 1.0)])
    for count, expected in ((3, 1), (12, 2)):
        blinked = [s._replace(valid=not 20 <= i < 20 + count, x=float("nan")) if 20 <= i < 20 + count else s
                   for i, s in enumerate(samples)]  # fmt: skip
        assert len(list(fixations(blinked, FixationDetector(40)))) == expected


def test_samples_that_are_missing_count_as_a_blink():
    samples = recording([(200, 200, 1.0)])
    assert len(list(fixations(samples[:25] + samples[40:], FixationDetector(40)))) == 2


def test_a_single_stray_sample_is_noise():
    samples = recording([(200, 200, 0.6)])
    samples[15] = samples[15]._replace(x=700.0)
    (found,) = fixations(samples, FixationDetector(40))
    assert abs(found.x - 200) < 3


def test_a_fixation_moves_along_with_a_slow_drift_and_a_fast_one_splits_it():
    slow = list(fixations(recording([(200, 200, 5.0)], noise=2, drift=12), FixationDetector(40)))
    assert len(slow) == 1
    assert slow[0].x > 245, "the centre is that of the last second"
    assert len(list(fixations(recording([(200, 200, 1.0)], drift=200), FixationDetector(40)))) > 2


def test_no_more_samples_are_kept_than_the_window_holds():
    detector = FixationDetector(40, window=0.5)
    for sample in recording([(200, 200, 20.0)]):
        detector.add(sample)
    assert len(detector._samples) <= 0.5 * RATE + 2


def test_a_gaze_that_never_rests_has_no_fixation():
    samples = [GazeSample(i / RATE, 30.0 * i, 0.0) for i in range(60)]
    assert list(fixations(samples, FixationDetector(40))) == []
    assert list(fixations([], FixationDetector(40))) == []


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([(0.0, 1, 1), (0.0, 1, 1)], "times must rise"),
        ([(0.1, 1, 1), (0.0, 1, 1)], "times must rise"),
        ([(float("nan"), 1, 1)], "times must rise"),
        ([(0.0, float("nan"), 1)], "mark it as not valid"),
    ],
)
def test_samples_that_are_none_are_refused(samples, message):
    detector = FixationDetector(40)
    with pytest.raises(DataError, match=message):
        for sample in samples:
            detector.add(GazeSample(*sample))


@pytest.mark.parametrize("settings", [(0,), (float("nan"),), (40, -1), (40, 0.1, 0), (40, 0.5, 0.1, 0.2)])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="gaze: "):
        FixationDetector(*settings)


def test_a_fixation_is_over_unless_it_says_otherwise():
    assert Fixation(0, 1, 2, 3).over
