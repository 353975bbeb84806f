"""Times anymask beside segment-anything and Hugging Face's SamModel: same inputs, same weights, one run, in turn.

    python benchmarks/speed.py                        # all rows; about half an hour on 2 cores
    python benchmarks/speed.py encoder click          # some of them
    python benchmarks/speed.py --out FOLDER           # results go to FOLDER/speed.json, by default benchmarks/results

Each row calls all of its contenders one after another, `--repeat` times, and keeps the best time of each, so that what
else the machine does weighs on all. Beside the ratios stands how far the answers of anymask are from the peer's. ViT-B
has random weights, which take as long as any; thresholds of "everything" are set so that about a hundred masks survive.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the peers, with weights copied across

from reference import hugging_face_sam, reference_sam, same_as, segment_anything  # noqa: E402

import anymask  # noqa: E402
from anymask import SamAutomaticMaskGenerator, SamPredictor, load_model  # noqa: E402
from anymask.files import write_json  # noqa: E402
from anymask.model.checkpoint import weights_hash  # noqa: E402
from anymask.model.registry import MODELS  # noqa: E402
from anymask.runtime.choose import open_runtime  # noqa: E402
from anymask.task import rle  # noqa: E402
from anymask.task.image import read_image  # noqa: E402

VIT_B = MODELS["vit_b"].config
PHOTO = ROOT / "examples" / "photos" / "coffee.jpg"
SURVIVORS = 100
"""masks of "everything" that the thresholds let through, about"""


@dataclass
class Row:
    """One thing that is timed.

    Attributes:
        name: of the row.
        contenders: what is called, by name; those of anymask begin with its name.
        error: how far an answer of anymask is from the first contender's, in words.
        repeat: how often it is worth repeating at most.
    """

    name: str
    contenders: dict[str, Callable[[], Any]]
    error: Callable[[Any, Any], str]
    repeat: int = 5
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@cache
def vit_b() -> tuple[Any, Any]:
    """segment-anything's ViT-B with random weights, and ours with the same."""
    theirs = reference_sam(VIT_B)
    ours = same_as(theirs, VIT_B)
    ours.weights_hash = weights_hash(ours)
    return theirs, ours


@cache
def large_photo() -> np.ndarray:
    """A photo of 1500×2250."""
    from PIL import Image

    return np.asarray(Image.fromarray(read_image(PHOTO)).resize((2250, 1500), Image.Resampling.BICUBIC))


def relative(found: Any, expected: Any) -> str:
    """Norm of the difference by the norm."""
    return f"relative error {float((found - expected).norm() / expected.norm()):.1e}"


def overlap(found: Any, expected: Any) -> str:
    """Mean IoU of masks with the peer's."""
    found, expected = np.asarray(found), np.asarray(expected)
    both = (found & expected).sum(axis=(1, 2)) / np.maximum((found | expected).sum(axis=(1, 2)), 1)
    return f"mask IoU {both.mean():.4f}"


def same_records(found: Any, expected: Any) -> str:
    """How many of the peer's masks are among ours, with an IoU over .99."""
    shape = expected[0]["segmentation"].shape if expected else (1, 1)
    theirs = [record["segmentation"].reshape(shape) for record in expected]
    ours = {tuple(record["point_coords"][0]): [] for record in found}
    for record in found:
        ours[tuple(record["point_coords"][0])].append(rle.decode(record["segmentation"]))
    matched = sum(
        any((mask & each).sum() > 0.99 * (mask | each).sum() for each in ours.get(tuple(record["point_coords"][0]), ()))
        for record, mask in zip(expected, theirs, strict=True)
    )
    return f"{matched} of {len(expected)} masks the same, {len(found)} in all"


def encoder() -> Iterator[Row]:
    """ViT-B's image encoder on one image of 1024×1024."""
    theirs, ours = vit_b()
    hugging_face = hugging_face_sam(VIT_B)
    pixels = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    contenders: dict[str, Callable[[], Any]] = {
        "segment-anything": lambda: theirs.image_encoder(pixels),
        "hugging face": lambda: hugging_face.vision_encoder(pixels)[0],
    }
    for name in ("torch", "openvino"):
        for precision in ("exact", "fast"):
            runtime = open_runtime(ours, name, precision)
            contenders[f"anymask {name} {precision}"] = lambda runtime=runtime: runtime.encode(pixels).features
    yield Row("ViT-B encoder", contenders, relative, repeat=3)


