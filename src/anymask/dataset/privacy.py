"""Faces and licence plates made unrecognisable, as in SA-1B, with a record of what was done (§5)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from ..errors import DataError
from ..files import write_json
from .detectors import Detector, Image, Region
from .problems import Problems, Progress
from .sample import Sample

MARGIN = 0.15
"""how much of its sides a region is made wider on each side, for detectors cut off chins and hair"""
BLUR = 0.3
"""standard deviation of the blur, in parts of a region's longer side"""
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

Decisions = Mapping[str, Sequence[Region]]
"""by name of the image what is to be blurred"""


def detect(
    samples: Sequence[Sample],
    detectors: Sequence[Detector],
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Region]]:
    """What detectors find, by name of the image. Raises DataError or ImageError for an image that cannot be read."""
    problems = problems or Problems()
    found = {}
    for done, sample in enumerate(samples, 1):
        with problems.noted():
            image = sample.image()
            found[sample.name] = [region for detector in detectors for region in detector(image)]
        sample.forget()
        if progress:
            progress(done, len(samples))
    return found


def blur(image: Image, regions: Sequence[Region]) -> Image:
    """A copy of an H×W×3 image in which nothing in the regions can be recognised; the edges fade out."""
    blurred = image.copy()
    for region in regions:
        x0, y0, x1, y1 = region.box
        margin = MARGIN * max(x1 - x0, y1 - y0)
        left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
        right, bottom = min(image.shape[1], int(x1 + margin) + 1), min(image.shape[0], int(y1 + margin) + 1)
        if right > left and bottom > top:
            part = blurred[top:bottom, left:right]
            sigma = BLUR * max(part.shape[:2])
            cover = np.zeros(part.shape[:2], np.float32)
            inner = np.array([x0 - left, y0 - top, x1 - left, y1 - top]).round().astype(int)
            cover[max(0, inner[1]) : inner[3], max(0, inner[0]) : inner[2]] = 1  # all of the region itself
            fading = cv2.GaussianBlur(cover, (0, 0), max(margin / 3, 0.5))
            weight = np.maximum(cover, fading)[..., None]
            smooth = cv2.GaussianBlur(part, (0, 0), sigma).astype(np.float32)
            part[:] = (weight * smooth + (1 - weight) * part).round().astype(np.uint8)
    return blurred


class Blur:
    """Gives samples whose images are blurred where it was decided; the record of the image says so under `blurred`.

    Images in which nothing is to be blurred stay as they are, to the byte. Others are written anew, upright, and
    without what the camera noted, such as the place.

    Args:
        decisions: what to blur.
        complete: whether an image of which nothing was decided was not looked at, and is left out.

    Attributes:
        regions: how many were blurred.
    """

    def __init__(self, decisions: Decisions, complete: bool = False) -> None:
        self._decisions = decisions
        self._complete = complete
        self.regions = 0

    def __call__(self, sample: Sample) -> Sample | None:
        """The sample as it is to be written. Raises DataError where its image cannot be read or written."""
        regions = self._decisions.get(sample.name)
        if not regions:
            return None if regions is None and self._complete else sample
        self.regions += len(regions)
        content = _encoded(blur(sample.image(), regions), sample.image_path)
        about = {**sample.record["image"], "blurred": [asdict(region) for region in regions]}
        changed = sample.with_record({**sample.record, "image": about})
        return replace(changed, read_bytes=lambda: content)


def check_names(decisions: Decisions, samples: Sequence[Sample], path: Path) -> None:
    """Raise DataError where decisions that were read from `path` are of images that are not there."""
    unknown = sorted(decisions.keys() - {sample.name for sample in samples})
    if unknown:
        raise DataError(f"{path}: decides of {unknown[0]!r}, which is no image of the data; review this data")


def write_decisions(path: Path, decisions: Decisions, how: str = "") -> None:
    """Write what was found, or decided, as JSON: for each image its regions, and whether each is to be blurred."""
    images = {name: [{**asdict(r), "blur": True} for r in regions] for name, regions in decisions.items() if regions}
    write_json(path, {"how": how, "looked_at": len(decisions), "images": images}, indent=1)


def read_decisions(path: Path) -> dict[str, list[Region]]:
    """What is to be blurred, as `write_decisions` or the page of a review wrote it. Raises DataError where it is none.

    A region of which nothing is decided is blurred.
    """
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        return {name: [_region(each) for each in found if each.get("blur", True)] for name, found in images.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: holds no decisions ({reason}); expected what the page of a review saves") from None


def _region(told: Mapping[str, Any]) -> Region:
    x0, y0, x1, y1 = (float(side) for side in told["box"])
    if not np.isfinite([x0, y0, x1, y1]).all() or x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {told['box']} is none")
    return Region(str(told["kind"]), (x0, y0, x1, y1), told.get("score"))


def _encoded(image: Image, path: Path) -> bytes:
    """An image as a file of the kind that a path's suffix names."""
    buffer = io.BytesIO()
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: cannot be written as {path.suffix}; expected one of {', '.join(FORMATS)}")
    Pillow.fromarray(image).save(buffer, kind, quality=95)
    return buffer.getvalue()
