"""The simulated annotator: clicks and boxes made from a ground-truth mask (§7.1 and appendix A, training algorithm)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .prompts import Label

if TYPE_CHECKING:
    import torch


def centre_click(mask: NDArray[np.bool_]) -> tuple[float, float] | None:
    """The pixel centre (x, y) of an H×W mask that is farthest from its edge; None for an empty mask.

    The image's border counts as an edge, as in the paper's evaluation (§7.1).
    """
    depth, point = _deepest(mask)
    return point if depth > 0 else None


def centre_of_error_click(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], taken: Sequence[tuple[float, float]] = ()
) -> tuple[tuple[float, float], Label] | None:
    """The next click of an evaluation: the pixel of the error that lies deepest in it, with its label.

    False negatives and false positives are measured apart, and the deeper one wins; None where nothing is wrong.
    Pixels that were clicked before, `taken`, are not clicked again.
    """
    best: tuple[float, tuple[float, float], Label] | None = None
    for region, label in ((truth & ~predicted, Label.FOREGROUND), (predicted & ~truth, Label.BACKGROUND)):
        depth, point = _deepest(region, taken)
        if depth > 0 and (best is None or depth > best[0]):
            best = depth, point, label
    return None if best is None else best[1:]


def _deepest(region: NDArray[np.bool_], taken: Sequence[tuple[float, float]] = ()) -> tuple[float, tuple[float, float]]:
    """The largest distance to the edge within a region, and the centre (x, y) of the pixel that has it."""
    padded = np.pad(region.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    for x, y in taken:
        distance[int(y), int(x)] = 0
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[row, column]), (float(column) + 0.5, float(row) + 0.5)


def random_click(region: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
    """The pixel of each ...×H×W boolean region that `draw`, ... numbers from 0 to 1, picks evenly: ...×2 (x, y).

    The centre of the pixel is given, in the grid of the region. An empty region counts as the whole grid.
    """
    import torch

    width = region.shape[-1]
    flat = region.flatten(-2)
    count = torch.where(flat.any(-1, keepdim=True), flat, True).cumsum(-1)  # pixels up to and with each
    total = count[..., -1]
    rank = torch.minimum((draw * total).long(), total - 1)
    index = torch.searchsorted(count, (rank + 1)[..., None])[..., 0]
    return torch.stack([index % width, index // width], dim=-1) + 0.5


def noisy_box(boxes: torch.Tensor, noise: torch.Tensor, limit: float = 20.0) -> torch.Tensor:
    """Move the corners of ...×4 boxes by noise of 10 % of the side's length, at most `limit` pixels (appendix A).

    `noise` is ...×4 numbers of a standard normal distribution.
    """
    import torch

    sides = (boxes[..., 2:] - boxes[..., :2])[..., [0, 1, 0, 1]]
    moved = boxes + (0.1 * sides * noise).clamp(-limit, limit)
    low = torch.minimum(moved[..., :2], moved[..., 2:] - 1)
    return torch.cat([low, torch.maximum(moved[..., 2:], low + 1)], dim=-1)
