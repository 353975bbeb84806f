"""SamAutomaticMaskGenerator: all masks of an image (§5); a drop-in for the class of `segment-anything`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ConfigError
from ...model.registry import MODELS
from ...model.sam import Sam
from ...task import rle
from ...task.ambiguity import stability_score
from ...task.boxes import mask_boxes, xyxy_to_xywh
from ...task.image import read_image
from ..predictor import SamPredictor
from .candidates import Candidate, prefer_zoomed, suppress, without_small_regions
from .grid import Crop, crop_boxes, layer_grids, touches_crop_edge

UPSAMPLED_AT_ONCE = 1 << 25
"""pixels of masks that are held at full size at a time"""

OutputMode = Literal["binary_mask", "uncompressed_rle", "coco_rle"]
Progress = Callable[[int, int], None]
"""called with the points done and the points in all"""


class SamAutomaticMaskGenerator:
    """Prompts a grid of points and keeps the masks that are confident, stable and no duplicates.

    Args:
        model: the model.
        points_per_side: points along each side of the grid; None where `point_grids` is given.
        points_per_batch: points decoded at once.
        pred_iou_thresh: least predicted IoU; None for the paper's .88, or what suits a model with another calibration.
        stability_score_thresh: least stability score; None for .95, or what suits the model.
        stability_score_offset: shift of the cut-off for the stability score, in logits; None for 1, or what suits.
        box_nms_thresh: box IoU beyond which two masks of a crop are duplicates.
        crop_n_layers: layers of zoomed-in crops; layer i has 2^i × 2^i.
        crop_nms_thresh: box IoU beyond which masks of two crops are duplicates.
        crop_overlap_ratio: overlap of the first layer's crops, relative to the shorter side.
        crop_n_points_downscale_factor: how much sparser the grid gets from layer to layer.
        point_grids: own grids of N×2 points in the unit square, one a layer.
        min_mask_region_area: holes and islands below it, in pixels, are removed; 0 leaves them.
        output_mode: form of `segmentation` in the records.

    Raises ConfigError for options that do not fit together.
    """

    def __init__(
        self,
        model: Sam,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float | None = None,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[NDArray[Any]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: OutputMode = "binary_mask",
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise ConfigError("give either points_per_side or point_grids, and None for the other")
        if output_mode not in ("binary_mask", "uncompressed_rle", "coco_rle"):
            raise ConfigError(f"output_mode: expected binary_mask, uncompressed_rle or coco_rle, got {output_mode!r}")
        if point_grids is None and points_per_side is not None:
            point_grids = layer_grids(points_per_side, crop_n_layers, crop_n_points_downscale_factor)
        self.point_grids = point_grids or []
        if len(self.point_grids) <= crop_n_layers:
            raise ConfigError(f"point_grids: expected one for each of {crop_n_layers + 1} layers")
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        given = (pred_iou_thresh, stability_score_thresh, stability_score_offset)
        iou, stability, offset = (
            own if value is None else value for value, own in zip(given, _calibration(model), strict=True)
        )
        self.pred_iou_thresh, self.stability_score_thresh, self.stability_score_offset = iou, stability, offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    @property
    def options(self) -> dict[str, Any]:
        """The options that decide which masks are found, JSON-ready, apart from own grids."""
        names = ["pred_iou_thresh", "stability_score_thresh", "stability_score_offset", "box_nms_thresh"]
        names += ["crop_n_layers", "crop_nms_thresh", "crop_overlap_ratio", "min_mask_region_area"]
        return {"points": [len(grid) for grid in self.point_grids], **{name: getattr(self, name) for name in names}}

    def generate(self, image: Any, progress: Progress | None = None) -> list[dict[str, Any]]:
        """All masks of an image: a path, a PIL image, or an RGB array of any depth.

        Returns:
            A record for each mask: `segmentation` (H×W bool, or RLE), `area` in pixels, `bbox` (x, y, width,
            height), `predicted_iou`, `point_coords` [[x, y]], `stability_score`, `crop_box` (x, y, width, height).
        """
        return [self._record(candidate) for candidate in self.candidates(image, progress)]

    def candidates(self, image: Any, progress: Progress | None = None) -> list[Candidate]:
        """As `generate`, in the form that anymask computes with."""
        pixels = read_image(image)
        height, width = pixels.shape[:2]
        crops = crop_boxes(height, width, self.crop_n_layers, self.crop_overlap_ratio)
        total = sum(len(self.point_grids[layer]) for _, layer in crops)
        found: list[Candidate] = []
        done = 0
        for crop, layer in crops:
            in_crop: list[Candidate] = []
            for batch, points in self._batches(pixels, crop, layer):
                in_crop += batch
                done += points
                if progress:
                    progress(done, total)
            found += suppress(in_crop, [c.predicted_iou for c in in_crop], self.box_nms_thresh)
        self.predictor.reset_image()
        if len(crops) > 1:
            found = prefer_zoomed(found, self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            found = without_small_regions(found, self.min_mask_region_area, threshold)
        return found

    def _batches(self, pixels: NDArray[np.uint8], crop: Crop, layer: int) -> Iterator[tuple[list[Candidate], int]]:
        """The candidates of one crop, batch by batch of its points, with the number of points of each."""
        x0, y0, x1, y1 = crop
        self.predictor.set_pixels(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
        points = self.point_grids[layer] * np.array([x1 - x0, y1 - y0])
        for start in range(0, len(points), self.points_per_batch):
            batch = points[start : start + self.points_per_batch]
            yield list(self._process(batch, crop, pixels.shape[:2])), len(batch)

    @torch.no_grad()
    def _process(self, points: NDArray[np.float64], crop: Crop, shape: tuple[int, ...]) -> Iterator[Candidate]:
        """Decode N points of a crop, and keep what is confident, stable and not cut off by the crop.

        Masks are dropped on their predicted IoU while they are small; what is left goes to full size in chunks,
        and becomes RLE at once, so that memory does not grow with the number of points.
        """
        model, frame = self.predictor.model, self.predictor.frame
        coords = torch.as_tensor(frame.to_model(points), dtype=torch.float32, device=model.device)[:, None]
        labels = torch.ones(len(points), 1, dtype=torch.int64, device=model.device)
        low_res, iou = model.decode_parts(self.predictor.embedding, (coords, labels), None, None, True)
        of_point = np.arange(len(points)).repeat(low_res.shape[1])
        low_res, iou = low_res.flatten(0, 1), iou.flatten().float()  # MN×h×w, MN
        confident = torch.arange(len(iou), device=iou.device)
        if self.pred_iou_thresh > 0:
            confident = confident[iou > self.pred_iou_thresh]
        chunk = max(1, UPSAMPLED_AT_ONCE // max(frame.size**2, frame.height * frame.width))
        for indices in confident.split(chunk):
            logits = frame.masks_to_original(low_res[indices, None].float())[:, 0]  # n×H×W
            yield from self._filter(logits, iou[indices], points[of_point[indices.cpu().numpy()]], crop, shape)

    def _filter(
        self, logits: Tensor, iou: Tensor, points: NDArray[np.float64], crop: Crop, shape: tuple[int, ...]
    ) -> Iterator[Candidate]:
        """Judge n full-size masks of a crop: logits n×H×W, predicted IoU n, the points n×2 that gave them."""
        threshold = self.predictor.model.mask_threshold
        stability = stability_score(logits, threshold, self.stability_score_offset).cpu().numpy()
        masks = (logits > threshold).cpu().numpy()
        scores = iou.cpu().numpy()
        boxes = mask_boxes(masks)
        keep = ~touches_crop_edge(boxes, crop, shape[1], shape[0])
        if self.stability_score_thresh > 0:
            keep &= stability >= self.stability_score_thresh
        frame = replace(self.predictor.frame, left=crop[0], top=crop[1])
        for i in np.flatnonzero(keep):
            mask = np.zeros(shape[:2], bool)
            mask[crop[1] : crop[3], crop[0] : crop[2]] = masks[i]
            x0, y0, x1, y1 = (int(n) for n in frame.to_image(boxes[i].reshape(2, 2)).ravel())
            px, py = (float(n) for n in frame.to_image(points[i]))
            yield Candidate(rle.encode(mask), (x0, y0, x1, y1), float(scores[i]), float(stability[i]), (px, py), crop)

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        segmentation: Any = candidate.mask
        if self.output_mode == "binary_mask":
            segmentation = rle.decode(candidate.mask)
        elif self.output_mode == "uncompressed_rle":
            segmentation = rle.to_uncompressed(rle.decode(candidate.mask))
        return {
            "segmentation": segmentation,
            "area": rle.area(candidate.mask),
            "bbox": xyxy_to_xywh(np.array(candidate.box)).tolist(),
            "predicted_iou": candidate.predicted_iou,
            "point_coords": [list(candidate.point)],
            "stability_score": candidate.stability,
            "crop_box": xyxy_to_xywh(np.array(candidate.crop)).tolist(),
        }


def _calibration(model: Sam) -> tuple[float, float, float]:
    """Least predicted IoU, least stability and its offset that suit a model; the paper's where it names none."""
    known = MODELS.get(model.config.name)
    own = known.everything if known else {}
    return (
        own.get("pred_iou_thresh", 0.88),
        own.get("stability_score_thresh", 0.95),
        own.get("stability_score_offset", 1.0),
    )
