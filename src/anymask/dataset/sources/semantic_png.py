"""Images with a PNG each whose pixel values are classes: every connected part of a class is an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sample import Sample
from .instance_png import open_maps
from .label_map import Labels
from .pairs import Pairing


def open_semantic_png(
    path: str | Path,
    images: str | Path | None = None,
    *,
    mask_ending: str = ".png",
    image_ending: str = "",
    swap: tuple[str, str] = ("", ""),
    only: Sequence[str] = (),
    ignored: Sequence[int] = (0, 255),
    uncertain: Sequence[int] = (),
    names: Mapping[int, str] | None = None,
    components: bool = True,
    min_area: int = 1,
) -> list[Sample]:
    """The samples of a folder of class maps and a folder of images, which may be the same, or have like subfolders.

    Without `components` each class of an image is one mask. How names match is said in `Pairing`, what ids stand for
    in `Labels`. Raises DataError where a map has no image.
    """
    pairing = Pairing(mask_ending, image_ending, swap, only)
    return open_maps(path, images, pairing, Labels(ignored, uncertain, names or {}, components, min_area))
