"""Gaze to masks: what is looked at in a photo, soon after it is looked at, through noise, blinks and drift."""

from __future__ import annotations

import numpy as np
import pytest

from anymask.errors import ConfigError, NoImageError
from anymask.model.weights import load_model
from anymask.predict.gaze import GazeTracker
from anymask.predict.predictor import SamPredictor
from anymask.task.metrics import iou

RATE = 60
"""samples a second"""
PLACES = [(60, 60), (190, 70), (90, 190)]


def disc(x, y, radius=28, side=256):
    rows, columns = np.mgrid[:side, :side]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


@pytest.fixture(scope="module")
def predictor():
    image = np.full((256, 256, 3), 40, np.uint8)
    for place, colour in zip(PLACES, [(230, 60, 60), (60, 220, 60), (70, 90, 240)], strict=True):
        image[disc(*place)] = colour
    made = SamPredictor(load_model("nano"))
    made.set_image(image)
    return made


def recording(seconds=0.5, blink=True):
    """A gaze that rests on each place in turn, with a tracker's noise, a drift, and a blink in the second rest."""
    rng = np.random.default_rng(0)
    samples, time = [], 0.0
    for number, (x, y) in enumerate(PLACES):
        for k in range(int(seconds * RATE)):
            lost = blink and number == 1 and 10 <= k < 13
            noise, drift = rng.normal(0, 1.0, 2), k / RATE * 3
            samples.append((time, x + noise[0] + drift, y + noise[1], not lost))
            time += 1 / RATE
        for share in (0.3, 0.7):  # two samples of the leap to the next
            nx, ny = PLACES[(number + 1) % 3]
            samples.append((time, x + share * (nx - x), y + share * (ny - y), True))
            time += 1 / RATE
    return samples


def run(predictor, samples, **settings):
    tracker = GazeTracker(predictor, **settings)
    told = [(sample[0], tracker.add(*sample)) for sample in samples]
    return [(time, found) for time, found in [*told, (samples[-1][0], tracker.finish())] if found is not None]


def test_each_rest_of_the_gaze_is_a_mask_of_what_is_there(predictor):
    found = [mask for _, mask in run(predictor, recording()) if mask.fixation.over]
    assert len(found) == 3
    for mask, place in zip(found, PLACES, strict=True):
        assert iou(mask.mask, disc(*place)) > 0.6 and mask.mask.shape == (256, 256)
        assert np.hypot(*(mask.prompt.points[0] - place)) < 5


def test_a_mask_comes_soon_after_the_gaze_has_come_to_rest(predictor):
    """No later than the least duration, the leap's samples and one more, whatever comes after."""
    starts = [0.0, 32 / RATE, 64 / RATE]
    first = {}
    for time, mask in run(predictor, recording(), duration=0.1):
        nearest = min(range(3), key=lambda i: np.hypot(*(mask.prompt.points[0] - PLACES[i])))
        first.setdefault(nearest, time)
    assert set(first) == {0, 1, 2}
    assert all(first[i] - starts[i] <= 0.1 + 3 / RATE for i in range(3)), first


def test_a_sample_costs_no_decode_unless_it_ends_or_confirms_a_fixation(predictor, monkeypatch):
    calls = []
    plain = predictor.predict
    monkeypatch.setattr(predictor, "predict", lambda *given: calls.append(1) or plain(*given))
    run(predictor, recording())
    assert len(calls) == 6, "two for each of three fixations, of some hundred samples"


def test_a_gaze_off_the_image_gives_no_mask(predictor):
    samples = [(k / RATE, 400.0, 50.0, True) for k in range(30)]
    assert run(predictor, samples) == []


def test_a_restless_gaze_gives_none_and_a_wide_dispersion_takes_it(predictor):
    rng = np.random.default_rng(0)
    samples = [(k / RATE, *(np.array([60, 60]) + rng.uniform(-20, 20, 2)), True) for k in range(60)]
    assert run(predictor, samples, dispersion=10) == []
    assert [mask for _, mask in run(predictor, samples, dispersion=100) if mask.fixation.over]


def test_without_an_image_or_with_settings_that_are_none_it_does_not_begin(predictor):
    with pytest.raises(NoImageError):
        GazeTracker(SamPredictor(predictor.model))
    with pytest.raises(ConfigError, match="dispersion -1: expected a number above 0"):
        GazeTracker(predictor, dispersion=-1)
