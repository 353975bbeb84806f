"""What `anymask everything` does with each photo: read it, find its masks, write them; as a whole or in tiles."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import remove, write_json
from ..model.checkpoint import weights_hash
from ..predict.automask.generator import SamAutomaticMaskGenerator
from ..predict.automask.tiles import everything_in_tiles
from ..predict.labels import check_names, label_masks
from ..predict.render import cutout, overlay
from ..predict.text import TextFinder
from ..task import rle
from ..task.image import read_image
from ..task.large_image import LargeImage, large_shape, open_large, read_part
from .results import common_files, keep_foreign, sa1b_record, write_common, write_image

PREVIEW = 2000
"""longest side, in pixels, of the picture of a photo that is done in tiles"""
BLOCK = 256
"""rows of a photo that are read at once for its fingerprint"""

AT_ONCE = 64
"""masks that are named together"""

Named = tuple[Path, str]
"""a photo, and the stem of its results"""


class Photo(NamedTuple):
    """A photo with what decides its masks, where its results lie, and the record of an earlier run that did it."""

    pixels: LargeImage
    settings: dict[str, Any]
    files: dict[str, str]
    earlier: dict[str, Any] | None


class Found(NamedTuple):
    """A photo and the records of its masks."""

    photo: Photo
    records: list[dict[str, Any]]


class Namer:
    """Names masks, or leaves them unnamed.

    Args:
        names: what there may be.
        threshold: least probability of a name.
        model: the text detector, its name or its weights file.
        device: where it runs.
    """

    def __init__(self, names: Sequence[str], threshold: float, model: str, device: str) -> None:
        self.names, self.threshold = check_names(names), threshold
        self.finder = TextFinder(model, device)
        self.finder.phrases(self.names)  # which tells before the work if it cannot be done
        self.settings = {"labels": self.names, "threshold": threshold, "detector": weights_hash(self.finder.detector)}

    def __call__(self, pixels: NDArray[np.uint8], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records of all masks of an image, with `category` where one has a name, and how likely it is."""
        self.finder.set_pixels(pixels)
        named = []
        for start in range(0, len(records), AT_ONCE):
            some = records[start : start + AT_ONCE]
            masks = rle.decode_all([record["segmentation"] for record in some], (pixels.shape[0], pixels.shape[1]))
            for record, found in zip(some, label_masks(self.finder, masks, self.names, self.threshold), strict=True):
                told = {"category": found.name, "category_score": round(found.score, 4)} if found.name else {}
                named.append({**record, **told})
        return named


@dataclass
class Job:
    """A run over photos, in three steps that may run side by side: a photo and the stem of its results go in."""

    generator: SamAutomaticMaskGenerator
    folder: Path
    preset: str
    cutouts: bool
    again: bool
    update: Callable[[int, int], None] | None = None
    namer: Namer | None = None

    def read(self, item: Named) -> Photo:
        """The photo, and what an earlier run with the same settings found in it."""
        photo, stem = item
        sam = self.generator.predictor.model
        pixels = self._open(photo)
        settings = {
            "model": sam.config.name,
            "weights": sam.weights_hash,
            "preset": self.preset,
            "cutouts": self.cutouts,
            "precision": self.generator.predictor.runtime.precision,
            "options": self._options(),
            "image": _fingerprint(pixels),
            **({"names": self.namer.settings} if self.namer else {}),
        }
        files = self._files(stem)
        earlier = None if self.again else _done(Path(files["record"]), settings)
        if earlier is None or not all(Path(file).exists() for file in files.values()):
            keep_foreign(Path(files["record"]))
            earlier = None
        return Photo(pixels, settings, files, earlier)

    def work(self, item: Named, photo: Photo) -> Found:
        """The records of all its masks."""
        return Found(photo, photo.earlier["annotations"] if photo.earlier else self._find(item, photo))

    def write(self, item: Named, found: Found) -> dict[str, Any]:
        """Write the results; return what `--json` prints."""
        path, stem = item
        photo = found.photo
        summary = {"image": str(path), "masks": len(found.records), "done_before": False, "files": photo.files}
        if self.namer:
            summary["names"] = dict(Counter(r["category"] for r in found.records if "category" in r).most_common())
        if photo.earlier:
            return {**summary, "done_before": True}
        cutouts = self.folder / f"{stem}_cutouts"
        for stale in cutouts.glob("*.png"):
            if stale.stem.isdigit():
                remove(stale)
        if self.cutouts:
            for i, record in enumerate(found.records):
                write_image(cutouts / f"{i + 1:03}.png", _cutout(photo.pixels, record))
        self._write(item, found, sa1b_record(path, large_shape(photo.pixels), found.records, photo.settings))
        return summary

    def _open(self, path: Path) -> LargeImage:
        return read_image(path)

    def _options(self) -> dict[str, Any]:
        return self.generator.options

    def _files(self, stem: str) -> dict[str, str]:
        return common_files(self.folder, stem)

    def _find(self, item: Named, photo: Photo) -> list[dict[str, Any]]:
        records = self.generator.generate(photo.pixels, self.update)
        return self.namer(np.asarray(photo.pixels), records) if self.namer else records

    def _write(self, item: Named, found: Found, record: dict[str, Any]) -> None:
        masks = rle.Decoded([each["segmentation"] for each in found.records])
        write_common(self.folder, item[1], np.asarray(found.photo.pixels[:, :]), masks, record)


