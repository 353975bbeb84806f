"""The benchmark of BSDS500: predicted boundary pixels matched one-to-one with people's, over all thresholds (§7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

TOLERANCE = 0.0075
"""how far apart matched pixels may be, as a part of the image's diagonal"""
THRESHOLDS = 99
"""cut-offs at which an edge map is scored, evenly inside 0..1"""
TINY = np.finfo(np.float64).eps
"""keeps ratios of nothing at 0"""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EdgeCounts:
    """Counts of boundary pixels at K thresholds; each K long."""

    thresholds: Floats
    """cut-offs of the edge map, ascending"""
    matched_human: Ints
    """people's pixels that were found, summed over the annotators"""
    human: Ints
    """people's pixels, summed over the annotators"""
    matched_predicted: Ints
    """predicted pixels that match at least one annotator"""
    predicted: Ints
    """predicted pixels"""

    def to_row(self) -> dict[str, Any]:
        """The counts as lists, JSON-ready."""
        return {each.name: getattr(self, each.name).tolist() for each in fields(self)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EdgeCounts:
        """The counts of a row that may hold other keys as well."""
        return cls(*(np.array(row[each.name]) for each in fields(cls)))

    @property
    def recall(self) -> Floats:
        """Part of people's pixels that was found, K; 0 where there are none."""
        return self.matched_human / np.maximum(self.human, TINY)

    @property
    def precision(self) -> Floats:
        """Part of the predicted pixels that match anyone, K; 0 where there are none."""
        return self.matched_predicted / np.maximum(self.predicted, TINY)


@dataclass(frozen=True)
class EdgeScores:
    """The scores of a set of images."""

    ods: float
    """best F where one threshold serves all images"""
    ods_threshold: float
    """that threshold, between two of the counts where F is better there"""
    ods_recall: float
    """recall at it"""
    ods_precision: float
    """precision at it"""
    ois: float
    """F where each image has its own best threshold"""
    average_precision: float
    """area under precision over recall; recall beyond the curve counts as precision 0, a curve of one point as none"""
    recall_at_50: float
    """recall at a precision of 50 %; 0 where that is not reached, and the largest recall where all are over it"""
    curve: EdgeCounts
    """counts of all images together, for the curve of precision over recall"""


def thin(edges: Bools) -> Bools:
    """Thin H×W edges to lines of one pixel, as Matlab's `bwmorph(edges, 'thin', inf)`."""
    from skimage import morphology

    return np.asarray(morphology.thin(edges), bool)


def match(predicted: Bools, human: Bools, tolerance: float = TOLERANCE) -> tuple[Bools, Bools]:
    """Match H×W predicted boundary pixels one-to-one with one person's.

    As many pixels are matched as can be, and near ones before far ones; the official code seeks the smallest sum of
    distances among the largest matchings, which this comes close to.

    Returns:
        The predicted pixels that have a partner, and the human ones: both H×W.
    """
    boundary = _Boundary(human, tolerance)
    partners = boundary.match(boundary.padded(predicted).ravel())
    found = partners >= 0
    matched_predicted = np.zeros(boundary.shape, bool)
    matched_predicted.ravel()[partners[found]] = True
    matched_human = np.zeros(boundary.shape, bool)
    matched_human.ravel()[boundary.pixels[found]] = True
    return boundary.cropped(matched_predicted), boundary.cropped(matched_human)


def edge_counts(
    edge_map: NDArray[Any], humans: Bools, thresholds: int = THRESHOLDS, tolerance: float = TOLERANCE
) -> EdgeCounts:
    """Score an H×W edge map of 0..1 against the A×H×W boundaries that A people drew in the image.

    At each of K thresholds k / (K + 1), the pixels from it on are thinned and matched with each person apart.
    Raises DataError where the map is not of the people's size or not within 0..1.
    """
    edge_map = np.asarray(edge_map)
    humans = np.asarray(humans, bool)
    if humans.ndim != 3 or not len(humans) or edge_map.shape != humans.shape[1:]:
        raise DataError(f"edge map of shape {edge_map.shape}: expected H×W as the A×H×W boundaries, {humans.shape}")
    if not (edge_map.min(initial=0) >= 0 and edge_map.max(initial=0) <= 1):
        raise DataError(f"edge map: expected values in 0..1, got {edge_map.min()} to {edge_map.max()}")
    levels = np.arange(1, thresholds + 1) / (thresholds + 1)
    boundaries = [_Boundary(human, tolerance) for human in humans]
    rows: list[tuple[int, int, int]] = []
    last = -1
    for level in levels.tolist():  # as plain numbers, which take the precision of the map
        edges = edge_map >= level
        if np.count_nonzero(edges) != last:  # sets over rising thresholds are nested: an equal count is an equal set
            last = int(np.count_nonzero(edges))
            row = _count(thin(edges), boundaries)
        rows.append(row)
    matched_human, matched_predicted, predicted = np.array(rows, np.int64).T
    human = np.full(thresholds, np.count_nonzero(humans))
    return EdgeCounts(levels, matched_human, human, matched_predicted, predicted)


def human_counts(humans: Bools, tolerance: float = TOLERANCE) -> EdgeCounts:
    """Score each of A people's boundaries, A×H×W, against those of the others; summed, at a single threshold."""
    humans = np.asarray(humans, bool)
    if len(humans) < 2:
        raise DataError(f"boundaries of shape {humans.shape}: expected A×H×W of two people or more, to hold one out")
    return _sum([edge_counts(one, np.delete(humans, i, axis=0), 1, tolerance) for i, one in enumerate(humans)])


def edge_row(image: str, edge_map: NDArray[Any], humans: Bools) -> list[dict[str, Any]]:
    """The row of an image, as `edge_counts` gives it; made here, where no model need be loaded."""
    return [{"image": image, **edge_counts(edge_map, humans).to_row()}]


def person_row(image: str, humans: Bools) -> list[dict[str, Any]]:
    """The same for people held out, as `human_counts` gives them."""
    return [{"image": image, **human_counts(humans).to_row()}]


def summarise(counts: Sequence[EdgeCounts]) -> EdgeScores:
    """The scores of a set of images from the counts of each, all at the same thresholds."""
    if not counts:
        raise DataError("edges: no image was scored; expected the counts of at least one")
    total = _sum(counts)
    ods, recall, precision, threshold = _best_between(total)
    own = _sum([_best_threshold(image) for image in counts])
    return EdgeScores(
        ods=ods,
        ods_threshold=threshold,
        ods_recall=recall,
        ods_precision=precision,
        ois=float(f_measure(own.recall, own.precision)[0]),
        average_precision=_average_precision(total),
        recall_at_50=_recall_at(total, 0.5),
        curve=total,
    )


def f_measure(recall: Floats, precision: Floats) -> Floats:
    """Harmonic mean of recall and precision; 0 where both are."""
    return np.asarray(2 * precision * recall / np.maximum(precision + recall, TINY))


class _Boundary:
    """One person's boundary in an image, ready to be matched with many predictions.

    Pixels are places in the flattened image with a margin of the tolerance all around it, so that no neighbour lies
    outside.
    """

    def __init__(self, human: Bools, tolerance: float) -> None:
        reach = tolerance * float(np.hypot(*human.shape))
        self.margin = int(reach)
        steps = np.arange(-self.margin, self.margin + 1)
        dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
        distance = np.hypot(dy, dx)
        near = np.flatnonzero(distance <= reach)
        near = near[np.argsort(distance[near], kind="stable")]
        padded = self.padded(human)
        self.shape = padded.shape
        self.pixels = np.flatnonzero(padded)  # the N pixels of the boundary
        self.distance = distance[near]  # of D neighbours, nearest first
        self.neighbours = self.pixels + (dy * self.shape[1] + dx)[near, None]  # D×N

    def padded(self, pixels: Bools) -> Bools:
        return np.pad(np.asarray(pixels, bool), self.margin)

    def cropped(self, pixels: Bools) -> Bools:
        return pixels[self.margin : self.shape[0] - self.margin, self.margin : self.shape[1] - self.margin]

    def match(self, predicted: Bools) -> Ints:
        """The predicted pixel that each of the N boundary pixels is matched with, -1 for none."""
        return self._augment(self._match_nearest(predicted), predicted)

    def _match_nearest(self, predicted: Bools) -> Ints:
        """Match greedily: all pairs at distance 0, then those at 1, and so on.

        Pairs of one offset share no pixel, so that they can be matched at once.
        """
        free = predicted.copy()
        partners = np.full(len(self.pixels), -1)
        left = np.flatnonzero(predicted[self.neighbours].any(axis=0))
        for neighbours in self.neighbours:
            there = neighbours[left]
            found = free[there]
            partners[left[found]] = there[found]
            free[there[found]] = False
            left = left[~found]
        return partners

    def _augment(self, partners: Ints, predicted: Bools) -> Ints:
        """Turn a matching into a largest one, along shortest augmenting paths: all that are disjoint at once."""
        humans, nearness = np.nonzero(predicted[self.neighbours].T)
        pixels = self.neighbours[nearness, humans]  # of E pairs within reach; a person's pixel's nearest first
        owner = np.full(predicted.size, -1)
        while True:
            matched = np.flatnonzero(partners >= 0)
            owner[partners[matched]] = matched
            owners = owner[pixels]
            free = np.flatnonzero(owners < 0)
            ends, first = np.unique(humans[free], return_index=True)
            starts = np.unique(humans[partners[humans] < 0])
            if not (len(starts) and len(ends)):
                return partners
            taken = owners >= 0
            trees = _Forest(humans[taken], owners[taken], starts, len(partners))
            chosen = trees.one_each(ends, pixels[free[first]])
            if not len(chosen):
                return partners
            path, gained = ends[chosen], pixels[free[first[chosen]]]
            while len(path):
                partners[path], gained = gained, partners[path]
                path = trees.parents[path]
                onward = path != trees.root
                path, gained = path[onward], gained[onward]


class _Forest:
    """Shortest paths from several sources to the other nodes of a directed graph: a tree from each source."""

    def __init__(self, tails: Ints, heads: Ints, sources: Ints, nodes: int) -> None:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import breadth_first_order

        self.root = nodes  # one more node, from which all sources are a step away
        heads = np.concatenate([heads, sources])
        starts = np.concatenate([[0], np.cumsum(np.bincount(tails, minlength=nodes)), [len(heads)]])
        graph = csr_matrix((np.ones(len(heads)), heads, starts), (nodes + 1, nodes + 1))
        order, parents = breadth_first_order(graph, nodes)
        self.parents = parents.astype(np.int64)
        self.rank = np.full(nodes + 1, -1)
        self.rank[order] = np.arange(len(order))

    def one_each(self, ends: Ints, goals: Ints) -> Ints:
        """Of nodes with a goal each, the nearest in each tree, no goal twice: indices."""
        reached = np.flatnonzero(self.rank[ends] >= 0)
        reached = reached[np.argsort(self.rank[ends[reached]])]
        sources = ends[reached]
        while (below := self.parents[sources] != self.root).any():
            sources[below] = self.parents[sources[below]]
        reached = reached[np.unique(sources, return_index=True)[1]]
        return reached[np.unique(goals[reached], return_index=True)[1]]


def _count(edges: Bools, boundaries: Sequence[_Boundary]) -> tuple[int, int, int]:
    """Of H×W thin edges: people's pixels found, predicted pixels that match anyone, predicted pixels."""
    predicted = boundaries[0].padded(edges).ravel()
    matched_human, matched_by_any = 0, np.zeros(predicted.shape, bool)
    for boundary in boundaries:
        partners = boundary.match(predicted)
        partners = partners[partners >= 0]
        matched_human += len(partners)
        matched_by_any[partners] = True
    return matched_human, int(np.count_nonzero(matched_by_any)), int(np.count_nonzero(edges))


def _sum(counts: Sequence[EdgeCounts]) -> EdgeCounts:
    """The counts of several images together. Raises DataError where their thresholds differ."""
    thresholds = counts[0].thresholds
    if not all(np.array_equal(one.thresholds, thresholds) for one in counts):
        raise DataError("edges: the counts of the images are at different thresholds; score them all anew")
    names = ("matched_human", "human", "matched_predicted", "predicted")
    return EdgeCounts(thresholds, *(np.sum([getattr(one, name) for one in counts], axis=0) for name in names))


def _best_threshold(counts: EdgeCounts) -> EdgeCounts:
    """The counts at an image's best threshold alone; it is called 0, so that those of several images can be summed."""
    k = [int(f_measure(counts.recall, counts.precision).argmax())]
    return EdgeCounts(
        np.zeros(1), counts.matched_human[k], counts.human[k], counts.matched_predicted[k], counts.predicted[k]
    )


def _best_between(counts: EdgeCounts) -> tuple[float, float, float, float]:
    """The best F, and its recall, precision and threshold, with 100 steps laid between each two thresholds."""
    part = np.linspace(0, 1, 100)
    curves = (counts.recall, counts.precision, counts.thresholds)
    if len(counts.thresholds) > 1:
        recall, precision, threshold = ((c[:-1, None] * (1 - part) + c[1:, None] * part).ravel() for c in curves)
    else:
        recall, precision, threshold = curves
    f = f_measure(recall, precision)
    best = int(f.argmax())
    return float(f[best]), float(recall[best]), float(precision[best]), float(threshold[best])


def _average_precision(counts: EdgeCounts) -> float:
    """Mean precision at 0, 0.01, … 1 recall, where what is not reached counts 0; the official sum is over 100."""
    recall, first = np.unique(counts.recall, return_index=True)
    if len(recall) < 2:
        return 0.0
    steps = np.linspace(0, 1, 101)
    return float(np.interp(steps, recall, counts.precision[first], left=0, right=0).sum() / 100)


def _recall_at(counts: EdgeCounts, precision: float) -> float:
    """Recall at a precision, interpolated between thresholds; at the least precision where all are over it."""
    precisions, first = np.unique(counts.precision, return_index=True)
    return float(np.interp(precision, precisions, counts.recall[first], right=0))
