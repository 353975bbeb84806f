"""The rates of the data set tools on images like SA-1B's, beside plain loops over pycocotools in the same run.

    python benchmarks/dataset.py DATA             # results go to benchmarks/results/dataset.json
    python benchmarks/dataset.py --tables         # writes the tables of docs/scale.md anew from the results

DATA are labelled images with about a hundred masks each, such as BSDS500's. They are made as large as SA-1B's, 1500
pixels at the shorter side, masks too. All runs use as many processes as there are cores, but for the comparisons with
plain loops, which use one on either side.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measured import about, machine, put_tables, spread, table_line
from PIL import Image
from pycocotools import mask as coco

from anymask.dataset import shards
from anymask.dataset.detectors import faces
from anymask.dataset.formats import open_data
from anymask.dataset.loader import to_item
from anymask.dataset.privacy import detect
from anymask.dataset.quality import assess
from anymask.dataset.sa1b import open_folder
from anymask.dataset.sample import Sample
from anymask.dataset.shard_writer import write_shards
from anymask.dataset.shards import open_shards
from anymask.dataset.similar import perceptual_hash
from anymask.dataset.stats import gather
from anymask.dataset.streaming import stream
from anymask.dataset.validate import validate
from anymask.files import write_json
from anymask.task import rle

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "dataset.json", ROOT / "docs" / "scale.md"
BEGIN = "<!-- results of benchmarks/dataset.py -->"
SHORTER = 1500
"""side of SA-1B's images, in pixels"""
IMAGES, MASKS = 11_000_000, 1_100_000_000
"""of SA-1B, as the paper rounds them"""
MACHINES = (1, 10, 100)
REPEAT = 2
MANY = 12
"""times that each image is there for tools with processes, whose start is nothing beside a large set"""


