"""Sam: image encoder, prompt encoder and mask decoder as one differentiable module (§3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..task.frame import ImageFrame
from ..task.prompts import PromptBatch
from .config import SamConfig, ViTConfig
from .light import LightEncoder
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .vit import ViTEncoder


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """What the image encoder says of B images, all that the decoder needs of them.

    Attributes:
        features: B×C×h×w, 256×64×64 an image for all released models.
        fine: finer features, B×(C/4)×2h×2w and B×(C/8)×4h×4w, or none.
        frames: how each image sits in the model frame; empty where that is not known.
        model: name of the model that made it.
        weights: hash of that model's weights, or "" where it was not taken.
    """

    features: Tensor
    fine: tuple[Tensor, ...] = ()
    frames: tuple[ImageFrame, ...] = ()
    model: str = ""
    weights: str = ""

    def to(self, device: torch.device | str) -> ImageEmbedding:
        """The same embedding on another device."""
        return replace(self, features=self.features.to(device), fine=tuple(f.to(device) for f in self.fine))


class Sam(nn.Module):
    """The Segment Anything Model. Differentiable: inference code wraps it in `torch.no_grad`."""

    pixel_mean: Tensor
    pixel_std: Tensor
    mask_threshold = 0.0
    image_format = "RGB"

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ViTEncoder if isinstance(config.encoder, ViTConfig) else LightEncoder
        self.image_encoder: Any = encoder(config.encoder, config.dim)  # type: ignore[arg-type]
        self.prompt_encoder = PromptEncoder(
            config.dim, config.grid, config.encoder.size, config.mask_channels, config.draw_prompts, config.text_width
        )
        self.mask_decoder = MaskDecoder(
            config.dim, config.heads, config.mlp, config.depth, config.iou_hidden, mix=config.mix_prompts
        )
        self.register_buffer("pixel_mean", torch.tensor(config.pixel_mean)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(config.pixel_std)[:, None, None], persistent=False)
        self.weights_hash = ""

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.pixel_mean.device

    def train(self, mode: bool = True) -> Sam:
        """As of any module; training changes the weights, so it drops their hash."""
        if mode:
            self.weights_hash = ""
        return super().train(mode)

    def frame(self, height: int, width: int) -> ImageFrame:
        """The frame of an image of this size in this model."""
        return ImageFrame(height, width, self.config.encoder.size)

    def preprocess(self, x: Tensor, size: int | None = None) -> Tensor:
        """Normalise ...×3×h×w pixels of 0 to 255 and pad them to a square of `size`, by default the model's."""
        frame = ImageFrame(x.shape[-2], x.shape[-1], size or self.config.encoder.size)
        if self.config.pad_black:
            return (frame.pad_image(x) - self.pixel_mean) / self.pixel_std
        return frame.pad_image((x - self.pixel_mean) / self.pixel_std)

    def encode(self, pixels: Tensor) -> ImageEmbedding:
        """Embed B×3×S×S preprocessed images, once for any number of prompts."""
        features, fine = self.image_encoder.pyramid(pixels)
        return ImageEmbedding(features, fine, model=self.config.name, weights=self.weights_hash)

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch, multimask: bool = True) -> tuple[Tensor, Tensor]:
        """Answer B×N prompts: logits B×N×M×4h×4w and predicted IoU B×N×M, M = 3 with `multimask`, else 1."""
        masks, iou = self.decode_all(embedding, prompts)
        chosen = slice(1, None) if multimask else slice(0, 1)
        return masks[:, :, chosen], iou[:, :, chosen]

    def decode_all(self, embedding: ImageEmbedding, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """As `decode`, with all four masks: the one for unambiguous prompts first, then the three."""
        h, w = embedding.features.shape[-2:]
        sparse, dense, present = self.prompt_encoder.embed(prompts, (h, w))
        masks, iou = self.mask_decoder.predict_masks(
            embedding.features, self.prompt_encoder.get_dense_pe((h, w)), sparse, dense, embedding.fine, present
        )
        return masks.unflatten(0, prompts.shape), iou.unflatten(0, prompts.shape)

    def decode_parts(
        self,
        embedding: ImageEmbedding,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
        multimask: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Answer N prompts on one image that all have the same parts: logits N×M×4h×4w, predicted IoU N×M.

        Points (N×P×2 and labels N×P) and boxes N×4 are in the model frame, masks are N×1×4h×4w logits.
        """
        h, w = embedding.features.shape[-2:]
        sparse, dense = self.prompt_encoder(points, boxes, masks, (h, w))
        logits, iou = self.mask_decoder(
            embedding.features, self.prompt_encoder.get_dense_pe((h, w)), sparse, dense, multimask, embedding.fine
        )
        return logits, iou

    def postprocess_masks(self, masks: Tensor, input_size: tuple[int, ...], original_size: tuple[int, ...]) -> Tensor:
        """Scale N×M×h×w logits to the original (height, width); `input_size` is the image's own in the model frame."""
        frame = replace(self.frame(*original_size), occupied=(input_size[0], input_size[1]))
        return frame.masks_to_original(masks)

    def forward(self, batched_input: list[dict[str, Any]], multimask_output: bool) -> list[dict[str, Tensor]]:
        """Segment several images with prompts, in the reference implementation's form.

        Args:
            batched_input: per image a dict with `image` (3×h×w in the model frame, 0 to 255), `original_size`
                (height, width) and any of `point_coords` N×P×2, `point_labels` N×P, `boxes` N×4 in the model
                frame and `mask_inputs` N×1×H×W.
            multimask_output: three masks for each prompt rather than one.

        Returns:
            Per image a dict with `masks` N×M×height×width bool, `iou_predictions` N×M, `low_res_logits` N×M×H×W.
        """
        embedding = self.encode(torch.stack([self.preprocess(record["image"]) for record in batched_input]))
        outputs = []
        for i, record in enumerate(batched_input):
            points = (record["point_coords"], record["point_labels"]) if "point_coords" in record else None
            one = replace(
                embedding,
                features=embedding.features[i : i + 1],
                fine=tuple(f[i : i + 1] for f in embedding.fine),
            )
            low_res, iou = self.decode_parts(
                one, points, record.get("boxes"), record.get("mask_inputs"), multimask_output
            )
            masks = self.postprocess_masks(low_res, record["image"].shape[-2:], record["original_size"])
            outputs.append({"masks": masks > self.mask_threshold, "iou_predictions": iou, "low_res_logits": low_res})
        return outputs
