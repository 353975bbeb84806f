"""`anymask boxes`: the masks of a detector's boxes, from COCO JSON to COCO JSON."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..errors import DataError
from ..runtime.names import Precision, RuntimeName
from .models import load
from .progress import bars

Record = dict[str, Any]


def boxes(
    detections: Annotated[
        Path,
        typer.Argument(
            help="COCO JSON: a detector's results (a list with image_id and bbox), or a whole file of annotations.",
            show_default=False,
        ),
    ],
    images: Annotated[Path, typer.Argument(help="Folder of the images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the same with masks.")] = Path("masks.json"),
    coco: Annotated[
        Path | None, typer.Option(help="COCO JSON whose `images` say which file an image_id is, for results alone.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="fast computes in bfloat16, where the chip does.")] = "exact",
) -> None:
    """Give each of a detector's boxes a mask.

    Writes the records of DETECTIONS with segmentation (run lengths), area and predicted_iou added. A run that is cut
    goes on.
    """
    from ..files import remove, sha256
    from ..journal import Journal
    from ..predict.predictor import SamPredictor
    from ..task.image import read_image

    content = _read(detections)
    records = content["annotations"] if isinstance(content, dict) else content
    files = _files(content if isinstance(content, dict) else None, coco, detections)
    by_image = _by_image(records, files, detections)
    predictor = SamPredictor(load(model, device), runtime, precision)
    decides = [
        predictor.model.weights_hash,
        sha256(detections).hexdigest(),
        str(images.resolve()),
        str(predictor.runtime),
    ]
    name = hashlib.sha256("\n".join(decides).encode()).hexdigest()[:16]
    journal = out.with_name(f"{out.name}.{name}.unfinished.jsonl")
    with Journal(journal, {}) as done, bars(Console(stderr=True, highlight=False, markup=False)) as progress:
        bar = progress.add_task("images", total=len(by_image))
        for number, mine in by_image.items():
            if str(number) not in done.done:
                predictor.set_image(read_image(images / files[number]))
                done.write(str(number), _segmented(predictor, [records[i] for i in mine], detections))
            progress.advance(bar)
    _write(content, by_image, done.done, out)
    remove(journal)
    empty = sum("segmentation" not in row for rows in done.done.values() for row in rows)
    left = f" ({empty:,} boxes hold nothing of their image and got none)" if empty else ""
    Console(highlight=False, markup=False).print(
        f"{len(records) - empty:,} masks on {len(by_image):,} images{left}: {out}", soft_wrap=True
    )


def _segmented(predictor: Any, records: list[Record], where: Path) -> list[Record]:
    """What each record gets; nothing for a box that holds nothing of the image."""
    import numpy as np

    from ..predict.boxes import predict_boxes
    from ..task import rle
    from ..task.boxes import xywh_to_xyxy

    try:
        boxes = xywh_to_xyxy(np.array([record["bbox"] for record in records], np.float64).reshape(len(records), 4))
    except (TypeError, ValueError):
        raise DataError(f"{where}: image {records[0]['image_id']}: a bbox is not x, y, width and height") from None
    height, width = predictor.original_size
    cut = boxes.clip(0, [width, height, width, height])
    good = np.flatnonzero(np.isfinite(boxes).all(axis=1) & (cut[:, 2:] > cut[:, :2]).all(axis=1))
    found = predict_boxes(predictor, boxes[good])
    rows: list[Record] = [{} for _ in records]
    for i, mask, score in zip(good, found.segmentations, found.scores, strict=True):
        rows[i] = {"segmentation": mask, "area": rle.area(mask), "predicted_iou": round(float(score), 4)}
    return rows


def _read(path: Path) -> Any:
    from ..dataset.sources.records import read_json

    content = read_json(path, "COCO JSON")
    records = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(records, list) or not all(
        isinstance(record, dict) and {"image_id", "bbox"} <= record.keys() for record in records
    ):
        raise DataError(
            f"{path}: expected a list of records with image_id and bbox, or a dictionary with such annotations"
        )
    return content


def _files(content: Record | None, coco: Path | None, detections: Path) -> dict[Any, str]:
    """Image id to the name of its file."""
    if content is None and coco is None:
        raise DataError(f"{detections}: is a list of results, which name no files; add --coco FILE, whose images do")
    where = coco or detections
    from ..dataset.sources.records import read_json

    table = read_json(coco, "COCO JSON with images") if coco else content
    images = table.get("images") if isinstance(table, dict) else None
    if not isinstance(images, list) or not all(isinstance(i, dict) and {"id", "file_name"} <= i.keys() for i in images):
        raise DataError(f"{where}: its images have no id and file_name; expected COCO's table of images")
    return {image["id"]: image["file_name"] for image in images}


def _by_image(records: list[Record], files: dict[Any, str], where: Path) -> dict[Any, list[int]]:
    """Image id to the places of its records."""
    found: dict[Any, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        if record["image_id"] not in files:
            raise DataError(f"{where}: record {i} is of image {record['image_id']}, which the table of images has not")
        found[record["image_id"]].append(i)
    return found


def _write(content: Any, by_image: dict[Any, list[int]], done: dict[str, list[Record]], out: Path) -> None:
    from ..files import write_json

    records = list(content["annotations"] if isinstance(content, dict) else content)
    for number, mine in by_image.items():
        for i, masks in zip(mine, done[str(number)], strict=True):
            records[i] = {**records[i], **masks}
    write_json(out, {**content, "annotations": records} if isinstance(content, dict) else records)
