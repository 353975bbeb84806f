"""Views of labelled images as a frozen backbone sees them, kept on disk, with what each cell shows as targets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...dataset.sample import Sample
from ...errors import ConfigError, DataError, OutputError
from ...files import make_folder, write_json
from ...model.text.detector import STRIDE, TextDetector
from ...model.text.words import check_text
from ...task.boxes import mask_boxes
from ...task.frame import ImageFrame
from ..augment import draw_frame, jitter_colour
from ..sources import is_held_out, open_source
from .config import TextRecipe

MANIFEST = "manifest.json"
"""file that says what made the views of a folder, and how many are written"""
SAVE_EVERY = 100
"""views between two writings of the manifest"""
MIN_PIXELS = 100
"""smallest thing that is learned from, in pixels of the model frame"""
NOTHING = -1
"""label of a cell without a thing"""
GUESSES = 4
"""classes of the ImageNet classifier that are kept of each cell of stride 32"""

Progress = Callable[[int, int], None]
"""told of the views that are made and of all there are"""


@dataclass(frozen=True)
class View:
    """One view of an image of a source: the first is the image as it is."""

    source: str
    sample: Sample
    number: int
    held_out: bool


class Plan:
    """All views of a run, in the order in which they are made.

    Attributes:
        views: the views.
        labels: the labels of all sources, in order; a label's place is its number.
        known: source to the numbers of the labels whose absence from an image of it tells something.
        crowds: source and image to the numbers of the labels that the image has as a crowd.

    Raises DataError where a source has no categories, or nothing to hold out.
    """

    def __init__(self, recipe: TextRecipe, data: Path) -> None:
        found = {name: open_source(data, name, source) for name, source in recipe.sources.items()}
        crowds: dict[tuple[str, str], set[str]] = {}
        of_source = {name: _labels(name, samples, crowds) | {*recipe.absent} for name, samples in found.items()}
        self.labels = sorted(set().union(*of_source.values()))
        number = {label: i for i, label in enumerate(self.labels)}
        self.known = {name: [number[label] for label in sorted(labels)] for name, labels in of_source.items()}
        self.crowds = {key: [number[label] for label in labels & number.keys()] for key, labels in crowds.items()}
        self.views = [
            View(name, sample, turn, is_held_out(sample, recipe.held_out))
            for turn in range(max(source.views for source in recipe.sources.values()))
            for name, source in recipe.sources.items()
            if turn < source.views
            for sample in found[name]
            if not (turn and is_held_out(sample, recipe.held_out))  # which is looked at once, as it is
        ]
        if not any(view.held_out for view in self.views):
            raise DataError(f"held_out: of {len(self.views)} views none is held out; raise it, or give more images")


class Store:
    """Arrays over all views, on disk.

    Attributes, G cells of 16 pixels to a side of the frame:
        stride16, stride32: what the backbone sees, C×G×G and C×(G/2)×(G/2), in half precision.
        labels: number of the label of the smallest thing that covers a cell, and of the largest, 2×G×G.
        boxes: their boxes in the model frame, 2×G×G×4.
        sides: height and width of the image within the frame.
        guesses, trust: the ImageNet classes of a cell at stride 32 and their probabilities, (G/2)×(G/2)×4.
    """

    stride16: NDArray[np.float16]
    stride32: NDArray[np.float16]
    labels: NDArray[np.int16]
    boxes: NDArray[np.float16]
    sides: NDArray[np.int16]
    guesses: NDArray[np.int16]
    trust: NDArray[np.float16]

    def __init__(self, folder: Path, count: int, detector: TextDetector, anew: bool) -> None:
        *_, at16, at32 = detector.backbone.channels
        side, slots = detector.config.size // STRIDE, detector.config.slots
        half = side // 2
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "stride16": (np.float16, (at16, side, side)),
            "stride32": (np.float16, (at32, half, half)),
            "labels": (np.int16, (slots, side, side)),
            "boxes": (np.float16, (slots, side, side, 4)),
            "sides": (np.int16, (2,)),
            "guesses": (np.int16, (half, half, GUESSES)),
            "trust": (np.float16, (half, half, GUESSES)),
        }
        missing = {name: kind for name, kind in shapes.items() if anew or not (folder / f"{name}.npy").exists()}
        if missing and not anew:
            raise DataError(f"{folder}: {', '.join(missing)} are gone; remove the folder, and the views are made anew")
        needed = sum(count * int(np.prod(shape)) * np.dtype(kind).itemsize for kind, shape in missing.values())
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise OutputError(
                f"{folder}: the views take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; free space"
            )
        for name, (kind, shape) in shapes.items():
            mode: Any = "w+" if name in missing else "r+"
            setattr(self, name, np.lib.format.open_memmap(folder / f"{name}.npy", mode, kind, (count, *shape)))

    def flush(self) -> None:
        """Write what is in memory."""
        for value in vars(self).values():
            value.flush()


def make_views(
    recipe: TextRecipe,
    plan: Plan,
    detector: TextDetector,
    classifier: nn.Module,
    folder: Path,
    report: Progress | None = None,
) -> Store:
    """Put all views of a plan into a folder; what is there stays, so that a run that was cut goes on.

    Args:
        recipe: says how the images are changed.
        plan: the views.
        detector: its backbone is what sees them.
        classifier: maps the backbone's last features to the logits of ImageNet's classes.
        folder: of this recipe's views alone.
        report: called after each view.

    Raises ConfigError where the folder holds other views, DataError where some are gone, OutputError where there is no
    room.
    """
    make_folder(folder)
    about = _about(recipe, plan)
    done = _claim(folder, about)
    store = Store(folder, len(plan.views), detector, anew=done == 0)
    number = {label: i for i, label in enumerate(plan.labels)}
    for i, view in enumerate(plan.views[done:], done):
        pixels, masks, labels = draw_view(view, recipe)
        _look(store, i, pixels, detector, classifier)
        store.labels[i], store.boxes[i] = targets(masks, [number[label] for label in labels], detector.config.size)
        if (i + 1) % SAVE_EVERY == 0 or i + 1 == len(plan.views):
            store.flush()
            write_json(folder / MANIFEST, {**about, "done": i + 1})
        view.sample.forget()
        if report:
            report(i + 1, len(plan.views))
    return store


def draw_view(view: View, recipe: TextRecipe) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]], list[str]]:
    """Pixels h×w×3 of a view, how far each thing covers each of them, and the things' labels."""
    sample = view.sample
    rng = np.random.default_rng([recipe.seed, view.number, crc32(f"{view.source}/{sample.name}".encode())])
    image = sample.image()
    named = [annotation for annotation in sample.annotations if annotation.get("category")]
    masks = [sample.mask(annotation) for annotation in named]
    frame, mirrored = ImageFrame(image.shape[0], image.shape[1], recipe.size), False
    if view.number and masks:
        frame = draw_frame(masks[rng.integers(len(masks))], recipe.size, recipe.jitter, rng)
        mirrored = bool(rng.random() < 0.5)
        image = jitter_colour(image, recipe.colour, rng)
    kept: list[tuple[NDArray[np.float32], str]] = []
    for mask, annotation in zip(masks, named, strict=True):
        covered = _placed(mask.astype(np.float32), frame, mirrored)
        if (covered > 0.5).sum() >= MIN_PIXELS:
            kept.append((covered, annotation["category"]))
    return _placed(image, frame, mirrored), [mask for mask, _ in kept], [label for _, label in kept]


