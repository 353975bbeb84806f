"""Edge maps, H×W from 0 to 1: Canny and Sobel as baselines, and those drawn from the masks of SAM (§7.2, D.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Array = NDArray[Any]
EdgeMap = NDArray[np.float32]

CANNY_SIGMA = 2.0
"""width of Canny's Gaussian, in pixels"""
CANNY_LOW = 0.4
"""Canny's low threshold as a part of the high one"""
CANNY_LEVELS = 200
"""steps in which Canny's high threshold is swept from 0 to 1"""


def sobel(image: NDArray[np.uint8]) -> EdgeMap:
    """Sobel's gradient magnitude of an H×W×3 RGB image's luminance, thinned as the maps of masks are."""
    return suppress_non_maxima(np.hypot(*_sobel_gradient(_luminance(image))))


def canny(image: NDArray[np.uint8], sigma: float = CANNY_SIGMA) -> EdgeMap:
    """Canny's edges of an H×W×3 RGB image; a pixel's value is the highest high threshold at which it is an edge.

    Magnitudes are relative to the image's largest; the low threshold is `CANNY_LOW` times the high one.
    """
    smooth = cv2.GaussianBlur(_luminance(image), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1)
    return _hysteresis(_ridges(_to_unit(np.hypot(dx, dy)), dx, dy))


def suppress_non_maxima(edge_map: EdgeMap, border: int = 5) -> EdgeMap:
    """Thin an H×W map of thick edges to its ridges: smooth, keep what is largest across the edge, bring to 0..1.

    The direction across an edge comes from second derivatives of the map smoothed more. Within `border` pixels of
    the image's edge, where masks end for no reason of the picture's, values fade to 0.
    """
    edges = _triangle_blur(np.asarray(edge_map, np.float32), 1)
    dx, dy = _across(edges)
    return _to_unit(_ridges(edges, dx, dy, slack=1.01) * _fade(edges.shape, border))


def mask_edges(logits: Iterable[Array], shape: tuple[int, int]) -> EdgeMap:
    """The outlines of masks as one map of thick edges, to be thinned by `suppress_non_maxima` (D.2).

    Each mask gives the Sobel magnitude of its unthresholded probability where that meets the mask's own outer
    boundary; of all masks the largest value counts, brought linearly to 0..1.

    Args:
        logits: H×W logits, mask after mask, so that not all need to be held at once; the cut-off is 0.
        shape: height and width, in pixels.

    Raises DataError for a mask of another size.
    """
    edges = np.zeros(shape, np.float32)
    for index, mask_logits in enumerate(logits):
        mask_logits = np.asarray(mask_logits, np.float32)
        if mask_logits.shape != tuple(shape):
            raise DataError(f"mask {index}: expected logits of {shape[0]}×{shape[1]}, got shape {mask_logits.shape}")
        dx, dy = _sobel_gradient(1 / (1 + np.exp(-mask_logits.clip(-80, 80))))
        np.maximum(edges, np.hypot(dx, dy) * _boundary(mask_logits > 0), out=edges)
    return _to_unit(edges)


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels just outside an H×W mask, widened by a pixel to either side."""
    square = np.ones((3, 3), np.uint8)
    inside = mask.view(np.uint8)
    return cv2.dilate(cv2.dilate(inside, square) - inside, square).astype(bool)


def _luminance(image: NDArray[np.uint8]) -> EdgeMap:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2GRAY), np.float32)


def _sobel_gradient(values: Array) -> tuple[EdgeMap, EdgeMap]:
    """Sobel's derivatives of H×W values along x and y; none across the image's edge."""
    dx = cv2.Sobel(values, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(values, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(dx), np.asarray(dy)


def _to_unit(values: Array) -> EdgeMap:
    """Bring values linearly to 0..1; all zero where they do not differ."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def _ridges(edges: EdgeMap, dx: Array, dy: Array, slack: float = 1.0) -> EdgeMap:
    """Keep the H×W values that, times `slack`, reach those a pixel before and behind along (dx, dy); 0 elsewhere."""
    length = np.maximum(np.hypot(dx, dy), np.finfo(np.float32).tiny)
    step_x, step_y = (dx / length).astype(np.float32), (dy / length).astype(np.float32)
    y, x = np.indices(edges.shape, np.float32)
    neighbours = [
        cv2.remap(edges, x + sign * step_x, y + sign * step_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for sign in (-1, 1)
    ]
    return np.where(edges * slack >= np.maximum(*neighbours), edges, 0).astype(np.float32)


def _hysteresis(ridges: EdgeMap) -> EdgeMap:
    """For each pixel the highest threshold at which it survives: connected, over the low one, to one over the high."""
    edges = np.zeros(ridges.shape, np.float32)
    for high in np.arange(1, CANNY_LEVELS + 1) / CANNY_LEVELS:
        _, labels = cv2.connectedComponents((ridges >= CANNY_LOW * high).view(np.uint8), connectivity=8)
        strong = np.zeros(labels.max() + 1, bool)
        strong[labels[ridges >= high]] = True
        edges[strong[labels]] = high
    return edges


def _triangle_blur(values: Array, radius: int) -> EdgeMap:
    """Smooth H×W values with a triangle that reaches `radius` pixels to either side."""
    ramp = np.arange(1, radius + 1)
    kernel = np.concatenate([ramp, [radius + 1], ramp[::-1]]) / (radius + 1) ** 2
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT))


def _across(edges: EdgeMap) -> tuple[Array, Array]:
    """The direction across the edges of an H×W map, as dx and dy: that in which it curves downwards the most."""
    gy, gx = np.gradient(_triangle_blur(edges, 4))
    (gxy, gxx), gyy = np.gradient(gx), np.gradient(gy, axis=0)
    along = np.arctan2(2 * gxy, gxx - gyy) / 2  # the axis of the larger eigenvalue of the second derivatives
    return -np.sin(along), np.cos(along)


def _fade(shape: tuple[int, ...], border: int) -> EdgeMap:
    """H×W weights that rise from 0 at the image's edge to 1 at `border` pixels from it."""
    if border == 0:
        return np.ones(shape, np.float32)
    ramps = [np.minimum(np.minimum(np.arange(n), n - 1 - np.arange(n)) / border, 1) for n in shape]
    return np.minimum(ramps[0][:, None], ramps[1][None]).astype(np.float32)
