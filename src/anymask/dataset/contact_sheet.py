"""Pages to look through labelled images: small pictures with their masks on them, in HTML that needs no network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files import new_folder, replacing
from ..processes import chunks
from ..task import rle
from ..task.image import fit_within
from ..task.polygons import Ring, polygons
from .problems import Problems, Progress
from .sample import Record, Sample

SIDE = 480
"""longest side of a picture, in pixels"""
QUALITY = 80
"""of its JPEG"""
SCORES = {"likeness": "likeness", "predicted_iou": "predicted IoU", "stability_score": "stability"}


def write_sheet(
    samples: Sequence[Sample],
    folder: Path,
    title: str,
    *,
    per_page: int = 100,
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write pages of so many images each into a new folder; the path of the first.

    Raises OutputError where the folder holds something, and DataError or ImageError for a sample that is wrong, unless
    `problems` keep going.
    """
    problems, done = problems or Problems(), 0
    pages = max(1, -(-len(samples) // per_page))
    names = ["index.html", *(f"page_{number}.html" for number in range(2, pages + 1))]
    template = (resources.files(__package__) / "contact_sheet.html").read_text(encoding="utf-8")
    about = {"title": title, "total": len(samples), "pages": pages, "names": names}
    with new_folder(folder) as unfinished:
        for page, chunk in enumerate(chunks(samples, per_page), 1):
            items = []
            for sample in chunk:
                with problems.noted():
                    items.append(_item(sample))
                sample.forget()
                done += 1
                if progress:
                    progress(done, len(samples))
            content = in_script({**about, "page": page, "items": items})
            with replacing(unfinished / names[page - 1]) as temporary:
                temporary.write_text(template.replace("__SHEET__", content), encoding="utf-8")
    return folder / names[0]


def _item(sample: Sample) -> dict[str, Any]:
    """An image as the page shows it, larger masks below smaller ones."""
    sample.check_masks()
    image = sample.image()
    height, width = image.shape[:2]
    small, _ = fit_within(image, SIDE)
    shown = small.shape[1], small.shape[0]
    annotations = sorted(sample.record["annotations"], key=lambda each: -rle.area(each["segmentation"]))
    return {
        "name": sample.name,
        "size": f"{width}×{height}",
        "width": shown[0],
        "height": shown[1],
        "image": jpeg(small),
        "masks": [_mask(sample, annotation, shown) for annotation in annotations],
    }


def _mask(sample: Sample, annotation: Record, shown: tuple[int, int]) -> dict[str, Any]:
    mask = sample.mask(annotation).astype(np.uint8) * 255
    small = cv2.resize(mask, shown, interpolation=cv2.INTER_AREA) if mask.shape[::-1] != shown else mask
    inside = small > 127 if (small > 127).any() else small > 0  # what is thin does not vanish
    rings = [ring for part in polygons(inside) for ring in (part.outer, *part.holes)]
    category = annotation.get("category")
    return {
        "category": None if category is None else str(category),
        "about": _about(annotation),
        "path": "".join(_path(ring) for ring in rings),
    }


def _about(annotation: Record) -> str:
    parts = [str(annotation[key]) for key in ("category",) if annotation.get(key) is not None]
    parts.append(f"mask {annotation.get('id')}")
    parts.append(f"{rle.area(annotation['segmentation']):,} pixels")
    for key, name in SCORES.items():
        if isinstance(annotation.get(key), (int, float)):
            parts.append(f"{name} {annotation[key]:.2f}")
    return ", ".join([*parts, *(["crowd"] if annotation.get("iscrowd") else [])])


def _path(ring: Ring) -> str:
    """A ring, whose lines are upright and level in turn, as an SVG path."""
    steps = np.diff(ring, axis=0)
    moves = "".join(f"h{x}" if x else f"v{y}" for x, y in steps.tolist())
    return f"M{ring[0, 0]} {ring[0, 1]}{moves}z"


def in_script(content: Any) -> str:
    """JSON that may stand in the script of a page, whatever texts are in it."""
    return json.dumps(content).replace("<", "\\u003c")


def jpeg(pixels: NDArray[Any]) -> str:
    """An H×W×3 uint8 RGB image as a URL that holds it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
