"""Everything in an image that is too large for memory: tile by tile, and what crosses the seams made whole again.

Neighbouring tiles overlap. Two masks of two tiles belong to one instance where, within the overlap, they are the same
mask. Where a tile shows the instance whole, its mask stands; else the pieces of all tiles that it crosses are joined.
What a tile cuts off and no neighbour goes on with is dropped: it is looked for again in tiles of twice the side, seen
half as finely, and so on up to the whole image, as the paper does with zoomed crops the other way round (appendix B).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...journal import Journal
from ...task import rle
from ...task.boxes import nms
from ...task.duplicates import distinct
from ...task.groups import Groups
from ...task.image import MAX_ASPECT, MIN_SIDE
from ...task.large_image import LargeImage, Reduced, large_shape, read_part
from .candidates import Candidate
from .generator import Progress, SamAutomaticMaskGenerator
from .grid import Crop

SAME = 0.75
"""least IoU, within the overlap of two tiles, of the parts of one instance"""
FINER = 10.0
"""what a mask found a level finer is better by, so that no score makes up for it"""
PLACES = ("box", "point", "crop")
"""fields of a candidate that are tuples, which JSON does not have"""


@dataclass(frozen=True, eq=False)
class Part:
    """A mask as one tile shows it.

    Attributes:
        candidate: the mask, in pixels of the tile.
        tile: where that lies in the image.
        cut: whether the mask reaches the left, upper, right and lower edge of the tile, and that is none of the image.
    """

    candidate: Candidate
    tile: Crop
    cut: tuple[bool, bool, bool, bool]

    @classmethod
    def of(cls, candidate: Candidate, tile: Crop, shape: tuple[int, int]) -> Part:
        """What a tile of an image of (height, width) shows."""
        box, (left, top, right, bottom), (height, width) = _shifted(candidate.box, tile), tile, shape
        cut = (
            left > 0 and box[0] <= left + 1,
            top > 0 and box[1] <= top + 1,
            right < width and box[2] >= right - 2,
            bottom < height and box[3] >= bottom - 2,
        )
        return cls(candidate, tile, cut)

    @property
    def is_cut(self) -> bool:
        """Whether the instance may go on outside of the tile."""
        return any(self.cut)

    def goes_on(self, side: int, others: Sequence[Part]) -> bool:
        """Whether one of other parts shows what lies beyond a side, 0 to 3 as in `cut`."""
        mine = _shifted(self.candidate.box, self.tile)
        along = 1 - side % 2  # the axis that the side goes along
        for other in others:
            beyond = other.tile[side] < self.tile[side] if side < 2 else other.tile[side] > self.tile[side]
            theirs = _shifted(other.candidate.box, other.tile)
            if beyond and theirs[along] <= mine[along + 2] and theirs[along + 2] >= mine[along]:
                return True
        return False

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
        overlap: of neighbouring tiles, as part of their side. What is smaller is whole in one of them, and not looked
            for in larger ones.
        progress: called with the tiles that are done, and all, those of all levels.
        journal: a file that keeps what each tile gave, so that a call that was cut goes on where it stopped. It tells
            images apart by their shape alone.

    Raises ImageError where the image is no H×W×3 uint8, ConfigError for tiles that cannot be, and OutputError for a
    journal that cannot be written or is of another model, image shape or options.
    """
    shape = large_shape(image)
    tile_grid(*shape, tile, overlap)  # refuses what cannot be
    steps = [2**level for level in range(max(0, -(-max(shape) // tile) - 1).bit_length() + 1)]
    seen = {step: (-(-shape[0] // step), -(-shape[1] // step)) for step in steps}
    seen = {step: sides for step, sides in seen.items() if step == 1 or _can_be_seen(min(side, tile) for side in sides)}
    grids = {step: tile_grid(height, width, tile, overlap) for step, (height, width) in seen.items()}
    total, done = sum(len(row) for grid in grids.values() for row in grid), 0
    found: list[tuple[Sequence[Part], int]] = []  # instances, and every how many pixels their level sees
    boxes: list[tuple[int, int, int, int]] = []
    scores: list[float] = []
    with ExitStack() as stack:
        kept: Journal | None = None
        if journal is not None:
            settings = {"shape": list(shape), "tile": tile, "overlap": overlap, **_settings(generator)}
            kept = stack.enter_context(Journal(journal, settings))

        def tick() -> None:
            nonlocal done
            done += 1
            if progress:
                progress(done, total)

        for level, (step, grid) in enumerate(grids.items()):
            least = overlap * tile * step / 2 if level else 0.0  # what is smaller is whole in a finer tile
            for parts in _at(generator, image, step, grid, kept, tick):
                box = _box(parts, shape, step)
                if max(box[2] - box[0], box[3] - box[1]) >= least:
                    found.append((parts, step))
                    boxes.append(box)
                    scores.append(_largest(parts).candidate.predicted_iou - FINER * level)
    if not found:
        return []
    best_first = nms(np.array(boxes), np.array(scores), generator.box_nms_thresh)
    merged = [_merged(parts, step, shape) for parts, step in (found[place] for place in best_first)]
    order = [-float(place) for place in range(len(merged))]  # a few stray pixels make another box, not another mask
    return [merged[i] for i in distinct([each.mask for each in merged], order, generator.box_nms_thresh)]


def _can_be_seen(sides: Iterable[int]) -> bool:
    """Whether a model takes an image of such sides, as it does not the lower levels of a long and narrow one."""
    shorter, longer = sorted(sides)
    return shorter >= MIN_SIDE and longer <= MAX_ASPECT * shorter


def _at(
    generator: SamAutomaticMaskGenerator,
    image: LargeImage,
    step: int,
    grid: list[list[Crop]],
    kept: Journal | None,
    tick: Callable[[], None],
) -> Iterator[Sequence[Part]]:
    """The parts of each instance that is whole in an image of which every `step`th pixel is seen, in pixels of that."""
    seen = image if step == 1 else Reduced(image, step)

    def find(crop: Crop) -> list[Part]:
        name = ",".join(str(number) for number in (*crop, *([step] if step > 1 else [])))
        return [
            Part.of(candidate, crop, large_shape(seen)) for candidate in _in_tile(generator, seen, crop, name, kept)
        ]

    for parts in _joined(grid, find, tick):
        yield from _instances(parts)


def _joined(grid: list[list[Crop]], find: Callable[[Crop], list[Part]], tick: Callable[[], None]) -> Groups[Part]:
    """What is found in the tiles, as parts that are joined across the seams."""
    groups: Groups[Part] = Groups()
    above: list[list[Part]] = []
    for tiles in grid:
        now: list[list[Part]] = []
        for column, crop in enumerate(tiles):
            parts = find(crop)
            groups.add(parts)
            for neighbour in [*now[-1:], *above[max(0, column - 1) : column + 2]]:
                _join(groups, neighbour, parts)
            now.append(parts)
            tick()
        above = now
    return groups


def _in_tile(
    generator: SamAutomaticMaskGenerator, image: LargeImage, crop: Crop, name: str, kept: Journal | None
) -> list[Candidate]:
    """The masks of a tile in its pixels, from the journal where it has them."""
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


def _join(groups: Groups[Part], before: Sequence[Part], now: Sequence[Part]) -> None:
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


def _instances(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """The parts of each instance of those that belong together: each that no tile cuts, or all, if nothing is open."""
    whole = [part for part in parts if not part.is_cut]
    if whole:
        yield from ([part] for part in whole)
    elif all(part.goes_on(side, parts) for part in parts for side in range(4) if part.cut[side]):
        yield parts


def _largest(parts: Sequence[Part]) -> Part:
    return max(parts, key=lambda part: rle.area(part.candidate.mask))


def _box(parts: Sequence[Part], shape: tuple[int, int], step: int) -> tuple[int, int, int, int]:
    """The box of an instance, in pixels of the image."""
    boxes = np.array([_shifted(part.candidate.box, part.tile) for part in parts])
    x0, y0 = (int(n) * step for n in boxes[:, :2].min(0))
    x1, y1 = (min(int(n) * step + step, side) - 1 for n, side in zip(boxes[:, 2:].max(0), shape[::-1], strict=True))
    return x0, y0, x1, y1


def _merged(parts: Sequence[Part], step: int, shape: tuple[int, int]) -> Candidate:
    """One candidate of all parts of an instance, in pixels of the image; its figures are those of the largest part."""
    masks = [
        rle.encode_part(rle.decode(part.candidate.mask), part.tile[1] * step, part.tile[0] * step, shape, step)
        for part in parts
    ]
    largest = _largest(parts)
    x, y = largest.candidate.point
    left, top, right, bottom = (side * step for side in largest.tile)
    return replace(
        largest.candidate,
        mask=rle.union(masks),
        box=_box(parts, shape, step),
        point=(x * step + left, y * step + top),
        crop=(left, top, min(right, shape[1]), min(bottom, shape[0])),
    )


def _shifted(box: tuple[int, int, int, int], tile: Crop) -> tuple[int, int, int, int]:
    return box[0] + tile[0], box[1] + tile[1], box[2] + tile[0], box[3] + tile[1]
