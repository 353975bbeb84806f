"""The page on which people rate masks: one HTML file that needs no network and names no source (appendix E)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ConfigError, DataError
from ..files import replacing, write_json
from ..predict.render import AMBER, GREEN, RED, WHITE
from ..task import rle
from ..task.boxes import mask_boxes
from ..task.prompts import Label, Prompt
from .human import Entry

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SCENE_SIDE, ZOOM_SIDE = 560, 760
"""longer side of the two pictures of a mask, in pixels"""
SCENE_FACTOR, ZOOM_FACTOR = 3.0, 1.3
"""how much longer a side of each is than the mask with its prompt"""
SCENE_LEAST, ZOOM_LEAST = 240, 32
"""shortest longer side of what each shows, in pixels of the image"""
PINK, BLACK = (255, 0, 128), (0, 0, 0)
FILL_ALPHA = 64
"""opacity of the mask's fill, of 255"""


@dataclass(frozen=True, eq=False)
class Item(Entry):
    """A mask to be rated.

    Attributes:
        pixels: the image, H×W×3 uint8 RGB.
        mask: H×W.
        prompt: what the mask answers, and is shown with.
    """

    pixels: Pixels
    mask: Mask
    prompt: Prompt


def write_page(path: str | Path, items: Sequence[Item], key_path: str | Path, seed: int = 0) -> None:
    """Write the page, and apart from it the key, which says whose each mask is.

    The order is shuffled by `seed`, in rounds that show every object once, so that the masks of one lie far apart. The
    same items and seed give the same files. Raises ConfigError where both are to be one file, and DataError for no
    items and for a mask that is not its image's size.
    """
    if Path(path).resolve() == Path(key_path).resolve():
        raise ConfigError(f"{path}: is to be both the page and its key; name another file for the key")
    _check(items)
    study = _study_id(items, seed)
    rng = random.Random(study)
    ordered = _in_rounds(items, rng)
    numbers = [f"{number:08x}" for number in rng.sample(range(16**8), len(ordered))]
    key = {number: _entry(item) for number, item in zip(numbers, ordered, strict=True)}
    write_json(key_path, {"study": study, "seed": seed, "items": key}, indent=1)
    template = (resources.files(__package__) / "human_page.html").read_text(encoding="utf-8")
    head, tail = template.split("__STUDY__")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{head}{{"study": "{study}", "items": [')
        for i, (number, item) in enumerate(zip(numbers, ordered, strict=True)):
            file.write(",\n" * (i > 0) + json.dumps({"id": number, **_pictures(item)}))
        file.write(f"]}}{tail}")


def _entry(item: Item) -> dict[str, Any]:
    """What the key says of a mask."""
    return {field.name: getattr(item, field.name) for field in fields(Entry)}


def _check(items: Sequence[Item]) -> None:
    if not items:
        raise DataError("no masks to rate; draw at least one object")
    for item in items:
        if item.mask.shape != item.pixels.shape[:2]:
            raise DataError(
                f"{item.data}: the mask of object {item.object_id} from {item.source} has size "
                f"{list(item.mask.shape)}, the image {list(item.pixels.shape[:2])}"
            )


def _study_id(items: Sequence[Item], seed: int) -> str:
    """A number that other masks, or another order of them, would not have."""
    digest = hashlib.sha256(str(seed).encode())
    for item in items:
        digest.update(json.dumps([item.source, item.data, item.object_id, rle.encode(item.mask)]).encode())
    return digest.hexdigest()[:16]


def _in_rounds(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The items in a random order in which those of one object are in different rounds."""
    by_object: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        by_object[item.object].append(item)
    rounds: dict[int, list[Item]] = defaultdict(list)
    for masks in by_object.values():
        for turn, item in enumerate(rng.sample(masks, len(masks))):
            rounds[turn].append(item)
    return [item for turn in sorted(rounds) for item in rng.sample(rounds[turn], len(rounds[turn]))]


@dataclass(frozen=True)
class _View:
    """A window of an image, x0, y0, x1, y1 in its pixels, shown at `scale`."""

    x0: int
    y0: int
    x1: int
    y1: int
    scale: float

    @classmethod
    def around(cls, extent: NDArray[np.float64], shape: tuple[int, ...], factor: float, least: int, side: int) -> _View:
        """A square around the `extent`, a box, `factor` times as long; moved into the image, or cut to it."""
        length = max(least, factor * float((extent[2:] - extent[:2]).max()))
        edges = []
        for low, high, limit in zip(extent[:2], extent[2:], shape[1::-1], strict=True):
            start = min(max(0.0, (low + high - length) / 2), max(0.0, limit - length))
            edges.append((int(start), min(limit, int(np.ceil(start + length)))))
        (x0, x1), (y0, y1) = edges
        return cls(x0, y0, x1, y1, side / max(x1 - x0, y1 - y0))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        return max(1, round((self.x1 - self.x0) * self.scale)), max(1, round((self.y1 - self.y0) * self.scale))

    def show(self, pixels: Pixels) -> Pixels:
        """The window of H×W×C pixels at the picture's size."""
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(pixels[self.y0 : self.y1, self.x0 : self.x1], self.size, interpolation=method))

    def place(self, points: NDArray[np.float64]) -> list[list[int]]:
        """The picture's pixels that hold N×2 points of the image."""
        places: list[list[int]] = np.floor((points - [self.x0, self.y0]) * self.scale).astype(int).tolist()
        return places


def _pictures(item: Item) -> dict[str, str]:
    """The pictures of a mask as data URLs: `scene`, the image around it; `zoom`, closer; `mask`, to lie over `zoom`."""
    parts = [item.prompt.points, item.prompt.points]
    if item.mask.any():
        parts.append((mask_boxes(item.mask[None])[0] + [0, 0, 1, 1]).reshape(2, 2))
    if item.prompt.box is not None:
        parts.append(item.prompt.box.reshape(2, 2))
    corners = np.concatenate(parts)
    extent = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    shape = item.mask.shape
    scene = _View.around(extent, shape, SCENE_FACTOR, SCENE_LEAST, SCENE_SIDE)
    zoom = _View.around(extent, shape, ZOOM_FACTOR, ZOOM_LEAST, ZOOM_SIDE)
    overview = scene.show(item.pixels)
    _draw_prompt(overview, item.prompt, scene)
    return {
        "prompt": "click" if item.prompt.box is None else "box",
        "scene": _data_url(overview, "JPEG", quality=85),
        "zoom": _data_url(zoom.show(item.pixels), "JPEG", quality=85),
        "mask": _data_url(_overlay(item, zoom), "PNG", optimize=True),
    }


def _overlay(item: Item, view: _View) -> Pixels:
    """The mask's fill and outline with the prompt, on a clear ground: h×w×4."""
    inside = view.show(item.mask.astype(np.float32)) > 0.5
    contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    overlay = _layer(PINK, inside * np.uint8(FILL_ALPHA))
    for colour, width in ((WHITE, 4), (PINK, 2)):  # white beside it, for photos that are pink themselves
        line = np.zeros(inside.shape, np.uint8)
        cv2.drawContours(line, contours, -1, 255, width, cv2.LINE_AA)
        overlay = Image.alpha_composite(overlay, _layer(colour, line))
    canvas = np.array(overlay)
    _draw_prompt(canvas, item.prompt, view)
    return canvas


def _layer(colour: tuple[int, int, int], opacity: Pixels) -> Image.Image:
    """A picture of one colour, h×w, as opaque as 0 to 255 say."""
    return Image.fromarray(np.dstack([np.full((*opacity.shape, 3), colour, np.uint8), opacity]))


def _draw_prompt(canvas: Pixels, prompt: Prompt, view: _View) -> None:
    """Draw box and clicks, a plus or a minus in each, on h×w×3 or h×w×4."""
    if prompt.box is not None:
        first, last = view.place(prompt.box.reshape(2, 2))
        cv2.rectangle(canvas, first, last, (*BLACK, 255), 4)
        cv2.rectangle(canvas, first, last, (*AMBER, 255), 2)
    for (x, y), label in zip(view.place(prompt.points), prompt.labels, strict=True):
        cv2.circle(canvas, (x, y), 10, (*BLACK, 255), -1)
        cv2.circle(canvas, (x, y), 9, (*WHITE, 255), -1)
        cv2.circle(canvas, (x, y), 7, (*(GREEN if label == Label.FOREGROUND else RED), 255), -1)
        cv2.line(canvas, (x - 4, y), (x + 4, y), (*WHITE, 255), 2)
        if label == Label.FOREGROUND:
            cv2.line(canvas, (x, y - 4), (x, y + 4), (*WHITE, 255), 2)


def _data_url(pixels: Pixels, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
