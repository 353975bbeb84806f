"""Instance segmentation from a detector's boxes, scored by average precision as COCO and LVIS do it (§7.4, D.4)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..errors import DataError
from ..task import rle

Record = dict[str, Any]
Pair = tuple[int, int]
"""ids of an image and a category"""

COCO_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
"""the first of COCOeval's figures, in its order"""

LVIS_METRICS = ("AP", "APr", "APc", "APf", "APs", "APm", "APl")
LVIS_LIMIT = 300
"""how many masks of an image LVIS looks at, over all categories"""


@dataclass(frozen=True)
class Detection:
    """A box that a detector found: x0, y0, x1, y1 in pixels, the id of its category, and its score."""

    box: tuple[float, float, float, float]
    category: int
    score: float


def read_detections(
    path: str | Path, known_images: Collection[int], known_categories: Collection[int]
) -> dict[int, list[Detection]]:
    """Read a detector's boxes from COCO's results format: a JSON list of image_id, category_id, bbox and score each.

    They come by image, in the file's order; an image without boxes is left out. Raises DataError, with the number of
    the record from 0, for anything else, and for ids that the ground truth does not know.
    """
    records = _read_json(path)
    if not isinstance(records, list):
        raise DataError(f"{path}: expected a list of detections, as COCO's results format has it")
    images, categories = set(known_images), set(known_categories)
    detections = defaultdict(list)
    for index, record in enumerate(records):
        where = f"{path}: detection {index}"
        _check_keys(record, ("image_id", "category_id", "bbox", "score"), where)
        _check_known(record, images, categories, where)
        _check_score(record["score"], where)
        detection = Detection(_corners(record["bbox"], where), record["category_id"], float(record["score"]))
        detections[record["image_id"]].append(detection)
    return dict(detections)


def coco_ap(ground_truth: Record | str | Path, results: Sequence[Record]) -> list[tuple[str, float]]:
    """COCO's mask AP: mean, at IoU .5 and .75, and by size; those that the ground truth has no object for are left out.

    Args:
        ground_truth: in COCO's form, or where it lies; it is not changed.
        results: masks with image_id, category_id, score and segmentation as RLE.

    Raises DataError for results that do not belong to the ground truth.
    """
    truth = _read_truth(ground_truth, image_keys=(), category_keys=())
    evaluation = _evaluate(truth["images"], truth["categories"], truth["annotations"], _checked(results, truth))
    with redirect_stdout(StringIO()):
        evaluation.summarize()
    values = evaluation.stats[: len(COCO_METRICS)]
    return [(name, float(value)) for name, value in zip(COCO_METRICS, values, strict=True) if value >= 0]


def lvis_ap(ground_truth: Record | str | Path, results: Sequence[Record]) -> list[tuple[str, float]]:
    """LVIS's mask AP: mean, by frequency (rare, common, frequent), and by size; as `coco_ap` otherwise.

    LVIS is labelled category by category, each on some of the images only (Gupta et al. 2019, arXiv:1908.03195). So a
    mask counts only where its category was looked for, that is where the image has an object of it or lists it in
    neg_category_ids; and one that fits no object is no mistake where the image lists the category in
    not_exhaustive_category_ids. Of an image the best 300 masks count, before all that. Empty ones never do.
    """
    needed = ("neg_category_ids", "not_exhaustive_category_ids")
    truth = _read_truth(ground_truth, image_keys=needed, category_keys=("frequency",))
    annotations = [annotation for annotation in truth["annotations"] if annotation["area"] > 0]
    absent, partial = (_pairs(truth["images"], key) for key in needed)
    searched = absent.union(map(_pair, annotations))
    best = _best_of_each_image(_checked(results, truth))
    judged = [result for result in best if result["area"] > 0 and _pair(result) in searched]

    images = {image["id"]: image for image in truth["images"]}
    truths_of, results_of = _by_category(annotations), _by_category(judged)
    values = defaultdict(list)
    for category in truth["categories"]:
        truths, found = truths_of[category["id"]], results_of[category["id"]]
        shown = [images[number] for number in {record["image_id"] for record in truths + found}]
        # one category at a time, for over all at once COCOeval holds a record of every image for every category
        evaluation = _evaluate(shown, [category], truths, found, LVIS_LIMIT, partial)
        for name, value in _category_figures(evaluation, category["frequency"]):
            values[name].append(value)
    return [(name, float(np.mean(values[name]))) for name in LVIS_METRICS if name in values]


def _evaluate(
    images: Sequence[Record],
    categories: Sequence[Record],
    truths: Sequence[Record],
    results: Sequence[Record],
    limit: int = 100,
    partial: Set[Pair] = frozenset(),
) -> COCOeval:
    """COCO's evaluation of masks, accumulated, with the best `limit` of each image and category.

    `partial` are the images and categories where a mask that fits no object is passed over.
    """
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(_index(images, categories, truths), _index(images, categories, results), "segm")
        evaluation.params.maxDets = [1, 10, limit]
        evaluation.evaluate()
        for pair in evaluation.evalImgs:
            if pair is not None and _pair(pair) in partial:
                pair["dtIgnore"] |= pair["dtMatches"] == 0
        evaluation.accumulate()
    return evaluation