def targets(
    masks: Sequence[NDArray[np.float32]], labels: Sequence[int], size: int
) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """What each cell shows, of N things that cover h×w pixels: labels 2×G×G and boxes 2×G×G×4.

    The first slot is the smallest thing that covers more than half of a cell, the second the largest. A thing that
    covers no cell so far has that of which it covers most.
    """
    cells = size // STRIDE
    found = np.full((2, cells, cells), NOTHING, np.int16)
    boxes = np.zeros((2, cells, cells, 4), np.float16)
    shares = [_shares(mask, cells) for mask in masks]
    by_size = sorted(range(len(masks)), key=lambda i: float(shares[i].sum()))
    for slot, order in enumerate((by_size[::-1], by_size)):  # the last one stays
        for i in order:
            inside = shares[i] > 0.5
            if not inside.any():
                inside = shares[i] == shares[i].max()
            found[slot][inside], boxes[slot][inside] = (
                labels[i],
                mask_boxes(masks[i][None] > 0.5)[0] + np.array([0, 0, 1, 1]),
            )
    return found, boxes


@torch.no_grad()
def _look(store: Store, i: int, pixels: NDArray[np.uint8], detector: TextDetector, classifier: nn.Module) -> None:
    device = detector.bias.device
    image = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(2, 0, 1)[None].float()
    *_, at16, at32 = detector.backbone(detector.preprocess(image).to(memory_format=torch.channels_last))
    trust, guesses = classifier(at32).softmax(dim=1).topk(GUESSES, dim=1)
    store.stride16[i], store.stride32[i] = _half(at16), _half(at32)
    store.guesses[i] = guesses[0].permute(1, 2, 0).cpu().numpy()
    store.trust[i] = _half(trust).transpose(1, 2, 0)
    store.sides[i] = pixels.shape[:2]