def enlarged(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """The samples as large as SA-1B's, in its format, in a folder."""
    for number, sample in enumerate(samples):
        image = sample.image()
        scale = SHORTER / min(image.shape[:2])
        size = tuple(round(side * scale) for side in image.shape[1::-1])
        large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        Image.fromarray(large).save(folder / f"{number}.jpg", quality=90)
        masks = (cv2.resize(sample.mask(each).view(np.uint8), size, interpolation=0) for each in sample.annotations)
        annotations = [{"id": place, "segmentation": rle.encode(mask)} for place, mask in enumerate(masks)]
        about = {"image_id": number, "file_name": f"{number}.jpg", "width": size[0], "height": size[1]}
        write_json(folder / f"{number}.json", {"image": about, "annotations": annotations})
    return open_folder(folder)


def seconds(call: Callable[[], Any]) -> float:
    """The least time of several calls."""
    taken = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def plain_decode(records: Sequence[Sequence[rle.RLE]]) -> None:
    """The loop that is found in most code: one mask after another."""
    for masks in records:
        for mask in masks:
            coco.decode(mask)


def plain_stats(records: Sequence[Sequence[rle.RLE]]) -> None:
    """Area, centre and hull of each mask, from its pixels."""
    for masks in records:
        for mask in masks:
            y, x = np.nonzero(coco.decode(mask))
            hull = cv2.convexHull(np.stack([x, y], axis=1).astype(np.int32))
            _ = len(x), x.mean(), y.mean(), cv2.contourArea(hull)


def plain_load(folder: Path) -> None:
    """Images and masks of a folder, as a data set of PyTorch's tutorials reads them."""
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        image = np.asarray(Image.open(path.with_suffix(".jpg")).convert("RGB"))
        masks = np.stack([coco.decode(each["segmentation"]) for each in record["annotations"]])
        _ = image.transpose(2, 0, 1).copy(), masks.astype(bool)


def compare(samples: Sequence[Sample], folder: Path) -> dict[str, dict[str, float]]:
    """Masks, or images, a second: a plain loop's, and ours, both in one process."""
    records = [[each["segmentation"] for each in sample.annotations] for sample in samples]
    masks = sum(map(len, records))

    def decoded() -> None:
        for masks in records:
            for mask in masks:
                rle.decode(mask)

    def loaded() -> None:
        for sample in open_folder(folder):
            to_item(sample)

    return {
        "decoding, masks": {
            "plain": masks / seconds(lambda: plain_decode(records)),
            "ours": masks / seconds(decoded),
        },
        "area, centre and hull, masks": {
            "plain": masks / seconds(lambda: plain_stats(records)),
            "ours": masks / seconds(lambda: gather(samples)),
        },
        "images with masks as tensors": {
            "plain": len(samples) / seconds(lambda: plain_load(folder)),
            "ours": len(samples) / seconds(loaded),
        },
        "images with masks from a stream of shards": {
            "ours": len(samples) / seconds(lambda: streamed(folder, len(samples)))
        },
    }


def streamed(folder: Path, count: int) -> None:
    """So many samples of the shards beside a folder."""
    for sample in islice(stream(str(folder.parent / "shards")), count):
        to_item(sample)


def rates(samples: Sequence[Sample], folder: Path) -> dict[str, float]:
    """Images a second of each tool, all cores at work where it has processes."""
    workers, count = os.cpu_count() or 1, len(samples)
    many = [replace(sample, name=f"{n}_{sample.name}") for n in range(MANY) for sample in samples]
    out = folder.parent / "shards"
    start = time.perf_counter()
    write_shards(many, out, images=-(-len(many) // (2 * workers)), workers=workers)
    packing = time.perf_counter() - start
    found = {"dataset shard": len(many) / packing}
    shards.user_cache_path = lambda name: folder.parent / "cache" / str(time.perf_counter_ns())  # found anew each time
    found["opening shards for the first time"] = len(many) / seconds(lambda: open_shards(out))
    found["dataset stats"] = len(many) / seconds(lambda: gather(many, workers))
    found["dataset quality"] = len(many) / seconds(lambda: assess(many, workers=workers))
    found["dataset validate"] = len(many) / seconds(lambda: list(validate(many, workers)))
    found["dataset dedup, hashes of images"] = count / seconds(lambda: [perceptual_hash(s.image()) for s in samples])
    found["dataset blur, looking for faces"] = 4 / seconds(lambda: detect(samples[:4], [faces()]))
    return found


def measure(data: Path, images: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "images")
        folder.mkdir()
        samples = enlarged(spread(open_data(data), images), folder)
        of_tools = rates(samples, folder)
        masks = sum(len(sample.annotations) for sample in samples)
        return {
            "machine": machine(cores=os.cpu_count()),
            "images": len(samples),
            "masks": masks,
            "bytes": {
                "image": sum(file.stat().st_size for file in folder.glob("*.jpg")) / len(samples),
                "mask": sum(len(each["segmentation"]["counts"]) for s in samples for each in s.annotations) / masks,
                "record": sum(file.stat().st_size for file in folder.glob("*.json")) / len(samples),
            },
            "comparisons": compare(samples, folder),
            "rates": of_tools,
        }


def tables(results: dict[str, Any]) -> str:
    """The tables of the page."""
    per_image = results["masks"] / results["images"]
    lines = [f"{about(results['machine'])}; {results['images']} images with {per_image:.0f} masks each.", ""]
    lines += [table_line(["a second, in one process", "plain loop", "anymask", "ratio"]), "| --- |" + " ---: |" * 3]
    for name, each in results["comparisons"].items():
        plain = each.get("plain")
        cells = [f"{plain:,.1f}", f"{each['ours'] / plain:.1f}"] if plain else ["", ""]
        lines.append(table_line([name, cells[0], f"{each['ours']:,.1f}", cells[1]]))
    hours = [f"hours, {count} machine{'s' * (count > 1)}" for count in MACHINES]
    lines += ["", table_line(["for 11 million images", "images a second", *hours]), "| --- |" + " ---: |" * 4]
    for name, rate in results["rates"].items():
        times = [f"{IMAGES / rate / 3600 / count:,.1f}" for count in MACHINES]
        lines.append(table_line([name, f"{rate:,.1f}", *times]))
    sizes = results["bytes"]
    totals = {
        "images as JPEG": (sizes["image"], IMAGES),
        "a mask as RLE": (sizes["mask"], MASKS),
        "records as JSON": (sizes["record"], IMAGES),
    }
    lines += ["", table_line(["what", "bytes each", "in all"]), "| --- | ---: | ---: |"]
    for name, (each, count) in totals.items():
        lines.append(table_line([name, f"{each:,.0f}", f"{each * count / 1e12:,.3f} TB"]))
    return "\n".join(lines)


def main() -> None:
    """Measure, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="labelled images with about a hundred masks each")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--tables", action="store_true")
    arguments = parser.parse_args()
    if arguments.tables:
        put_tables(PAGE, BEGIN, tables(json.loads(RESULTS.read_text(encoding="utf-8"))))
        return
    if arguments.data is None:
        sys.exit("DATA: is missing; name labelled images")
    results = measure(arguments.data, arguments.images)
    write_json(RESULTS, results, indent=2)
    print(tables(results))


if __name__ == "__main__":
    main()
