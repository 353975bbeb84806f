"""BSDS500's groundTruth: a .mat an image, in which several people each divided the whole of it into segments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from .label_map import Labels
from .mat import read_mat
from .pairs import Pair, Pairing
from .records import check_size, reading

EXPECTED = "BSDS500's groundTruth, a cell of structs with Segmentation and Boundaries"


def open_bsds(path: str | Path, images: str | Path | None = None, *, annotator: int | None = None) -> list[Sample]:
    """The samples of a folder of groundTruth and a folder of images, which may be the same, or have like subfolders.

    Each segment is an annotation with the number of its `annotator`, from 0; the record's `boundaries` has one
    RLE an annotator, in order. With `annotator` only that person's are read. Raises DataError where a file has no
    image; one that holds something else raises it when read.
    """
    pairs = Pairing(".mat").pairs(Path(path), Path(images or path))
    return [Sample(pair.mask, pair.name, partial(_read, pair, annotator), pair.image) for pair in pairs]


def _read(pair: Pair, annotator: int | None) -> Record:
    content = read_mat(pair.mask)
    with reading(str(pair.mask), EXPECTED):
        people = list(enumerate(np.atleast_1d(content["groundTruth"])))
    if annotator is not None:
        people = people[annotator : annotator + 1]
        if not people:
            raise DataError(f"{pair.mask}: has no annotator {annotator}; name another, from 0, or leave it out")
    annotations: list[Record] = []
    boundaries = []
    for number, person in people:
        where = f"{pair.mask}: annotator {number}"
        segments, boundary = _maps(person, where)
        height, width = check_size(pair.mask, segments.shape, pair.image)
        for record in Labels(ignored=()).annotations(segments):
            annotations.append({**record, "id": len(annotations) + 1, "annotator": number})
        boundaries.append(rle.encode(boundary))
    image = {"image_id": pair.name, "file_name": pair.image.name, "width": width, "height": height}
    return {"image": image, "annotations": annotations, "boundaries": boundaries}


def _maps(person: Any, where: str) -> tuple[Any, Any]:
    """Someone's H×W segments and boundaries."""
    with reading(where, EXPECTED):
        segments = np.asarray(person.Segmentation).astype(np.int64)
        boundary = np.asarray(person.Boundaries).astype(bool)
        if segments.ndim != 2 or boundary.shape != segments.shape:
            raise DataError(f"has segments of shape {segments.shape} and boundaries of {boundary.shape}")
    return segments, boundary
