"""Gaze as a prompt: a stream of samples of where somebody looks, and the fixations in it (I-DT; §7.1, D.1)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ConfigError, DataError


class GazeSample(NamedTuple):
    """Where an eye tracker says somebody looks: a time in seconds, x and y in original pixels.

    `valid` is false where the tracker lost the eye, as in a blink; x and y count for nothing then.
    """

    time: float
    x: float
    y: float
    valid: bool = True


@dataclass(frozen=True)
class Fixation:
    """A rest of the gaze: from `start` to `end`, in seconds, around x and y, in original pixels.

    A fixation is told of twice: when it has lasted long enough to be one, with `over` false, and when it has ended.
    """

    start: float
    end: float
    x: float
    y: float
    over: bool = True


class FixationDetector:
    """Finds fixations by their dispersion (I-DT, Salvucci & Goldberg 2000) while the samples come in.

    A fixation is told of with the sample that makes it long enough, so no later than `duration` after its start and a
    sample more; and its end no later than `gap` after it. No more than `window` seconds of samples are kept: a gaze
    that drifts slowly, as trackers do, stays one fixation, which moves along.

    Args:
        dispersion: most that x and y of a fixation's samples spread, widths and heights added, in original pixels.
        duration: least length of a fixation, in seconds.
        gap: longest time without a valid sample within a fixation, in seconds; a blink is longer.
        window: seconds over which a fixation's dispersion and centre are taken.

    Raises ConfigError for settings out of range.
    """

    def __init__(self, dispersion: float, duration: float = 0.1, gap: float = 0.075, window: float = 1.0) -> None:
        for name, value in (("dispersion", dispersion), ("duration", duration), ("gap", gap), ("window", window)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"gaze: {name} {value:g}: expected a number above 0")
        if window < duration:
            raise ConfigError(f"gaze: window {window:g} is shorter than duration {duration:g}; expected at least that")
        self.dispersion, self.duration, self.gap, self.window = dispersion, duration, gap, window
        self._samples: deque[GazeSample] = deque()
        self._start: float | None = None  # of the fixation that goes on
        self._stray: GazeSample | None = None
        self._time = -math.inf

    def add(self, sample: GazeSample) -> Fixation | None:
        """Take the next sample; a fixation where this one confirms or ends it.

        Raises DataError for a time that is not after the last, and for a valid sample without numbers.
        """
        self._check(sample)
        self._time = sample.time
        lost = bool(self._samples) and sample.time - self._samples[-1].time > self.gap
        ended = self._end() if lost else None
        if not sample.valid:
            return ended
        return self._follow(sample) or ended  # after an end the first sample is not yet a fixation

    def finish(self) -> Fixation | None:
        """Say that no more samples come; the fixation that this ends, if there is one."""
        return self._end()

    def _check(self, sample: GazeSample) -> None:
        if not math.isfinite(sample.time) or sample.time <= self._time:
            raise DataError(f"gaze: a sample at {sample.time:g} s after one at {self._time:g} s; times must rise")
        if sample.valid and not (math.isfinite(sample.x) and math.isfinite(sample.y)):
            raise DataError(f"gaze: the sample at {sample.time:g} s has no x and y; mark it as not valid")

    def _follow(self, sample: GazeSample) -> Fixation | None:
        """Go on with the fixation, or look for the next."""
        if self._start is None:
            self._samples.append(sample)
            while _spread(self._samples) > self.dispersion:
                self._samples.popleft()
            if sample.time - self._samples[0].time < self.duration:
                return None
            self._start = self._samples[0].time
            return self._fixation(self._start, over=False)
        if _spread([*self._samples, sample]) <= self.dispersion:
            self._stray = None
            self._samples.append(sample)
            while self._samples[0].time < sample.time - self.window:
                self._samples.popleft()
            return None
        if self._stray is None:  # one sample alone is noise
            self._stray = sample
            return None
        stray, ended = self._stray, self._end()
        self._samples.extend([stray, sample])
        while _spread(self._samples) > self.dispersion:
            self._samples.popleft()
        return ended

    def _end(self) -> Fixation | None:
        ended = None if self._start is None else self._fixation(self._start, over=True)
        self._start = self._stray = None
        self._samples.clear()
        return ended

    def _fixation(self, start: float, over: bool) -> Fixation:
        count = len(self._samples)
        x, y = sum(s.x for s in self._samples) / count, sum(s.y for s in self._samples) / count
        return Fixation(start, self._samples[-1].time, x, y, over)


def fixations(samples: Iterable[GazeSample], detector: FixationDetector) -> Iterator[Fixation]:
    """All fixations of a recording, each once, when it is over."""
    for sample in samples:
        found = detector.add(sample)
        if found and found.over:
            yield found
    last = detector.finish()
    if last:
        yield last


def _spread(samples: Iterable[GazeSample]) -> float:
    xs, ys = [s.x for s in samples], [s.y for s in samples]
    return max(xs) - min(xs) + max(ys) - min(ys)
