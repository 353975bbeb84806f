"""Times anymask beside segment-anything and Hugging Face's SamModel: same inputs, same weights, one run, in turn.

    make bench                                        # all rows; about half an hour on 2 cores
    python benchmarks/speed.py encoder click          # some of them
    python benchmarks/speed.py --out FOLDER           # results go to FOLDER/speed.json, by default benchmarks/results
    python benchmarks/speed.py --tables               # writes the tables of docs/performance.md anew from the results

Each row calls all of its contenders one after another, `--repeat` times, and keeps the best time of each, so that what
else the machine does weighs on all. The first turn does not count, but for a peer that takes minutes, which has no
other. Beside the ratios stands how far the answers of anymask are from the peer's, and how much memory a contender took
at most beyond what it had before, with what is made ready at its first call (on Linux). ViT-B has random weights, which
take as long as any, and whose masks reach over the whole image, the worst case for what is computed no further than
masks reach; thresholds of "everything" are set so that about a hundred of them survive.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the peers, with weights copied across

from measured import about, machine, put_tables, resident, table_line  # noqa: E402
from reference import hugging_face_sam, reference_sam, same_as, segment_anything  # noqa: E402

from anymask import SamAutomaticMaskGenerator, SamPredictor, load_model  # noqa: E402
from anymask.files import write_json  # noqa: E402
from anymask.model.checkpoint import weights_hash  # noqa: E402
from anymask.model.config import SamConfig  # noqa: E402
from anymask.model.registry import MODELS  # noqa: E402
from anymask.runtime.choose import open_runtime  # noqa: E402
from anymask.runtime.torch_runtime import TorchRuntime  # noqa: E402
from anymask.task import rle  # noqa: E402
from anymask.task.image import read_image  # noqa: E402
from anymask.task.prompts import Prompt, PromptBatch  # noqa: E402

VIT_B = MODELS["vit_b"].config
PAGE = ROOT / "docs" / "performance.md"
BEGIN = "<!-- results of benchmarks/speed.py -->"
"""between them in the page stand the tables"""
PHOTO = ROOT / "examples" / "photos" / "coffee.jpg"
RUNTIMES = [("torch", "exact"), ("torch", "fast"), ("openvino", "exact"), ("openvino", "fast"), ("openvino", "int8")]
RUNTIMES += [("onnx", "exact"), ("onnx", "int8")]
SKIPPING = "less work: no points on what four masks cover"
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
    memory: dict[str, float] = field(default_factory=dict)
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
    ours = defaultdict(list)
    for record in found:
        ours[tuple(record["point_coords"][0])].append(rle.decode(record["segmentation"]))
    matched = sum(
        any(_same(record["segmentation"], each) for each in ours[tuple(record["point_coords"][0])])
        for record in expected
    )
    return f"{matched} of {len(expected)} masks the same, {len(found)} in all"


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a & b).sum() > 0.99 * (a | b).sum())


def encoder() -> Iterator[Row]:
    """ViT-B's image encoder on one image of 1024×1024."""
    theirs, ours = vit_b()
    hugging_face = hugging_face_sam(VIT_B)
    pixels = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    contenders: dict[str, Callable[[], Any]] = {
        "segment-anything": lambda: theirs.image_encoder(pixels),
        "hugging face": lambda: hugging_face.vision_encoder(pixels)[0],
        "anymask, the module itself": lambda: ours.image_encoder(pixels),
    }
    for name, precision in RUNTIMES:
        runtime = open_runtime(ours, name, precision)
        contenders[f"anymask {name} {precision}"] = lambda runtime=runtime: runtime.encode(pixels).features
    yield Row("ViT-B encoder", contenders, relative, repeat=3)


