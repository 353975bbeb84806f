"""Copy-paste: a labelled object of one image put onto another, with a soft seam (Ghiasi et al. 2021)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..task.boxes import mask_boxes

SEAM = 1.0
"""standard deviation of the seam, in pixels"""
LARGEST = 2.0
"""most that an object is enlarged"""
LEAST_VISIBLE = 0.5
"""share of an object that must stay visible for it to remain a target"""


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The pixels and the mask within the mask's box."""
    x0, y0, x1, y1 = mask_boxes(mask[None])[0].astype(int)
    window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
    return image[window], mask[window]


def paste(
    image: NDArray[np.uint8],
    masks: list[NDArray[np.bool_]],
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]]]:
    """Put a cut-out somewhere on an H×W×3 image, scaled to 20 to 70 % of its shorter side, or twice its own size.

    Colours are mixed from the object's own alone, so that none of the background that it came with shows.

    Returns the new image and its masks: the pasted object's first, then those that stay visible, less what it hides.
    """
    h, w = image.shape[:2]
    scale = min(LARGEST, rng.uniform(0.2, 0.7) * min(h, w) / max(mask.shape))
    size = max(2, min(w, round(mask.shape[1] * scale))), max(2, min(h, round(mask.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(mask.astype(np.float32), size, interpolation=method)
    own = cv2.resize(pixels * mask[..., None].astype(np.float32), size, interpolation=method)
    colours = own / np.maximum(small, 1e-3)[..., None]
    if rng.random() < 0.5:
        colours, small = colours[:, ::-1], small[:, ::-1]
    top, left = rng.integers(0, h - size[1] + 1), rng.integers(0, w - size[0] + 1)
    window = np.s_[top : top + size[1], left : left + size[0]]
    pasted = np.zeros((h, w), bool)
    pasted[window] = small >= 0.5
    if not pasted.any():
        return image, masks
    soft = cv2.GaussianBlur(pasted.astype(np.float32), (0, 0), SEAM)
    alpha = np.where(pasted, np.maximum(0.5, soft), 0)  # half at the edge, and on what is thin
    mixed = image.copy()
    share = alpha[window][..., None]
    mixed[window] = (image[window] * (1 - share) + colours * share + 0.5).astype(np.uint8)
    kept = [one & ~pasted for one in masks]
    areas = [(after.sum(), before.sum()) for after, before in zip(kept, masks, strict=True)]
    visible = [one for one, (after, before) in zip(kept, areas, strict=True) if after >= LEAST_VISIBLE * before]
    return mixed, [pasted, *visible]