@dataclass
class TiledJob(Job):
    """A run over photos that are done tile by tile. One that is cut goes on behind the last tile that was done."""

    tile: int = 1024

    def _open(self, path: Path) -> LargeImage:
        return open_large(path)

    def _options(self) -> dict[str, Any]:
        return {**self.generator.options, "tile": self.tile}

    def _files(self, stem: str) -> dict[str, str]:
        return {kind: file for kind, file in common_files(self.folder, stem).items() if kind != "labels"}

    def _find(self, item: Named, photo: Photo) -> list[dict[str, Any]]:
        journal = self._journal(item, photo)
        if self.again:  # a plain run goes on with what this one leaves if it is cut
            remove(journal)
            remove(Path(photo.files["record"]))
        found = everything_in_tiles(self.generator, photo.pixels, self.tile, progress=self.update, journal=journal)
        return [self.generator.record(candidate) for candidate in found]

    def _write(self, item: Named, found: Found, record: dict[str, Any]) -> None:
        pixels, files = found.photo.pixels, found.photo.files
        height, width = large_shape(pixels)
        step = -(-max(height, width) // PREVIEW)
        masks = rle.Decoded([each["segmentation"] for each in found.records], step)
        write_image(Path(files["overlay"]), overlay(read_part(pixels, (0, 0, width, height), step), masks))
        remove(Path(common_files(self.folder, item[1])["labels"]))  # of an earlier run without tiles
        write_json(files["record"], record)

    def write(self, item: Named, found: Found) -> dict[str, Any]:
        """Write the results; return what `--json` prints."""
        summary = super().write(item, found)
        remove(self._journal(item, found.photo))
        return summary

    def _journal(self, item: Named, photo: Photo) -> Path:
        """What keeps the masks of the tiles that are done, until all are; its name tells images and settings apart."""
        decides = json.dumps([photo.settings, str(self.generator.predictor.runtime)], sort_keys=True)
        return self.folder / f"{item[1]}_{hashlib.sha256(decides.encode()).hexdigest()[:16]}_tiles.jsonl"


def _cutout(image: LargeImage, record: dict[str, Any]) -> NDArray[np.uint8]:
    """The cut-out of a mask; no more than its box is looked at."""
    x, y, width, height = (int(n) for n in record["bbox"])
    (rows, columns), margin = large_shape(image), 5  # into which the edge is softened
    box = max(0, x - margin), max(0, y - margin), min(columns, x + width + margin), min(rows, y + height + margin)
    return cutout(read_part(image, box), rle.decode_part(record["segmentation"], box))


def _fingerprint(image: LargeImage) -> str:
    """What tells an image from others, by its pixels."""
    height, width = large_shape(image)
    found = hashlib.sha256()
    for top in range(0, height, BLOCK):
        found.update(read_part(image, (0, top, width, min(top + BLOCK, height))).data)
    return found.hexdigest()[:16]


def _done(record: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The record of an earlier run that finished this photo with these settings; it is written last."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return found if found["anymask"] == settings else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