def click() -> Iterator[Row]:
    """One click on an embedded photo, with masks of 1500×2250."""
    theirs, ours = vit_b()
    photo = large_photo()
    predictors = {"segment-anything": segment_anything.SamPredictor(theirs)}
    predictors["segment-anything"].set_image(photo)
    for name, precision in RUNTIMES:
        if precision != "int8":  # which only encoders have
            predictors[f"anymask {name} {precision}"] = SamPredictor(ours, name, precision)
    first, *others = (each for name, each in predictors.items() if name.startswith("anymask"))
    first.set_image(photo)
    for predictor in others:
        predictor.set_embedding(first.embedding)
    point, label = np.array([[1100, 700]]), np.array([1])
    contenders = {
        name: lambda predictor=predictor: predictor.predict(point, label)[0] for name, predictor in predictors.items()
    }
    embedding, frame = first.embedding, first.frame
    batch = PromptBatch.pad([Prompt(point, label)], frame, ours.config.mask_size)
    contenders["anymask, the modules themselves"] = lambda: (
        frame.masks_to_original(ours.decode(embedding, batch, True)[0][0])[0] > 0
    ).numpy()
    yield Row("one click to 1500×2250, ViT-B decoder", contenders, overlap, repeat=20)


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
    skipping = SamAutomaticMaskGenerator(
        ours, output_mode="coco_rle", runtime="openvino", precision="fast", skip_covered=4, **thresholds
    )
    contenders[f"anymask openvino fast, {SKIPPING}"] = lambda: skipping.generate(photo)
    yield Row('"everything" with 32×32 points, 1500×2250, ViT-B', contenders, same_records, repeat=1)


def _thresholds(sam: Any, photo: np.ndarray) -> dict[str, float]:
    """Thresholds that about a hundred masks survive: no stability, and the predicted IoU behind that rank."""
    generator = SamAutomaticMaskGenerator(
        sam, output_mode="coco_rle", pred_iou_thresh=-1e9, stability_score_thresh=0.0, box_nms_thresh=1.0
    )
    scores = sorted(candidate.predicted_iou for candidate in generator.candidates(photo))
    least = (scores[-SURVIVORS] + scores[-SURVIVORS - 1]) / 2  # as far as can be from where rounding decides
    return {"pred_iou_thresh": least, "stability_score_thresh": 0.01, "box_nms_thresh": 1.0}


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
    for side, skip in ((16, 0), (16, 4), (32, 0)):
        for name, precision in RUNTIMES[:4]:
            generator = SamAutomaticMaskGenerator(
                sam, side, output_mode="coco_rle", runtime=name, precision=precision, skip_covered=skip
            )
            what = f"anymask {name} {precision}, {side}×{side} points" + (f", {SKIPPING}" if skip else "")
            contenders[what] = lambda generator=generator: generator.generate(photo)
    yield Row('nano, "everything" on 640×480', contenders, lambda found, expected: f"{len(found)} masks", repeat=2)


def gpu() -> Iterator[Row]:
    """ViT-H on a GPU; nothing where there is none."""
    if torch.cuda.is_available():
        yield from on_device(MODELS["vit_h"].config, "cuda")
    else:
        print("no GPU here: no rows of it")


