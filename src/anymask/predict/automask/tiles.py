"""Everything in an image that is too large for memory: tile by tile, and what crosses the seams made whole again.

Neighbouring tiles overlap. Two masks of two tiles belong to one instance where, within the overlap, they are the same
mask. Where a tile shows the instance whole, its mask stands; else the pieces of all tiles that it crosses are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...journal import Journal
from ...task import rle
from ...task.large_image import LargeImage, large_shape, read_part
from .candidates import Candidate, suppress
from .generator import Progress, SamAutomaticMaskGenerator
from .grid import Crop

SAME = 0.75
"""least IoU, within the overlap of two tiles, of the parts of one instance"""
PLACES = ("box", "point", "crop")
"""fields of a candidate that are tuples, which JSON does not have"""


@dataclass(frozen=True, eq=False)
class Part:
    """A mask as one tile shows it.

    Attributes:
        candidate: the mask, in pixels of the tile.
        tile: where that lies in the image.
        is_cut: whether the mask reaches an edge of the tile that is not one of the image.
    """

    candidate: Candidate
    tile: Crop
    is_cut: bool

    @classmethod
    def of(cls, candidate: Candidate, tile: Crop, shape: tuple[int, int]) -> Part:
        """What a tile of an image of (height, width) shows."""
        box, (left, top, right, bottom), (height, width) = _shifted(candidate.box, tile), tile, shape
        is_cut = (
            (left > 0 and box[0] <= left + 1)
            or (top > 0 and box[1] <= top + 1)
            or (right < width and box[2] >= right - 2)
            or (bottom < height and box[3] >= bottom - 2)
        )
        return cls(candidate, tile, is_cut)

    def within(self, area: Crop) -> NDArray[np.bool_]:
        """The mask in an area of the image that lies in the tile."""
        x0, y0 = self.tile[:2]
        return rle.decode(self.candidate.mask)[area[1] - y0 : area[3] - y0, area[0] - x0 : area[2] - x0]

    def touches(self, area: Crop) -> bool:
        """Whether the mask's box reaches into an area of the image."""
        x0, y0, x1, y1 = _shifted(self.candidate.box, self.tile)
        return x0 < area[2] and x1 >= area[0] and y0 < area[3] and y1 >= area[1]


def tile_grid(height: int, width: int, side: int, overlap: float) -> list[list[Crop]]:
    """Rows of tiles of at most side×side pixels that cover the image; neighbours share at least `overlap` of a side.

    Raises ConfigError for a side below 64 pixels and for an overlap that is not over 0 and at most half.
    """
    if side < 64:
        raise ConfigError(f"tile: expected a side of at least 64 pixels, got {side}")
    if not 0 < overlap <= 0.5:
        raise ConfigError(f"overlap: expected a part of the side over 0 and at most .5, got {overlap}")
    rows, columns = (_spread(length, side, int(side * overlap) or 1) for length in (height, width))
    return [[(x, y, min(x + side, width), min(y + side, height)) for x in columns] for y in rows]


