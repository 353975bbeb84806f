"""Masks at full size, computed no further than each one reaches (§3, appendix A)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frame import ImageFrame


LARGE = 1 / 8
"""part of the image from which on the whole of it is made as fast as the part, on a CPU"""


class Window(NamedTuple):
    """Part of a mask's logits at full size: h×w, its first row and its first column. Elsewhere there is no mask."""

    logits: torch.Tensor
    top: int
    left: int


class Axis(NamedTuple):
    """One axis of the enlarging, a matrix F×S from S low-resolution cells to F pixels, and how the two meet."""

    matrix: torch.Tensor
    pixels: NDArray[np.int64]
    """S×2, the first pixel that sees a cell, and one past the last; both 0 for a cell that none sees"""
    cells: NDArray[np.int64]
    """F×2, the first cell that a pixel sees, and one past the last"""

    @classmethod
    def of(cls, matrix: torch.Tensor) -> Axis:
        """An axis from its matrix."""
        weights = matrix.cpu().numpy() != 0
        return cls(matrix, _extents(weights.T), _extents(weights))

    def reach(self, wanted: NDArray[np.bool_]) -> tuple[slice, slice] | None:
        """The pixels that see one of the wanted cells, and all the cells that these see."""
        found = self.pixels[wanted]
        found = found[found[:, 1] > 0]
        if not len(found):
            return None
        first, last = int(found[:, 0].min()), int(found[:, 1].max())
        seen = self.cells[first:last]
        return slice(first, last), slice(int(seen[:, 0].min()), int(seen[:, 1].max()))


class Enlarger:
    """Does what `ImageFrame.masks_to_original` does, for one mask at a time and as far as it reaches.

    Both steps of the bilinear scaling are linear along each axis, so a mask at full size is rows·logits·columnsᵀ.
    A pixel is a mean of the cells that it sees: where none of these is over a level, neither is the pixel.
    """

    def __init__(self, frame: ImageFrame, side: int, device: torch.device | str = "cpu") -> None:
        rows, columns = frame.enlarging(side)
        self.rows, self.columns = Axis.of(rows.to(device)), Axis.of(columns.to(device))
        self._large = LARGE * frame.height * frame.width
        self._whole = frame.enlarge_one() if torch.device(device).type == "cpu" else None

    def windows(self, logits: torch.Tensor, level: float) -> Iterator[Window]:
        """Each of N×S×S logits where it may be over `level`, 0×0 where it is nowhere; each holds until the next."""
        over = logits > level
        in_rows, in_columns = over.any(2).cpu().numpy(), over.any(1).cpu().numpy()
        for mask, wanted_rows, wanted_columns in zip(logits, in_rows, in_columns, strict=True):
            rows, columns = self.rows.reach(wanted_rows), self.columns.reach(wanted_columns)
            yield self._window(mask, rows, columns) if rows and columns else Window(mask[:0, :0], 0, 0)

    def _window(self, mask: torch.Tensor, rows: tuple[slice, slice], columns: tuple[slice, slice]) -> Window:
        top, left = rows[0].start, columns[0].start
        if self._whole and (rows[0].stop - top) * (columns[0].stop - left) > self._large:
            return Window(torch.from_numpy(self._whole(mask.numpy())[rows[0], columns[0]]), top, left)
        before, behind = self.rows.matrix[rows], self.columns.matrix[columns]
        return Window(before @ (mask[rows[1], columns[1]] @ behind.T), top, left)


def _extents(weights: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first column that is set in each row, and one past the last; zeros where none is."""
    first = weights.argmax(1)
    last = weights.shape[1] - weights[:, ::-1].argmax(1)
    extents: NDArray[np.int64] = np.stack([first, last], axis=1) * np.asarray(weights.any(1))[:, None]
    return extents
