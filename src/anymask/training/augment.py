"""Augmentation of a labelled image: large-scale jitter, flips, colour (appendix A; Ghiasi et al. 2021)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..task.clicks import centre_click
from ..task.frame import ImageFrame


def draw_frame(mask: NDArray[np.bool_], size: int, jitter: tuple[float, float], rng: np.random.Generator) -> ImageFrame:
    """Large-scale jitter: the frame of a view in which the image is larger or smaller by a factor drawn from `jitter`.

    The factor is relative to the whole image in a frame of `size` pixels, drawn evenly on a logarithmic scale. Above
    1 it is a window of the image that holds the centre of the H×W `mask`, below 1 the whole image in a smaller frame,
    to be padded.
    """
    h, w = mask.shape
    factor = float(np.exp(rng.uniform(*np.log(jitter))))
    if factor <= 1:
        return ImageFrame(h, w, max(32, round(size * factor)))
    ch, cw = max(4, int(h / factor)), max(4, int(w / factor))
    x, y = centre_click(mask) or (w / 2, h / 2)
    top = rng.integers(max(0, int(y) - ch + 1), min(int(y), h - ch) + 1)
    left = rng.integers(max(0, int(x) - cw + 1), min(int(x), w - cw) + 1)
    return ImageFrame(ch, cw, size, left=int(left), top=int(top))


def jitter_colour(image: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and the balance of the channels of H×W×3 pixels; 0 changes nothing."""
    if strength == 0:
        return image
    gain = np.exp(strength * rng.uniform(-0.3, 0.3)) * np.exp(strength * rng.uniform(-0.07, 0.07, 3))
    shift = strength * rng.uniform(-15, 15)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)  # 256×3
    image = np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)
    share = strength * rng.uniform(-0.2, 0.4)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, 1 - share, grey, share, 0), np.uint8)
