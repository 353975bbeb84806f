"""Times the edge matching of BSDS500 beside the plain way: pairs from a k-d tree, then SciPy's bipartite matching.

    python benchmarks/edge_matching.py DATA/bsds500_test --images 4

Prints the seconds an image of both, on one core, with Sobel's edges at all 99 thresholds and all annotators, and the
ratio. The counts of both are compared as well: they may not differ.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from anymask.dataset.formats import open_data
from anymask.evaluation.edge_detectors import sobel
from anymask.evaluation.edge_matching import THRESHOLDS, TOLERANCE, edge_counts, thin
from anymask.task import rle


def plain_counts(edge_map: np.ndarray, people: np.ndarray) -> np.ndarray:
    """At each threshold, how many of people's pixels are matched."""
    reach = TOLERANCE * np.hypot(*edge_map.shape)
    matched = []
    for threshold in np.arange(1, THRESHOLDS + 1) / (THRESHOLDS + 1):
        predicted = cKDTree(np.argwhere(thin(edge_map >= threshold)).reshape(-1, 2))
        total = 0
        for human in people:
            pixels = np.argwhere(human)
            near = predicted.query_ball_point(pixels, reach) if predicted.n else [[]] * len(pixels)
            starts = np.cumsum([0, *map(len, near)])
            columns = np.concatenate([np.array(each, int) for each in near])
            graph = csr_matrix((np.ones(len(columns)), columns, starts), (len(pixels), predicted.n))
            total += int((maximum_bipartite_matching(graph, "column") >= 0).sum())
        matched.append(total)
    return np.array(matched)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of BSDS500")
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args()
    seconds = np.zeros(2)
    samples = open_data(arguments.data)[: arguments.images]
    for sample in samples:
        people = np.stack([rle.decode(each) for each in sample.record["boundaries"]])
        edges = sobel(sample.image())
        started = time.perf_counter()
        ours = edge_counts(edges, people)
        halfway = time.perf_counter()
        plain = plain_counts(edges, people)
        seconds += halfway - started, time.perf_counter() - halfway
        if not np.array_equal(ours.matched_human, plain):
            raise SystemExit(f"{sample.name}: the counts differ")
    ours_each, plain_each = seconds / len(samples)
    print(f"anymask {ours_each:.2f} s an image, plain {plain_each:.2f} s: {plain_each / ours_each:.1f} times as fast")
    print(f"200 images in 2 processes: about {ours_each * 100 / 60:.1f} minutes")


if __name__ == "__main__":
    main()