def click() -> Iterator[Row]:
    """One click on an embedded photo, with masks of 1500×2250."""
    theirs, ours = vit_b()
    photo = large_photo()
    predictors = {"segment-anything": segment_anything.SamPredictor(theirs)}
    for name in ("torch", "openvino"):
        for precision in ("exact", "fast"):
            predictors[f"anymask {name} {precision}"] = SamPredictor(ours, name, precision)
    for predictor in predictors.values():
        predictor.set_image(photo)
    point, label = np.array([[1100, 700]]), np.array([1])
    contenders = {
        name: lambda predictor=predictor: predictor.predict(point, label)[0] for name, predictor in predictors.items()
    }
    yield Row("one click to 1500×2250, ViT-B decoder", contenders, overlap, repeat=10)


def everything() -> Iterator[Row]:
    """All masks of a photo of 1500×2250 by 32×32 points, with the encoder."""
    theirs, ours = vit_b()
    photo = large_photo()
    thresholds = _thresholds(ours, photo)
    contenders: dict[str, Callable[[], Any]] = {
        "segment-anything": lambda: segment_anything.SamAutomaticMaskGenerator(theirs, **thresholds).generate(photo)
    }
    for name in ("torch", "openvino"):
        for precision in ("exact", "fast"):
            generator = SamAutomaticMaskGenerator(
                ours, output_mode="coco_rle", runtime=name, precision=precision, **thresholds
            )
            contenders[f"anymask {name} {precision}"] = lambda generator=generator: generator.generate(photo)
    yield Row('"everything" with 32×32 points, 1500×2250, ViT-B', contenders, same_records, repeat=1)


def _thresholds(sam: Any, photo: np.ndarray) -> dict[str, float]:
    """Thresholds that about a hundred masks survive: no stability, and the predicted IoU at that rank."""
    generator = SamAutomaticMaskGenerator(
        sam, output_mode="coco_rle", pred_iou_thresh=-1e9, stability_score_thresh=0.0, box_nms_thresh=1.0
    )
    scores = sorted(candidate.predicted_iou for candidate in generator.candidates(photo))
    return {"pred_iou_thresh": scores[-SURVIVORS], "stability_score_thresh": 0.01, "box_nms_thresh": 0.999}


def nano() -> Iterator[Row]:
    """nano end to end: a process that writes the masks of one click, and "everything" on a photo of 640×480, warm."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "anymask", "segment", str(PHOTO), "--point", "300,200", "-o", folder]
        yield Row(
            "nano, photo to masks, process start included",
            {"anymask": lambda: subprocess.run(command, check=True, capture_output=True)},
            lambda found, expected: "",
        )
    from PIL import Image

    photo = np.asarray(Image.fromarray(read_image(PHOTO)).resize((640, 480)))
    sam = load_model("nano")
    contenders: dict[str, Callable[[], Any]] = {}
    for side in (16, 32):
        for precision in ("exact", "fast"):
            generator = SamAutomaticMaskGenerator(
                sam, points_per_side=side, output_mode="coco_rle", runtime="torch", precision=precision
            )
            name = f"anymask torch {precision}, {side}×{side} points"
            contenders[name] = lambda generator=generator: generator.generate(photo)
    yield Row('nano, "everything" on 640×480', contenders, lambda found, expected: f"{len(found)} masks", repeat=2)


ROWS = {"encoder": encoder, "click": click, "everything": everything, "nano": nano}


def run(row: Row, repeat: int) -> None:
    """Call the contenders in turn, the first time uncounted where there are several times."""
    answers: dict[str, Any] = {}
    times = min(repeat, row.repeat)
    for turn in range(times + 1):
        for name, contender in row.contenders.items():
            if turn == 0 and times == 1 and not name.startswith("anymask"):
                continue  # a peer that takes minutes needs no warm-up
            start = time.perf_counter()
            with torch.no_grad():
                answers[name] = contender()
            if turn:
                took = time.perf_counter() - start
                row.seconds[name] = min(took, row.seconds.get(name, took))
    first = next(iter(row.contenders))
    for name in row.contenders:
        if name.startswith("anymask"):
            row.errors[name] = row.error(answers[name], answers[first])


def machine() -> dict[str, Any]:
    """What this was measured on."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), name)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "anymask": anymask.__version__}
    return {"cpu": name, "threads": torch.get_num_threads(), **versions}


def main() -> None:
    """Run the rows that are asked for, and print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="which rows; all by default")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "rows": {}}
    print(results["machine"])
    for name in arguments.rows or ROWS:
        for row in ROWS[name]():
            run(row, arguments.repeat)
            results["rows"][row.name] = {"seconds": row.seconds, "errors": row.errors}
            print(row.name)
            first = next(iter(row.seconds))
            for contender, seconds in row.seconds.items():
                ratio = row.seconds[first] / seconds
                print(f"  {contender:40} {seconds:9.3f} s {ratio:6.1f}×  {row.errors.get(contender, '')}")
            write_json(arguments.out / "speed.json", results, indent=2)


if __name__ == "__main__":
    main()
