"""ImageFrame: the one place that maps original pixels to the model's square frame and back (§3, appendix A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

SATURATED = 20.0
"""logit that stands for certainty where a prompt is made of a finished mask"""


@dataclass(frozen=True)
class ImageFrame:
    """How an image of `height` × `width` original pixels sits in the model's `size` × `size` frame.

    The longer side is scaled to `size` and the result is padded with zeros at the right and at the bottom. Points
    and boxes scale with the rounded size of each axis, as in the reference implementation, so x and y may differ
    in scale by under one pixel.

    A crop of a larger image is a frame of its own; `left` and `top` say where it lies, in pixels of that image.
    `occupied` is the (height, width) that the image takes up in the model frame where it was not scaled by this rule,
    as one that was squeezed into the square: masks are cut to it, points are scaled as ever.
    """

    height: int
    width: int
    size: int
    left: int = 0
    top: int = 0
    occupied: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size) < 1:
            raise ValueError(f"a frame needs sides of at least 1 pixel, got {self.height}×{self.width}→{self.size}")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in original pixels."""
        return self.height, self.width

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) of the image inside the model frame, before padding."""
        scale = self.size / max(self.height, self.width)
        return max(1, int(self.height * scale + 0.5)), max(1, int(self.width * scale + 0.5))

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) factors from original pixels to the model frame."""
        h, w = self.resized
        return w / self.width, h / self.height

    # to the model frame

    def resize_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale an H×W×3 uint8 image to `resized`, antialiased and bilinear, still uint8."""
        h, w = self.resized
        if image.shape[:2] == (h, w):
            return image
        return np.array(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))

    def resize_tensor(self, image: torch.Tensor) -> torch.Tensor:
        """Scale B×3×H×W float images to `resized`; close to `resize_image`, not equal to the last bit."""
        from torch.nn import functional as F

        return F.interpolate(image, self.resized, mode="bilinear", align_corners=False, antialias=True)

    def pad_image(self, image: torch.Tensor) -> torch.Tensor:
        """Pad ...×h×w images of the `resized` size with zeros to ...×size×size."""
        from torch.nn import functional as F

        h, w = image.shape[-2:]
        return F.pad(image, (0, self.size - w, 0, self.size - h))

    def to_model(self, points: Any) -> Any:
        """Map ...×2 (x, y) points, array or tensor, from original pixels to the model frame; a copy is returned."""
        x, y = self.scale
        if isinstance(points, np.ndarray):
            return points.astype(np.float64) * np.array([x, y])
        points = points if points.is_floating_point() else points.float()
        return points * points.new_tensor([x, y])

    def boxes_to_model(self, boxes: Any) -> Any:
        """Map ...×4 (x0, y0, x1, y1) boxes, array or tensor, from original pixels to the model frame."""
        return self.to_model(boxes.reshape(-1, 2, 2)).reshape(boxes.shape)

    def mask_to_logits(self, mask: NDArray[np.bool_], size: int) -> NDArray[np.float32]:
        """Make a mask prompt of an H×W mask: size×size logits of the model frame, saturated inside and outside."""
        small = ImageFrame(self.height, self.width, size)
        h, w = small.resized
        share = np.asarray(Image.fromarray(mask).convert("L").resize((w, h), Image.Resampling.BOX)) / 255.0
        logits = np.full((size, size), -SATURATED, np.float32)
        logits[:h, :w] = SATURATED * (2 * share - 1)
        return logits

    # back to the original pixels

    def masks_to_original(self, logits: torch.Tensor) -> torch.Tensor:
        """Scale N×M×h×w mask logits of the whole model frame to N×M×height×width in original pixels."""
        from torch.nn import functional as F

        square = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
        h, w = self.occupied or self.resized
        return F.interpolate(square[..., :h, :w], self.shape, mode="bilinear", align_corners=False)

    def masks_over(self, logits: torch.Tensor, threshold: float) -> torch.Tensor:
        """Where `masks_to_original` is over a threshold, N×M×height×width bool; on a CPU without its large floats."""
        if logits.device.type != "cpu":
            return self.masks_to_original(logits) > threshold
        import torch

        enlarge = self.enlarge_one()
        masks = np.empty((*logits.shape[:2], *self.shape), bool)
        for mask, small in zip(masks.reshape(-1, *self.shape), logits.flatten(0, 1).numpy(), strict=True):
            np.greater(enlarge(small), threshold, out=mask)
        return torch.from_numpy(masks)

    def enlarge_one(self) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """What does on a CPU as `masks_to_original`, S×S to height×width; an answer holds until the next is made."""
        import cv2

        h, w = self.occupied or self.resized
        square, full = np.empty((self.size, self.size), np.float32), np.empty(self.shape, np.float32)

        def enlarge(logits: NDArray[np.float32]) -> NDArray[np.float32]:
            cv2.resize(logits, square.shape[::-1], dst=square, interpolation=cv2.INTER_LINEAR)
            cv2.resize(square[:h, :w], full.shape[::-1], dst=full, interpolation=cv2.INTER_LINEAR)
            return full

        return enlarge

    def enlarging(self, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`masks_to_original` along each axis, height×side and width×side: rows · logits · columnsᵀ is the mask."""
        import torch
        from torch.nn import functional as F

        def along(occupied: int, length: int) -> torch.Tensor:
            square = F.interpolate(torch.eye(side)[None], self.size, mode="linear", align_corners=False)
            return F.interpolate(square[..., :occupied], length, mode="linear", align_corners=False)[0].T.contiguous()

        h, w = self.occupied or self.resized
        return along(h, self.height), along(w, self.width)

    def to_image(self, points: NDArray[Any]) -> NDArray[Any]:
        """Shift ...×2 points of this crop to the pixels of the image it was cut from."""
        return np.asarray(points + np.array([self.left, self.top]))