def on_device(config: SamConfig, device: str, images: int = 4) -> Iterator[Row]:
    """A model's encoder on some images at once, and all masks of a photo of 1500×2250 by 32×32 points."""
    theirs = reference_sam(config)
    ours = same_as(theirs, config).to(device)
    theirs = theirs.to(device)
    theirs.mask_decoder.register_forward_hook(lambda _, __, found: tuple(x.float() for x in found))  # for its NumPy
    size = config.encoder.size
    pixels = torch.randn(images, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    runtimes = {
        "anymask torch exact": TorchRuntime(ours, "exact"),
        "anymask torch fast": TorchRuntime(ours, "fast"),
        "anymask torch fast, compiled": TorchRuntime(ours, "fast", compiled=True),
    }

    def in_bf16(call: Callable[[], Any]) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return call()

    contenders: dict[str, Callable[[], Any]] = {  # .cpu() waits for the device
        "segment-anything": lambda: theirs.image_encoder(pixels).cpu(),
        "segment-anything bf16": lambda: in_bf16(lambda: theirs.image_encoder(pixels).float().cpu()),
    }
    for name, runtime in runtimes.items():
        contenders[name] = lambda runtime=runtime: runtime.encode(pixels).features.cpu()
    yield Row(f"{config.name} encoder on {device}, {images} images at once", contenders, relative, repeat=5)

    photo = large_photo()
    thresholds = _thresholds(ours, photo)
    peer = segment_anything.SamAutomaticMaskGenerator(theirs, **thresholds)
    contenders = {
        "segment-anything": lambda: peer.generate(photo),
        "segment-anything bf16": lambda: in_bf16(lambda: peer.generate(photo)),
    }
    for name, runtime in runtimes.items():
        generator = SamAutomaticMaskGenerator(ours, output_mode="coco_rle", runtime=runtime, **thresholds)
        contenders[name] = lambda generator=generator: generator.generate(photo)
    yield Row(f'{config.name} "everything" on {device}, 32×32 points, 1500×2250', contenders, same_records, repeat=2)


ROWS = {"encoder": encoder, "click": click, "everything": everything, "nano": nano, "gpu": gpu}


def run(row: Row, repeat: int) -> None:
    """Call the contenders in turn, the first time uncounted where there are several times."""
    answers: dict[str, Any] = {}
    times = min(repeat, row.repeat)
    for turn in range(times + 1):
        for name, contender in row.contenders.items():
            if turn == 0 and times == 1 and not name.startswith("anymask"):
                continue  # a peer that takes minutes needs no warm-up
            before = start_of_peak()
            start = time.perf_counter()
            with torch.no_grad():
                answers[name] = contender()
            took = time.perf_counter() - start
            row.memory[name] = max(peak() - before, row.memory.get(name, 0))
            if turn:
                row.seconds[name] = min(took, row.seconds.get(name, took))
    first = next(iter(row.contenders))
    for name in row.contenders:
        if name.startswith("anymask"):
            row.errors[name] = row.error(answers[name], answers[first])


def start_of_peak() -> float:
    """Give back what is free, forget the peak of this process's memory, and say what it holds now, in MB."""
    gc.collect()
    on_gpu = 0.0
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        on_gpu = torch.cuda.memory_allocated() / 2**20
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS") + on_gpu


def peak() -> float:
    """The most that this process has held since `start_of_peak`, in MB, a GPU's memory included."""
    on_gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return resident("VmHWM") + on_gpu


def table(name: str, row: dict[str, Any]) -> str:
    """A row's figures as a table of Markdown."""
    times, memory = row["seconds"], row["memory"]
    peers = [each for each in times if not each.startswith("anymask")]
    head = ["", "time", *(f"× {peer}" for peer in peers), "memory", "beside the first"]
    rule = ["---", *["---:"] * (len(head) - 2), "---"]
    lines = [f"### {name}", "", table_line(head), table_line(rule)]
    for each, seconds in times.items():
        shown = f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
        ratios = [f"{times[peer] / seconds:.1f}" for peer in peers]
        taken = f"{memory[each]:.0f} MB" if memory[each] >= 1 else ""
        lines.append(table_line([each, shown, *ratios, taken, row["errors"].get(each, "")]))
    return "\n".join(lines)


def write_tables(results: dict[str, Any]) -> None:
    """Put the tables where docs/performance.md has those of earlier results."""
    tables = [table(name, row) for name, row in results["rows"].items()]
    put_tables(PAGE, BEGIN, "\n\n".join([f"{about(results['machine'])}.", *tables]))


def main() -> None:
    """Run the rows that are asked for, and print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="which rows; all by default")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--tables", action="store_true", help="only write the tables of docs/performance.md anew")
    arguments = parser.parse_args()
    path = arguments.out / "speed.json"
    names = arguments.rows or list(ROWS)
    if arguments.tables:
        write_tables(results_in(path))
    elif len(names) == 1:
        measure(names[0], path, arguments.repeat)
    else:  # a process for each, for a row's models stay in memory
        for name in names:
            command = [sys.executable, __file__, name, "--repeat", str(arguments.repeat), "--out", str(arguments.out)]
            subprocess.run(command, check=True)


def measure(name: str, path: Path, repeat: int) -> None:
    """Run the rows of a name, print their tables and put them among the results of the file."""
    results = results_in(path) | {"machine": machine(threads=torch.get_num_threads(), torch=torch.__version__)}
    print(results["machine"])
    for row in ROWS[name]():
        run(row, repeat)
        results["rows"][row.name] = {"seconds": row.seconds, "memory": row.memory, "errors": row.errors}
        print(table(row.name, results["rows"][row.name]), flush=True)
        write_json(path, results, indent=2)


def results_in(path: Path) -> dict[str, Any]:
    """The results of earlier runs."""
    if not path.exists():
        return {"rows": {}}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


if __name__ == "__main__":
    main()
