"""Images with a PNG each whose pixel values are ids of objects: grey of 8 or 16 bits, a palette, or colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..sample import Record, Sample
from .label_map import Labels, read_labels
from .pairs import Pair, Pairing
from .records import check_size


def open_instance_png(
    path: str | Path,
    images: str | Path | None = None,
    *,
    mask_ending: str = ".png",
    image_ending: str = "",
    swap: tuple[str, str] = ("", ""),
    only: Sequence[str] = (),
    ignored: Sequence[int] = (0,),
    uncertain: Sequence[int] = (),
    names: Mapping[int, str] | None = None,
) -> list[Sample]:
    """The samples of a folder of maps and a folder of images, which may be the same, or have like subfolders.

    How names match is said in `Pairing`, what ids stand for in `Labels`. Raises DataError where a map has no image.
    """
    pairing = Pairing(mask_ending, image_ending, swap, only)
    return open_maps(path, images, pairing, Labels(ignored, uncertain, names or {}))


def open_maps(path: str | Path, images: str | Path | None, pairing: Pairing, labels: Labels) -> list[Sample]:
    """The samples of a folder of maps of ids."""
    pairs = pairing.pairs(Path(path), Path(images or path))
    return [Sample(pair.mask, pair.name, partial(_read, pair, labels), pair.image) for pair in pairs]


def _read(pair: Pair, labels: Labels) -> Record:
    ids = read_labels(pair.mask)
    height, width = check_size(pair.mask, ids.shape, pair.image)
    image = {"image_id": pair.name, "file_name": pair.image.name, "width": width, "height": height}
    return {"image": image, "annotations": labels.annotations(ids)}
