"""`anymask gaze`: what somebody looked at in a photo, from an eye tracker's samples."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ..errors import DataError
from .models import load

if TYPE_CHECKING:
    from ..task import rle
    from ..task.gaze import Fixation, GazeSample

    Looked = tuple[Fixation, rle.RLE, float]

NO = {"0", "0.0", "false", "no", "invalid", ""}
"""what a sample that the tracker lost has in its column `valid`"""


def gaze(
    samples: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="Columns time, x, y and, if the tracker says so, valid.", show_default=False
        ),
    ],
    image: Annotated[Path, typer.Argument(help="The photo that was looked at.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("masks"),
    unit: Annotated[Literal["s", "ms", "us"], typer.Option(help="Unit of the times.")] = "s",
    normalised: Annotated[
        bool, typer.Option("--normalised", help="x and y run from 0 to 1 over the photo, not over its pixels.")
    ] = False,
    dispersion: Annotated[
        float | None,
        typer.Option(help="Most that a fixation's samples spread, in pixels.  [default: 4 % of the longer side]"),
    ] = None,
    duration: Annotated[float, typer.Option(help="Least length of a fixation, in seconds.")] = 0.1,
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the fixations as JSON.")] = False,
) -> None:
    """Turn the fixations of a recorded gaze into masks.

    Writes NAME_overlay.jpg, NAME_labels.png and NAME.json (SA-1B), a mask for each fixation, in their order.
    """
    from ..files import make_folder
    from ..predict.gaze import GazeTracker
    from ..predict.predictor import SamPredictor
    from ..task import rle
    from ..task.gaze import fixations
    from ..task.image import read_image
    from ..task.regions import clean

    pixels = read_image(image)
    height, width = pixels.shape[:2]
    read = read_samples(samples, {"s": 1.0, "ms": 1e-3, "us": 1e-6}[unit], (width, height) if normalised else (1, 1))
    make_folder(out)
    predictor = SamPredictor(load(model, device))
    predictor.set_image(pixels)
    tracker = GazeTracker(predictor, dispersion, duration)
    looked = (tracker.look(fixation) for fixation in fixations(read, tracker.detector))
    found = [(gazed.fixation, rle.encode(clean(gazed.mask)), gazed.score) for gazed in looked if gazed is not None]
    if not found:
        raise DataError(
            f"{samples}: no fixation lies on the photo; are x and y pixels of it (--normalised), and the times in "
            f"seconds (--unit)? A larger --dispersion takes a more restless gaze"
        )
    summary = _write(image, pixels, found, predictor.model, out)
    if as_json:
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        _print(summary)


def read_samples(path: Path, seconds: float, size: tuple[int, int]) -> list[GazeSample]:
    """The samples of a CSV file, in seconds and pixels. Raises DataError, naming the line, for one that is none."""
    from ..task.gaze import GazeSample

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            if missing := {"time", "x", "y"} - columns.keys():
                raise DataError(f"{path}: has no column {', '.join(sorted(missing))}; expected time, x, y and valid")
            rows = [({name: (row[columns[name]] or "").strip() for name in columns}, reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected CSV with time, x, y and valid") from None
    found = []
    for row, line in rows:
        valid = row.get("valid", "1").lower() not in NO
        lost = not valid and not (row["x"] and row["y"])  # a blink may leave the place out
        try:
            x, y = (0.0, 0.0) if lost else (float(row["x"]) * size[0], float(row["y"]) * size[1])
            found.append(GazeSample(float(row["time"]) * seconds, x, y, valid))
        except ValueError:
            raise DataError(
                f"{path}, line {line}: expected numbers in time, x and y, got {list(row.values())}"
            ) from None
    if not found:
        raise DataError(f"{path}: holds no samples; expected a line each, with time, x, y and valid")
    return found


def _write(image: Path, pixels: Any, found: list[Looked], sam: Any, out: Path) -> dict[str, Any]:
    from ..task import rle
    from ..task.boxes import mask_boxes, xyxy_to_xywh
    from .results import common_files, keep_foreign, sa1b_record, write_common

    annotations = []
    for fixation, mask, score in found:
        annotations.append(
            {
                "segmentation": mask,
                "bbox": xyxy_to_xywh(mask_boxes(rle.decode(mask)[None])[0]).tolist(),
                "area": rle.area(mask),
                "predicted_iou": round(score, 4),
                "point_coords": [[round(fixation.x, 2), round(fixation.y, 2)]],
                "fixation": [round(fixation.start, 4), round(fixation.end, 4)],
            }
        )
    keep_foreign(Path(common_files(out, image.stem)["record"]))
    record = sa1b_record(image, pixels.shape[:2], annotations, {"model": sam.config.name, "weights": sam.weights_hash})
    files = write_common(out, image.stem, pixels, rle.Decoded([mask for _, mask, _ in found]), record)
    shown = ("fixation", "point_coords", "predicted_iou", "area", "bbox")
    return {"image": str(image), "fixations": [{k: a[k] for k in shown} for a in annotations], "files": files}


def _print(summary: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    for i, one in enumerate(summary["fixations"], 1):
        (x, y), (start, end) = one["point_coords"][0], one["fixation"]
        console.print(
            f"fixation {i}: {start:.2f} to {end:.2f} s at {x:.0f},{y:.0f}: {one['area']:,} px, "
            f"score {one['predicted_iou']:.2f}",
            soft_wrap=True,
        )
    for kind, path in summary["files"].items():
        console.print(f"  {kind:<8} {path}", soft_wrap=True)
