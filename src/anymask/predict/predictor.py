"""SamPredictor: one image, then as many prompts as one likes (§3); a drop-in for the class of `segment-anything`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, ImageError, ModelError, NoImageError, PromptError
from ..model.sam import ImageEmbedding, Sam
from ..model.text.clip import ClipTowers
from ..model.text.detector import TextDetector
from ..model.text.weights import PACKAGED
from ..runtime.choose import open_runtime
from ..runtime.interface import Runtime
from ..runtime.names import Precision, Refine, RuntimeName
from ..task.frame import ImageFrame
from ..task.image import read_image
from ..task.prompts import Prompt, PromptBatch
from .embedding_cache import EmbeddingCache
from .second_look import agreement
from .text import MOST, THRESHOLD, Instances, TextFinder, answer_text, segment_text
from .transform import ResizeLongestSide
from .zoom import Zoom


class Prediction(NamedTuple):
    """Masks of one object: M×H×W bool, scores M, and logits M×h×w to feed back, the mask prompt of the next call."""

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]


class SamPredictor:
    """Embeds an image once and answers prompts on it.

    All coordinates are (x, y) in pixels of the original image, except in `predict_torch`.

    Args:
        sam_model: the model.
        runtime: what runs it, see `open_runtime`.
        precision: "exact" for the model's own numbers but for rounding, "fast" for bfloat16 where the chip has it.
        cache: where embeddings are kept from image to image; None to keep none.
        refine: "zoom" asks for each mask of `predict` and `predict_many` once more in the crop around it, for crisp
            edges; it takes an encoding for each, where the crop is finer than the image.
        second_look: in `predict` and `predict_many`, multiply the scores of each prompt by how far the model, shown its
            best-scored mask, gives it again: they tell good answers from bad ones more surely, for one more decode.
        text_model: what finds the things that a text names: a detector, its name or its weights file. It is loaded, and
            looks at an image, when the first text comes. For a model that was trained with CLIP's vectors as prompts,
            the folder of that CLIP.

    Raises ConfigError for a runtime, precision or refinement that is not known.
    """

    def __init__(
        self,
        sam_model: Sam,
        runtime: RuntimeName | Runtime = "auto",
        precision: Precision = "exact",
        cache: EmbeddingCache | None = None,
        refine: Refine = "none",
        second_look: bool = False,
        text_model: TextDetector | str | Path = PACKAGED,
    ) -> None:
        if refine not in get_args(Refine):
            raise ConfigError(f"refine {refine!r} is not known; expected one of {', '.join(get_args(Refine))}")
        self.model = sam_model
        self.runtime = open_runtime(sam_model, runtime, precision)
        self.cache = cache
        self.refine: Refine = refine
        self.second_look = second_look
        self.transform = ResizeLongestSide(sam_model.config.encoder.size)
        self._embedding: ImageEmbedding | None = None
        self._pixels: NDArray[np.uint8] | None = None
        self._text_model = text_model
        self._finder: TextFinder | None = None
        self._tower: ClipTowers | None = None
        self._zoom: Zoom | None = None

    # the image

    def set_image(self, image: Any, image_format: str = "RGB") -> None:
        """Embed an image: a path, a PIL image, or an array of any depth.

        `image_format` is the order of an array's channels, "RGB" or "BGR". Raises ImageError for what is no image.
        """
        self.set_pixels(read_image(image, image_format))

    def set_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Embed an H×W×3 uint8 RGB image of any shape, as `read_image` gives it."""
        self.reset_image()
        self._embedding = self.cache.embed(pixels, self.runtime) if self.cache else self.runtime.embed(pixels)
        self._pixels = pixels
        self._zoom = Zoom(self.runtime, pixels) if self.refine == "zoom" else None

    @torch.no_grad()
    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, ...]) -> None:
        """Embed a 1×3×h×w image of 0 to 255 that is already scaled to the model frame.

        `original_image_size` is the (height, width) before scaling. Raises ImageError for another shape.
        """
        size = self.model.config.encoder.size
        shape = tuple(transformed_image.shape)
        if len(shape) != 4 or shape[:2] != (1, 3) or max(shape[2:]) != size:
            raise ImageError(f"image: expected 1×3×h×w with a longer side of {size}, got {'×'.join(map(str, shape))}")
        frame = replace(self.model.frame(*original_image_size[:2]), occupied=(shape[2], shape[3]))
        self.reset_image()
        pixels = self.model.preprocess(transformed_image.to(self.device).float())
        self._embedding = replace(self.runtime.encode(pixels), frames=(frame,))

    def reset_image(self) -> None:
        """Forget the image."""
        self._embedding = self._zoom = self._pixels = None
        if self._finder is not None:
            self._finder.reset()

    def set_embedding(self, embedding: ImageEmbedding) -> None:
        """Go on with an image that was embedded before: `embedding`, as this property gave it then."""
        if len(embedding.frames) != 1 or embedding.frames[0].size != self.model.config.encoder.size:
            raise ImageError("embedding: expected that of one image, made by this model's predictor")
        self.reset_image()
        self._embedding = embedding

    @property
    def embedding(self) -> ImageEmbedding:
        """The embedding of the image with its frame. Raises NoImageError where no image is set."""
        if self._embedding is None:
            raise NoImageError("no image is set: call set_image(image) before asking for masks")
        return self._embedding

    def get_image_embedding(self) -> Tensor:
        """The features of the image, 1×C×h×w (1×256×64×64)."""
        return self.embedding.features

    @property
    def frame(self) -> ImageFrame:
        """How the image sits in the model frame."""
        return self.embedding.frames[0]

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.model.device

    @property
    def is_image_set(self) -> bool:
        """Whether there is an image to prompt on."""
        return self._embedding is not None

    @property
    def features(self) -> Tensor | None:
        """As `get_image_embedding`, None without an image."""
        return None if self._embedding is None else self._embedding.features

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.frame.shape

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the image in the model frame, without padding."""
        return self.frame.occupied or self.frame.resized

    # prompts

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Masks of one object.

        Args:
            point_coords: P×2 points.
            point_labels: P labels, 1 for the object and 0 for background.
            box: x0, y0, x1, y1.
            mask_input: 1×256×256 logits of an earlier call.
            multimask_output: three masks, for an ambiguous prompt, rather than one.
            return_logits: the full-size masks as float logits; they are not refined.

        Returns:
            M×H×W masks, M scores (predicted IoU), M×256×256 logits. Raises PromptError for what is no prompt.
        """
        if point_coords is not None and point_labels is None:
            raise PromptError("point_labels: expected one label for each point, got none")
        prompt = Prompt(point_coords, point_labels, box, mask_input)
        if self.refine == "zoom" and not return_logits:
            found = self.predict_many([prompt], multimask_output)[0]
            return found.masks, found.scores, found.logits
        low_res, iou = self._decode([prompt], multimask_output)
        masks = self._at_full_size(low_res, return_logits)[0]
        return masks.cpu().numpy(), iou[0].cpu().numpy(), low_res[0].cpu().numpy()

    @property
    def finder(self) -> TextFinder:
        """What finds things by text, when it has looked at the image.

        Raises NoImageError without an image, or with no more than its embedding, and CheckpointError where the text
        model's file is missing.
        """
        if self._finder is None:
            self._finder = TextFinder(self._text_model, str(self.device))
        if not self._finder.has_seen:
            if self._pixels is None:
                raise NoImageError("text needs the image itself: call set_image(image) before asking for what it names")
            self._finder.set_pixels(self._pixels)
        return self._finder

    def predict_text(
        self,
        text: str,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        threshold: float = THRESHOLD,
        most: int = MOST,
    ) -> Instances:
        """Masks of all that a text names; of what points and box point at alone, where they are given.

        Args:
            text: a name or a short phrase in English, such as "dog" or "a dog lying on the grass".
            point_coords: P×2 points: of several things those that lie there, and what their masks hold or leave out.
            point_labels: P labels, 1 for the object and 0 for background.
            box: x0, y0, x1, y1: where to look.
            threshold: least probability that a thing is what the text names; with 0 there always is an answer.
            most: things at most.

        Returns:
            The things, best first; none where the image holds nothing of the kind. A model that takes CLIP's vectors as
            prompts gives one mask, which it thinks best, whatever the threshold.

        Raises PromptError for what is no text or no prompt, ModelError where what reads text is not installed.
        """
        clicks = self._clicks(point_coords, point_labels, box)
        if self.model.config.text_width:
            return answer_text(self, self.text_tower.texts([text])[0].cpu().numpy(), clicks)
        return segment_text(self, text, clicks, threshold, most)

    @property
    def text_tower(self) -> ClipTowers:
        """The CLIP whose vectors the model takes. Raises ModelError where it is none that fits."""
        if self._tower is None:
            if not isinstance(self._text_model, (str, Path)) or self._text_model == PACKAGED:
                raise ModelError(
                    f"{self.model.config.name} takes CLIP's vectors for text: give text_model, the folder of that CLIP"
                )
            self._tower = ClipTowers(self._text_model, self.device)
            if self._tower.width != self.model.config.text_width:
                raise ModelError(
                    f"{self._text_model}: CLIP of width {self._tower.width}; {self.model.config.name} was trained with "
                    f"one of {self.model.config.text_width}"
                )
        return self._tower

    def _clicks(self, points: Any, labels: Any, box: Any) -> Prompt | None:
        """What points and box point at, if they are there."""
        if points is None and box is None:
            return None
        if points is not None and labels is None:
            raise PromptError("point_labels: expected one label for each point, got none")
        clicks = Prompt(points, labels, box)
        clicks.check_inside(self.frame)
        return clicks

    def predict_many(
        self, prompts: Sequence[Prompt], multimask_output: bool | None = None, batch: int | None = None
    ) -> list[Prediction]:
        """Masks of many objects, each with any number of points and with or without box and mask.

        `multimask_output` None asks for three masks where a prompt is a single click, and else for one. Raises
        PromptError for an empty list and for prompts outside the image.
        """
        if not prompts:
            raise PromptError("no prompts: give at least one object")
        for prompt in prompts:
            prompt.check_inside(self.frame)
        three = [prompt.is_ambiguous if multimask_output is None else multimask_output for prompt in prompts]
        results: dict[int, Prediction] = {}
        for multimask in (True, False):
            chosen = [i for i, flag in enumerate(three) if flag is multimask]
            size = min(batch or self.runtime.batch, self.runtime.batch)
            for start in range(0, len(chosen), size):
                part = chosen[start : start + size]
                low_res, iou = self._decode([prompts[i] for i in part], multimask)
                for row, i in enumerate(part):
                    masks = self._at_full_size(low_res[row : row + 1])[0]
                    found = Prediction(masks.cpu().numpy(), iou[row].cpu().numpy(), low_res[row].cpu().numpy())
                    results[i] = found if self.refine == "none" else self._zoomed(prompts[i], found)
        return [results[i] for i in range(len(prompts))]

    def _zoomed(self, prompt: Prompt, found: Prediction) -> Prediction:
        """The masks of one object, each asked for again in the crop around it; scores stay those of the image."""
        if self._zoom is None:
            raise NoImageError("refine='zoom' needs the image itself: call set_image before asking for masks")
        zoomed = [
            self._zoom.refine(prompt, mask, logits) for mask, logits in zip(found.masks, found.logits, strict=True)
        ]
        masks, logits = (np.stack(parts) for parts in zip(*zoomed, strict=True))
        return Prediction(masks, found.scores, logits)

    @torch.no_grad()
    def _decode(self, prompts: Sequence[Prompt], multimask: bool) -> tuple[Tensor, Tensor]:
        """Low-resolution logits N×M×h×w and predicted IoU N×M of N objects."""
        batch = PromptBatch.pad(prompts, self.frame, self.model.config.mask_size, self.device)
        if batch.text is not None and batch.text.shape[-1] != self.model.config.text_width:
            raise PromptError(
                f"text: a vector of {batch.text.shape[-1]} numbers; {self.model.config.name} takes "
                f"{self.model.config.text_width or 'none'}"
            )
        logits, iou = self.runtime.decode(self.embedding, batch, multimask)
        if self.second_look:
            iou = iou * agreement(self.runtime, self.embedding, batch, logits, iou)
        return logits, iou

    def _at_full_size(self, logits: Tensor, return_logits: bool = False) -> Tensor:
        """N×M×H×W masks, or their logits, of low-resolution logits N×M×h×w."""
        if return_logits:
            return self.frame.masks_to_original(logits)
        return self.frame.masks_over(logits, self.model.mask_threshold)

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of N objects that all have the same parts, in the model frame (see `transform`).

        Args:
            point_coords: N×P×2.
            point_labels: N×P.
            boxes: N×4.
            mask_input: N×1×256×256 logits.
            multimask_output: three masks an object rather than one.
            return_logits: the full-size masks as float logits.

        Returns:
            N×M×H×W masks, N×M scores, N×M×256×256 logits.
        """
        if point_coords is not None and point_labels is None:
            raise PromptError("point_labels: expected one label for each point, got none")
        points = None if point_coords is None or point_labels is None else (point_coords, point_labels)
        prompts = PromptBatch.same_parts(points, boxes, mask_input, self.device)
        low_res, iou = self.runtime.decode(self.embedding, prompts, multimask_output)
        return self._at_full_size(low_res, return_logits), iou, low_res
