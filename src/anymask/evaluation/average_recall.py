"""AR@N, the recall of class-agnostic object proposals, averaged over IoU thresholds (§7.3, D.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from ..errors import DataError
from ..task import rle
from ..task.rle import RLE

LIMITS = (1, 10, 100, 1000)
"""how many proposals per image count"""

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU at which a mask counts as found"""

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 10**10)}
"""COCO's ranges of area, in pixels; both ends belong to a range, so that an area of 32² is small and medium"""

FREQUENCIES = {"f": "frequent", "c": "common", "r": "rare"}
"""LVIS's letters for how many training images show a category: over 100, 11 to 100, at most 10"""


def match(ious: NDArray[np.float64], thresholds: NDArray[np.float64] = THRESHOLDS) -> NDArray[np.float64]:
    """The rank, from 0, of the proposal that finds each of G masks at each of T thresholds: T×G, infinity for none.

    `ious` is P×G, with a row for each proposal, best first. As in COCOeval each proposal in turn takes, of the masks
    that are still free and that it overlaps enough, the one that it overlaps most, and the last of equals. Those that
    follow change nothing of that, so the first N proposals find the masks whose rank is below N.
    """
    needed = np.minimum(thresholds, 1 - 1e-10)[:, None]
    ranks = np.full((len(thresholds), ious.shape[1]), np.inf)
    for rank in np.flatnonzero((ious >= needed.min()).any(axis=1)):
        fits = (ious[rank] >= needed) & np.isinf(ranks)  # T×G
        overlaps = np.where(fits, ious[rank], -1)
        best = overlaps.shape[1] - 1 - overlaps[:, ::-1].argmax(axis=1)
        found = np.flatnonzero(fits.any(axis=1))
        ranks[found, best[found]] = rank
    return ranks


def recall_rows(
    proposals: Sequence[RLE],
    truths: Sequence[RLE],
    areas: Sequence[float] | None = None,
    frequencies: Sequence[str] | None = None,
    limits: Sequence[int] = LIMITS,
) -> list[dict[str, float]]:
    """For each ground-truth mask of an image, the share of thresholds at which it is found by the proposals.

    A row has `AR@N` for each of `limits`, and for the highest `AR@N small`, `AR@N frequent` and so on, each where the
    mask belongs to that subset. A subset is matched by itself, as D.3 says of the categories. That equals COCOeval's
    way, which keeps the others but ignores them: a proposal turns to those only where it fits none of the subset.
    Crowd regions are likewise to be left out.

    Args:
        proposals: best first.
        truths: of the objects.
        areas: of the truths in pixels, as annotated, for COCO and LVIS give that of the polygon; else the masks' own.
        frequencies: for each truth a letter of `FREQUENCIES`; None where the data set has no such.
        limits: how many proposals count, ascending.

    Raises DataError for masks of different sizes and unknown letters.
    """
    ious = _ious(proposals[: limits[-1]], truths)
    rows: list[dict[str, float]] = [{} for _ in truths]
    ranks = match(ious)
    for limit in limits:
        for row, share in zip(rows, (ranks < limit).mean(axis=0), strict=True):
            row[f"AR@{limit}"] = float(share)
    areas = [rle.area(truth) for truth in truths] if areas is None else areas
    for subset, members in _subsets(areas, frequencies).items():
        shares = (match(ious[:, members]) < limits[-1]).mean(axis=0)
        for member, share in zip(members, shares, strict=True):
            rows[member][f"AR@{limits[-1]} {subset}"] = float(share)
    return rows


def summarise(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """AR@N over the masks of all images, then by size and frequency where there are any.

    What else a row tells is passed over. Raises DataError for no masks.
    """
    if not rows:
        raise DataError("the data hold no masks to score; expected at least one that is not empty")
    order = {subset: place for place, subset in enumerate([*SIZES, *FREQUENCIES.values()], start=1)}
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("AR@"))
    for name in sorted(names, key=lambda name: order.get(name.split()[-1], 0)):
        yield name, float(np.mean([row[name] for row in rows if name in row]))
    yield "objects", float(len(rows))


def _ious(proposals: Sequence[RLE], truths: Sequence[RLE]) -> NDArray[np.float64]:
    """IoU of each proposal with each ground-truth mask: P×G."""
    if not proposals or not truths:
        return np.zeros((len(proposals), len(truths)))
    size = list(truths[0]["size"])
    for kind, masks in (("proposal", proposals), ("ground-truth mask", truths)):
        for index, mask in enumerate(masks):
            if list(mask["size"]) != size:
                raise DataError(
                    f"{kind} {index} has size {list(mask['size'])}, the first ground-truth mask {size}; "
                    "expected masks of one image"
                )
    return np.asarray(coco.iou(list(proposals), list(truths), [0] * len(truths)), np.float64)


def _subsets(areas: Sequence[float], frequencies: Sequence[str] | None) -> dict[str, NDArray[np.int64]]:
    """Indices of the masks in each range of area and of each frequency."""
    each = np.asarray(areas, np.float64)
    subsets = {size: np.flatnonzero((each >= low) & (each <= high)) for size, (low, high) in SIZES.items()}
    if frequencies is not None:
        unknown = set(frequencies) - set(FREQUENCIES)
        if unknown:
            raise DataError(
                f"unknown category frequency {min(map(repr, unknown))}; expected 'f', 'c' or 'r', as in LVIS"
            )
        letters = np.array(list(frequencies), dtype=str)
        subsets |= {name: np.flatnonzero(letters == letter) for letter, name in FREQUENCIES.items()}
    return subsets
