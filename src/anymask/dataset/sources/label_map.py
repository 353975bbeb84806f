"""Images whose pixel values are ids, of objects or of classes, to annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import DataError
from ...task import rle
from ..sample import Record

LabelMap = NDArray[np.int64]
"""H×W ids"""


@dataclass(frozen=True)
class Labels:
    """What the ids of a map stand for."""

    ignored: Sequence[int] = (0,)
    """ids of no object, such as the background"""
    uncertain: Sequence[int] = ()
    """ids of pixels that count neither way; they become the `ignore` of every object"""
    names: Mapping[int, str] = field(default_factory=dict)
    """categories by id"""
    components: bool = False
    """whether each 8-connected part of an id is an object of its own, as in a map of classes"""
    min_area: int = 1
    """pixels below which an object is left out"""

    def __post_init__(self) -> None:
        try:  # JSON and TOML have no keys but text
            object.__setattr__(self, "names", {int(label): name for label, name in self.names.items()})
        except (AttributeError, TypeError, ValueError):
            raise DataError(f"option names: expected ids with a name each, got {self.names!r:.60}") from None

    def annotations(self, labels: LabelMap) -> list[Record]:
        """A record for each object of the map, with its id there as `label`."""
        ignore = rle.encode(np.isin(labels, self.uncertain)) if len(self.uncertain) else None
        left_out = {*self.ignored, *self.uncertain}
        labels = np.asfortranarray(labels)  # RLE goes down the columns
        annotations: list[Record] = []
        for label in (int(number) for number in np.unique(labels)):
            if label in left_out:
                continue
            for mask, area in self._objects(labels == label):
                number = len(annotations) + 1 if self.components else label
                record: Record = {"id": number, "segmentation": rle.encode(mask), "area": area, "label": label}
                record |= {"category": self.names[label]} if label in self.names else {}
                annotations.append(record | ({"ignore": ignore} if ignore else {}))
        return annotations

    def _objects(self, mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], int]]:
        """The objects of one id, with their areas."""
        if not self.components:
            area = int(np.count_nonzero(mask))
            if area >= self.min_area:
                yield mask, area
            return
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.T.astype(np.uint8), connectivity=8)
        for number in range(1, count):
            area = int(stats[number, cv2.CC_STAT_AREA])
            if area >= self.min_area:
                yield np.asarray(parts == number).T, area


def read_labels(path: Path) -> LabelMap:
    """The ids of an image file: its grey values or palette indices, or its colours as red + 256 green + 65536 blue.

    Raises DataError where it cannot be read, or has another kind of pixels.
    """
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.asarray(image)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        reason = getattr(error, "strerror", None) or "not an image that Pillow can read"
        raise DataError(f"{path}: {reason}; expected an image of ids") from None
    if mode in ("RGB", "RGBA"):
        return colour_ids(values)
    if mode in ("LA", "PA"):
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DataError(f"{path}: has pixels of mode {mode}; expected grey values, a palette, or colours as ids")
    return values.astype(np.int64)


def colour_ids(colours: NDArray[Any]) -> LabelMap:
    """H×W×3 (or 4, of which the last is not looked at) colours as ids: red + 256 green + 65536 blue."""
    return colours[..., :3].astype(np.int64) @ np.array([1, 256, 65536])