def _index(images: Sequence[Record], categories: Sequence[Record], annotations: Sequence[Record]) -> COCO:
    """The records in pycocotools' form, numbered anew from 1, for COCOeval takes an id of 0 for no match."""
    coco = COCO()
    numbered = [{"iscrowd": 0, **annotation, "id": number} for number, annotation in enumerate(annotations, start=1)]
    coco.dataset = {"images": images, "categories": categories, "annotations": numbered}
    coco.createIndex()
    return coco


def _category_figures(evaluation: COCOeval, frequency: str) -> Iterator[tuple[str, float]]:
    """AP of the only category that was evaluated, for all metrics of LVIS that it adds to."""
    by_size = evaluation.eval["precision"][:, :, 0, :, -1].mean(axis=(0, 1))  # -1 where no object has that size
    figures = zip(("AP", f"AP{frequency}", "APs", "APm", "APl"), by_size[[0, 0, 1, 2, 3]], strict=True)
    return ((name, float(value)) for name, value in figures if value >= 0)


def _best_of_each_image(results: Sequence[Record]) -> list[Record]:
    """The `LVIS_LIMIT` best-scored results of each image; on equal scores the earlier."""
    by_image = defaultdict(list)
    for result in sorted(results, key=lambda result: -result["score"]):
        by_image[result["image_id"]].append(result)
    return [result for of_image in by_image.values() for result in of_image[:LVIS_LIMIT]]


def _pair(record: Record) -> Pair:
    return record["image_id"], record["category_id"]


def _pairs(images: Sequence[Record], key: str) -> set[Pair]:
    """All pairs of an image and a category that it lists under `key`."""
    return {(image["id"], category) for image in images for category in image[key]}


def _by_category(records: Sequence[Record]) -> defaultdict[int, list[Record]]:
    groups = defaultdict(list)
    for record in records:
        groups[record["category_id"]].append(record)
    return groups


def _read_json(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from None


def _read_truth(ground_truth: Record | str | Path, image_keys: Sequence[str], category_keys: Sequence[str]) -> Record:
    """The ground truth, read where it is a path, with all that its evaluation needs. Raises DataError for a lack."""
    if isinstance(ground_truth, dict):
        where, truth = "ground truth", ground_truth
    else:
        where, truth = str(ground_truth), _read_json(ground_truth)
    needed = {
        "images": ("id", "width", "height", *image_keys),
        "categories": ("id", *category_keys),
        "annotations": ("image_id", "category_id", "segmentation", "area"),
    }
    for part, keys in needed.items():
        if not isinstance(truth, dict) or not isinstance(truth.get(part), list):
            raise DataError(f"{where}: expected COCO's form, with lists of images, categories and annotations")
        for index, record in enumerate(truth[part]):
            _check_keys(record, keys, f"{where}: {part}[{index}]")
    images, categories = _ids(truth["images"]), _ids(truth["categories"])
    for index, annotation in enumerate(truth["annotations"]):
        _check_known(annotation, images, categories, f"{where}: annotations[{index}]")
    return truth


def _checked(results: Sequence[Record], truth: Record) -> list[Record]:
    """The results with what COCOeval needs of them, area included. Raises DataError for the first that does not fit."""
    sizes = {image["id"]: [image["height"], image["width"]] for image in truth["images"]}
    categories = _ids(truth["categories"])
    keys = ("image_id", "category_id", "score", "segmentation")
    checked = []
    for index, result in enumerate(results):
        where = f"result {index}"
        _check_keys(result, keys, where)
        _check_known(result, sizes, categories, where)
        _check_score(result["score"], where)
        try:
            area = rle.area(result["segmentation"])
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        if list(result["segmentation"]["size"]) != sizes[result["image_id"]]:
            raise DataError(
                f"{where}: its mask has size {list(result['segmentation']['size'])}, image {result['image_id']} "
                f"{sizes[result['image_id']]}; expected [height, width] of the image as it lies on disk"
            )
        checked.append({key: result[key] for key in keys} | {"area": area})
    return checked


def _ids(records: Sequence[Record]) -> set[int]:
    return {record["id"] for record in records}


def _check_keys(record: Any, keys: Sequence[str], where: str) -> None:
    """Raise DataError where the record is none, or lacks one of the keys."""
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected a record with {', '.join(keys)}")
    for key in keys:
        if key not in record:
            raise DataError(f"{where} has no {key!r}; expected a record with {', '.join(keys)}")


def _check_known(record: Record, images: Collection[int], categories: Collection[int], where: str) -> None:
    """Raise DataError where the ground truth does not have the record's image or category."""
    for key, known in (("image_id", images), ("category_id", categories)):
        if not isinstance(record[key], int) or record[key] not in known:
            raise DataError(f"{where}: {key} {record[key]!r} is not in the ground truth; is it of another data set?")


def _check_score(score: Any, where: str) -> None:
    if not _is_number(score):
        raise DataError(f"{where}: score {score!r} is not a finite number")


def _corners(bbox: Any, where: str) -> tuple[float, float, float, float]:
    """x, y, width, height as x0, y0, x1, y1. Raises DataError for anything else and for a box without area."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)) or min(bbox[2:]) <= 0:
        raise DataError(f"{where}: bbox {bbox!r} is not [x, y, width, height] with width and height above 0")
    x, y, width, height = map(float, bbox)
    return x, y, x + width, y + height


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