def _half(maps: Tensor) -> NDArray[np.float16]:
    return np.asarray(maps[0].half().cpu().numpy())


def _placed(pixels: NDArray[Any], frame: ImageFrame, mirrored: bool) -> NDArray[Any]:
    """A window of H×W pixels as it lies in the model frame, without padding."""
    window = pixels[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
    height, width = frame.resized
    placed = cv2.resize(np.ascontiguousarray(window), (width, height), interpolation=cv2.INTER_AREA)
    return placed[:, ::-1] if mirrored else placed


def _shares(mask: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """How much of each cell a mask covers: cells×cells."""
    padded = np.zeros((cells * STRIDE, cells * STRIDE), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    shares: NDArray[np.float32] = padded.reshape(cells, STRIDE, cells, STRIDE).mean(axis=(1, 3))
    return shares


def _labels(name: str, samples: Sequence[Sample], crowds: dict[tuple[str, str], set[str]]) -> set[str]:
    """All labels of a source; notes those that an image has as a crowd, which are there without a mask each."""
    found: set[str] = set()
    for sample in samples:
        for annotation in sample.record["annotations"]:
            label = annotation.get("category")
            if label and annotation.get("iscrowd"):
                crowds.setdefault((name, sample.name), set()).add(label)
            elif label:
                found.add(check_text(label.replace("-", " ")) and label)
        sample.forget()
    if not found:
        raise DataError(f"sources.{name}: its masks have no categories; expected names to learn")
    return found


def _about(recipe: TextRecipe, plan: Plan) -> dict[str, Any]:
    """What decides what the views are."""
    names = "\n".join(f"{view.source}/{view.sample.name}" for view in plan.views)
    settings = {key: getattr(recipe, key) for key in ("size", "colour", "seed")}
    return {**settings, "jitter": list(recipe.jitter), "labels": plan.labels, "views": crc32(names.encode())}


def _claim(folder: Path, about: dict[str, Any]) -> int:
    """How many views a folder holds already. Raises ConfigError where they are others."""
    path = folder / MANIFEST
    if not path.exists():
        return 0
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        done = int(found.pop("done"))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); remove the folder, and the views are made anew") from None
    if found != about:
        raise ConfigError(f"{folder}: holds the views of other data or of another recipe; remove it, or name a new -o")
    return done
