"""How sure a mean is: bootstrap intervals over images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def mean_interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval (low, high) of the mean of `values`.

    Values of one cluster, such as the objects of one image, are drawn together, for they are alike; without clusters
    each value stands for itself. A single cluster gives an interval of no width. Raises ValueError for no values.
    """
    if not len(values):
        raise ValueError("no values to take the mean of")
    numbers = np.asarray(values, np.float64)
    groups = range(len(numbers)) if clusters is None else clusters
    _, index = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    sums, sizes = np.bincount(index, numbers), np.bincount(index)
    rng, even = np.random.default_rng(seed), np.full(len(sums), 1 / len(sums))
    drawn = (rng.multinomial(len(sums), even) for _ in range(draws))  # one by one, for there may be many clusters
    means = [times @ sums / (times @ sizes) for times in drawn]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