def _spread(length: int, side: int, shared: int) -> list[int]:
    """Where the tiles along an axis begin, evenly apart."""
    count = max(1, -(-(length - shared) // (side - shared)))
    return [round(i * (length - side) / (count - 1)) for i in range(count)] if count > 1 else [0]


def everything_in_tiles(
    generator: SamAutomaticMaskGenerator,
    image: LargeImage,
    tile: int = 1024,
    overlap: float = 0.25,
    progress: Progress | None = None,
    journal: Path | None = None,
) -> list[Candidate]:
    """All masks of a large image, in its pixels; in memory are all masks as RLE, and one tile's pixels.

    Args:
        generator: finds the masks of a tile.
        image: H×W×3 uint8 RGB, read by slices.
        tile: side of the tiles in pixels. No mask is finer than a tile gives, whatever the image's size.
        overlap: of neighbouring tiles, as part of their side. What is smaller is whole in one of them.
        progress: called with the tiles that are done, and all.
        journal: a file that keeps what each tile gave, so that a call that was cut goes on where it stopped. It tells
            images apart by their shape alone.

    Raises ImageError where the image is no H×W×3 uint8, ConfigError for tiles that cannot be, and OutputError for a
    journal that cannot be written or is of another model, image shape or options.
    """
    shape = large_shape(image)
    grid = tile_grid(*shape, tile, overlap)
    with ExitStack() as stack:
        kept: Journal | None = None
        if journal is not None:
            settings = {"shape": list(shape), "tile": tile, "overlap": overlap, **_settings(generator)}
            kept = stack.enter_context(Journal(journal, settings))

        def find(crop: Crop) -> list[Part]:
            return [Part.of(candidate, crop, shape) for candidate in _in_tile(generator, image, crop, kept)]

        groups = _joined(grid, find, progress)
    whole = [candidate for parts in groups for candidate in _instances(parts, shape)]
    return suppress(whole, [candidate.predicted_iou for candidate in whole], generator.box_nms_thresh)


def _joined(grid: list[list[Crop]], find: Callable[[Crop], list[Part]], progress: Progress | None) -> Groups:
    """What is found in the tiles, as parts that are joined across the seams."""
    total = len(grid) * len(grid[0])
    groups = Groups()
    above: list[list[Part]] = []
    for row, tiles in enumerate(grid):
        now: list[list[Part]] = []
        for column, crop in enumerate(tiles):
            parts = find(crop)
            groups.add(parts)
            for neighbour in [*now[-1:], *above[max(0, column - 1) : column + 2]]:
                _join(groups, neighbour, parts)
            now.append(parts)
            if progress:
                progress(row * len(tiles) + column + 1, total)
        above = now
    return groups


def _in_tile(
    generator: SamAutomaticMaskGenerator, image: LargeImage, crop: Crop, kept: Journal | None
) -> list[Candidate]:
    """The masks of a tile in its pixels, from the journal where it has them."""
    name = ",".join(str(side) for side in crop)
    if kept is not None and name in kept.done:
        return [Candidate(**{**row, **{key: tuple(row[key]) for key in PLACES}}) for row in kept.done[name]]
    found = list(generator.candidates(read_part(image, crop)))
    if kept is not None:
        kept.write(name, [asdict(candidate) for candidate in found])
    return found


def _settings(generator: SamAutomaticMaskGenerator) -> dict[str, Any]:
    """What decides the masks of a tile."""
    runtime = generator.predictor.runtime
    return {"weights": runtime.weights, "runtime": str(runtime), **generator.options}


class Groups:
    """Parts that belong together, as sets that are joined."""

    def __init__(self) -> None:
        self._group: dict[Part, list[Part]] = {}

    def add(self, parts: Sequence[Part]) -> None:
        """New parts, each by itself."""
        for part in parts:
            self._group[part] = [part]

    def join(self, a: Part, b: Part) -> None:
        """Say that two parts belong together."""
        small, large = sorted((self._group[a], self._group[b]), key=len)
        if small is not large:
            large += small
            for part in small:
                self._group[part] = large

    def __iter__(self) -> Iterator[list[Part]]:
        return iter({id(group): group for group in self._group.values()}.values())


def _join(groups: Groups, before: Sequence[Part], now: Sequence[Part]) -> None:
    """Join the parts of two overlapping tiles that are one mask in the overlap.

    A mask that no tile cuts has nothing outside of its own tile, which is held against its partner, and it takes all
    that are the same. Of those that are cut each has one partner at most.
    """
    if not before or not now:
        return
    a, b = before[0].tile, now[0].tile
    area = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    if area[0] >= area[2] or area[1] >= area[3]:
        return
    left, right = ([part for part in parts if part.touches(area)] for parts in (before, now))
    if not left or not right:
        return
    cut = [np.array([part.is_cut for part in parts]) for parts in (left, right)]
    whole = ~(cut[0][:, None] & cut[1])
    overlaps = _overlaps(left, right, area)
    for i, j in np.argwhere(whole & (overlaps >= SAME)):
        groups.join(left[i], right[j])
    overlaps[whole] = 0
    while overlaps.max() >= SAME:
        i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
        groups.join(left[int(i)], right[int(j)])
        overlaps[i], overlaps[:, j] = 0, 0


def _overlaps(left: Sequence[Part], right: Sequence[Part], area: Crop) -> NDArray[np.float64]:
    """IoU of each part with each: L×R. It counts the area, and what else a part has where the other is not cut."""
    masks = [np.stack([part.within(area).ravel() for part in parts]).astype(np.float32) for parts in (left, right)]
    inside = [each.sum(1) for each in masks]
    full = [np.array([rle.area(part.candidate.mask) for part in parts]) for parts in (left, right)]
    cut = [np.array([part.is_cut for part in parts]) for parts in (left, right)]
    of_left = np.where(cut[1], inside[0][:, None], full[0][:, None])
    of_right = np.where(cut[0][:, None], inside[1], full[1])
    both = masks[0] @ masks[1].T
    return np.asarray(both / np.maximum(of_left + of_right - both, 1), np.float64)


def _instances(parts: Sequence[Part], shape: tuple[int, int]) -> Iterator[Candidate]:
    """What the parts that belong together are: those that no tile cuts, or else all of them joined."""
    whole = [part for part in parts if not part.is_cut]
    if whole:
        yield from (_merged([part], shape) for part in whole)
    else:
        yield _merged(parts, shape)


def _merged(parts: Sequence[Part], shape: tuple[int, int]) -> Candidate:
    """One candidate of all parts of an instance, in pixels of the image; its figures are those of the largest part."""
    areas = [rle.area(part.candidate.mask) for part in parts]
    largest = parts[int(np.argmax(areas))]
    boxes = np.array([_shifted(part.candidate.box, part.tile) for part in parts])
    x0, y0 = (int(n) for n in boxes[:, :2].min(0))
    x1, y1 = (int(n) for n in boxes[:, 2:].max(0))
    masks = [rle.encode_part(rle.decode(part.candidate.mask), part.tile[1], part.tile[0], shape) for part in parts]
    x, y = largest.candidate.point
    return replace(
        largest.candidate,
        mask=rle.union(masks),
        box=(x0, y0, x1, y1),
        point=(x + largest.tile[0], y + largest.tile[1]),
        crop=largest.tile,
    )


def _shifted(box: tuple[int, int, int, int], tile: Crop) -> tuple[int, int, int, int]:
    return box[0] + tile[0], box[1] + tile[1], box[2] + tile[0], box[3] + tile[1]
