"""Where "everything" looks: grids of points, and overlapping crops of the image (§5, zoomed-in crops)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Crop = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the image"""


def point_grid(per_side: int) -> NDArray[np.float64]:
    """per_side² points, evenly over the unit square and half a step from its edge: N×2 (x, y), row by row."""
    steps = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(steps, steps)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def layer_grids(per_side: int, layers: int, downscale: int) -> list[NDArray[np.float64]]:
    """The grid of the whole image and of each layer of crops, `downscale` times sparser from layer to layer."""
    return [point_grid(int(per_side / downscale**layer)) for layer in range(layers + 1)]


def crop_boxes(height: int, width: int, layers: int, overlap: float) -> list[tuple[Crop, int]]:
    """The whole image, then 2×2, 4×4, … crops, each with its layer.

    `overlap` is the part of the shorter side by which neighbours of the first layer overlap; it halves from layer
    to layer.
    """
    boxes: list[tuple[Crop, int]] = [((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(height, width) * (2 / count))
        w, h = _crop_length(width, count, shared), _crop_length(height, count, shared)
        for x0 in (int((w - shared) * i) for i in range(count)):
            for y0 in (int((h - shared) * i) for i in range(count)):
                boxes.append(((x0, y0, min(x0 + w, width), min(y0 + h, height)), layer))
    return boxes


def _crop_length(length: int, count: int, shared: int) -> int:
    return math.ceil((shared * (count - 1) + length) / count)


def touches_crop_edge(
    boxes: NDArray[np.int64], crop: Crop, width: int, height: int, near: float = 20.0
) -> NDArray[np.bool_]:
    """Whether each N×4 box, in pixels of the crop, comes near an edge of the crop that is not the image's: N."""
    boxes = boxes + np.array([crop[0], crop[1], crop[0], crop[1]])
    by_crop = np.abs(boxes - np.array(crop)) <= near
    by_image = np.abs(boxes - np.array([0, 0, width, height])) <= near
    return np.asarray((by_crop & ~by_image).any(axis=1))
