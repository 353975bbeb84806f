"""The reference implementation's `ResizeLongestSide`, over `ImageFrame`, for code that uses `predictor.transform`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..task.frame import ImageFrame


class ResizeLongestSide:
    """Scales images, points and boxes so that the image's longer side is `target_length`."""

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale an H×W×3 uint8 image."""
        return self._frame(image.shape[:2]).resize_image(image)

    def apply_coords(self, coords: NDArray[Any], original_size: tuple[int, ...]) -> NDArray[np.float64]:
        """Scale ...×2 points of an image of `original_size` (height, width)."""
        return np.asarray(self._frame(original_size).to_model(np.asarray(coords)))

    def apply_boxes(self, boxes: NDArray[Any], original_size: tuple[int, ...]) -> NDArray[np.float64]:
        """Scale N×4 boxes of an image of `original_size` (height, width)."""
        return self.apply_coords(np.asarray(boxes).reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """Scale B×3×H×W float images; not exactly equal to `apply_image`."""
        height, width = image.shape[-2:]
        return self._frame((height, width)).resize_tensor(image)

    def apply_coords_torch(self, coords: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale ...×2 points of an image of `original_size` (height, width)."""
        scaled: Tensor = self._frame(original_size).to_model(coords.float())
        return scaled

    def apply_boxes_torch(self, boxes: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale N×4 boxes of an image of `original_size` (height, width)."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> tuple[int, int]:
        """(height, width) of an image once its longer side is `long_side_length`."""
        return ImageFrame(oldh, oldw, long_side_length).resized

    def _frame(self, original_size: tuple[int, ...]) -> ImageFrame:
        return ImageFrame(int(original_size[0]), int(original_size[1]), self.target_length)
