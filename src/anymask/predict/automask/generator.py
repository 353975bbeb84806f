"""SamAutomaticMaskGenerator: all masks of an image (§5); a drop-in for the class of `segment-anything`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ConfigError
from ...model.registry import MODELS
from ...model.sam import Sam
from ...runtime.interface import Runtime
from ...runtime.names import Precision, RuntimeName
from ...task import rle
from ...task.ambiguity import stability_score
from ...task.boxes import mask_boxes, xyxy_to_xywh
from ...task.enlarge import Enlarger
from ...task.frame import ImageFrame
from ...task.image import read_image
from ...task.prompts import PromptBatch
from ..predictor import SamPredictor
from .candidates import Candidate, prefer_zoomed, suppress, without_small_regions
from .grid import Crop, crop_boxes, layer_grids, touches_crop_edge

OutputMode = Literal["binary_mask", "uncompressed_rle", "coco_rle"]
Progress = Callable[[int, int], None]
"""called with the points done and the points in all"""


AT_ONCE = 8
"""points at once, on any device, where those on what was found are left out; which ones are hangs on it"""


class SamAutomaticMaskGenerator:
    """Prompts a grid of points and keeps the masks that are confident, stable and no duplicates.

    Args:
        model: the model.
        points_per_side: points along each side of the grid; None where `point_grids` is given.
        points_per_batch: points decoded at once, at most; never more than suits the runtime.
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
        runtime: what runs the model, see `open_runtime`.
        precision: "exact", or "fast" for bfloat16 where the chip has it.
        skip_covered: leave out points that lie in the smallest masks of so many earlier points, those kept; 0 leaves
            out none. The lower, the more decodes it saves and masks it loses. Points then come in an order that is
            drawn at random, always the same.

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
        runtime: RuntimeName | Runtime = "auto",
        precision: Precision = "exact",
        skip_covered: int = 0,
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise ConfigError("give either points_per_side or point_grids, and None for the other")
        if points_per_side is not None and not (isinstance(points_per_side, int) and points_per_side > 0):
            raise ConfigError(f"points_per_side: expected a whole number from 1 on, got {points_per_side}")
        if skip_covered < 0:
            raise ConfigError(f"skip_covered: expected 0 or more, got {skip_covered}")
        if output_mode not in ("binary_mask", "uncompressed_rle", "coco_rle"):
            raise ConfigError(f"output_mode: expected binary_mask, uncompressed_rle or coco_rle, got {output_mode!r}")
        if point_grids is None and points_per_side is not None:
            point_grids = layer_grids(points_per_side, crop_n_layers, crop_n_points_downscale_factor)
        self.point_grids = point_grids or []
        if len(self.point_grids) <= crop_n_layers:
            raise ConfigError(f"point_grids: expected one for each of {crop_n_layers + 1} layers")
        self.predictor = SamPredictor(model, runtime, precision)
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
        self.skip_covered = skip_covered
        self._of_frame: tuple[ImageFrame, Enlarger] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options that decide which masks are found, JSON-ready, apart from own grids."""
        names = ["pred_iou_thresh", "stability_score_thresh", "stability_score_offset", "box_nms_thresh"]
        names += ["crop_n_layers", "crop_nms_thresh", "crop_overlap_ratio", "min_mask_region_area", "skip_covered"]
        return {"points": [len(grid) for grid in self.point_grids], **{name: getattr(self, name) for name in names}}

    def generate(self, image: Any, progress: Progress | None = None) -> list[dict[str, Any]]:
        """All masks of an image: a path, a PIL image, or an RGB array of any depth.

        Returns:
            A record for each mask: `segmentation` (H×W bool, or RLE), `area` in pixels, `bbox` (x, y, width,
            height), `predicted_iou`, `point_coords` [[x, y]], `stability_score`, `crop_box` (x, y, width, height).
        """
        return [self.record(candidate) for candidate in self.candidates(image, progress)]

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
        if self.skip_covered:
            points = np.random.default_rng(0).permutation(points)  # so that those of a batch lie on different objects
        size = min(self.points_per_batch, self.predictor.runtime.batch)
        if self.skip_covered:
            size = min(size, AT_ONCE)
        times = np.zeros(len(points), int)  # covered
        while len(points):
            found = list(self._process(points[:size], crop, pixels.shape[:2]))
            left, times = points[size:], times[size:]
            if self.skip_covered:
                times += _times_covered(left + np.array([x0, y0]), found)
                left, times = left[times < self.skip_covered], times[times < self.skip_covered]
            yield found, len(points) - len(left)
            points = left

    @torch.no_grad()
    def _process(self, points: NDArray[np.float64], crop: Crop, shape: tuple[int, ...]) -> Iterator[Candidate]:
        """Decode N points of a crop, and keep what is confident, stable and not cut off by the crop.

        Masks are dropped on their predicted IoU before they are upscaled at all; what is left goes to full size one by
        one, little further than it reaches, and becomes RLE at once, so that memory does not grow with the points.
        """
        prompts = PromptBatch.clicks(points, self.predictor.frame, self.predictor.device)
        answers = self.predictor.runtime.answer(self.predictor.embedding, prompts)
        iou = answers.iou[:, 1:]
        least = self.pred_iou_thresh if self.pred_iou_thresh > 0 else -torch.inf
        of_point, which = (iou > least).nonzero(as_tuple=True)
        if len(of_point):
            logits = answers.masks(of_point, which + 1)
            yield from self._filter(logits, iou[of_point, which], points[of_point.cpu().numpy()], crop, shape)

    def _filter(
        self, logits: Tensor, iou: Tensor, points: NDArray[np.float64], crop: Crop, shape: tuple[int, ...]
    ) -> Iterator[Candidate]:
        """Judge n masks of a crop: low-resolution logits n×h×w, predicted IoU n, the points n×2 that gave them."""
        threshold, offset = self.predictor.model.mask_threshold, self.stability_score_offset
        frame = replace(self.predictor.frame, left=crop[0], top=crop[1])
        windows = self._enlarger(logits).windows(logits, threshold - offset)
        for window, score, point in zip(windows, iou.tolist(), points, strict=True):
            stability = float(stability_score(window.logits[None], threshold, offset))
            if stability < self.stability_score_thresh:
                continue
            mask = (window.logits > threshold).cpu().numpy()
            box = np.zeros(4, np.int64)
            if mask.any():
                box = mask_boxes(mask[None])[0] + [window.left, window.top, window.left, window.top]
            if touches_crop_edge(box[None], crop, shape[1], shape[0])[0]:
                continue
            top, left = crop[1] + window.top, crop[0] + window.left
            x0, y0, x1, y1 = (int(n) for n in frame.to_image(box.reshape(2, 2)).ravel())
            px, py = (float(n) for n in frame.to_image(point))
            rle_ = rle.encode_part(mask, top, left, (shape[0], shape[1]))
            yield Candidate(rle_, (x0, y0, x1, y1), score, stability, (px, py), crop)

    def _enlarger(self, logits: Tensor) -> Enlarger:
        """What brings masks of the present crop to full size; kept from batch to batch."""
        if self._of_frame is None or self._of_frame[0] != self.predictor.frame:
            frame = self.predictor.frame
            self._of_frame = (frame, Enlarger(frame, logits.shape[-1], logits.device))
        return self._of_frame[1]

    def record(self, candidate: Candidate) -> dict[str, Any]:
        """A candidate as `generate` gives it."""
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


def _times_covered(points: NDArray[np.float64], found: Sequence[Candidate]) -> NDArray[np.int64]:
    """In the smallest masks of how many of the points that gave the candidates each of N points lies."""
    smallest: dict[tuple[float, float], Candidate] = {}
    for candidate in sorted(found, key=lambda candidate: -rle.area(candidate.mask)):
        smallest[candidate.point] = candidate
    times = np.zeros(len(points), int)
    for candidate in smallest.values():
        times += rle.contains(candidate.mask, points)
    return times


def _calibration(model: Sam) -> tuple[float, float, float]:
    """Least predicted IoU, least stability and its offset that suit a model; the paper's where it names none."""
    known = MODELS.get(model.config.name)
    own = known.everything if known else {}
    return (
        own.get("pred_iou_thresh", 0.88),
        own.get("stability_score_thresh", 0.95),
        own.get("stability_score_offset", 1.0),
    )
