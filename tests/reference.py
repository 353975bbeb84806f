"""The reference implementations, segment-anything and Hugging Face's SamModel, at any size and with random weights."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from anymask.model.config import SamConfig, ViTConfig
from anymask.model.sam import Sam

# the parts of torchvision that segment-anything imports


def box_area(boxes: Tensor) -> Tensor:
    """Areas of N×4 boxes."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression within each class: the indices kept, best score first, earlier ones on ties."""
    areas, keep = box_area(boxes), []
    waiting = scores.sort(descending=True, stable=True).indices.tolist()
    while waiting:
        best = waiting.pop(0)
        keep.append(best)
        low = torch.maximum(boxes[best, :2], boxes[waiting, :2])
        high = torch.minimum(boxes[best, 2:], boxes[waiting, 2:])
        inter = (high - low).clamp(min=0).prod(dim=1)
        iou = inter / (areas[best] + areas[waiting] - inter)
        gone = (iou > iou_threshold) & (classes[waiting] == classes[best])
        waiting = [index for index, drop in zip(waiting, gone.tolist(), strict=True) if not drop]
    return torch.tensor(keep, dtype=torch.long)


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _import_reference() -> ModuleType:
    """Import segment-anything beside a stand-in for torchvision, whose wheel does not import with torch for CPUs.

    The stand-in is gone afterwards, so that nothing else takes it for the real one.
    """
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    names += ("torchvision.ops", "torchvision.ops.boxes")
    before = {name: sys.modules.get(name) for name in names}
    stand_in = {name: ModuleType(name) for name in names}
    vars(stand_in["torchvision.transforms.functional"]).update(resize=_resize, to_pil_image=Image.fromarray)
    vars(stand_in["torchvision.ops.boxes"]).update(batched_nms=batched_nms, box_area=box_area)
    sys.modules.update(stand_in)
    try:
        package = importlib.import_module("segment_anything")
        importlib.import_module("segment_anything.utils.amg")
        return package
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


segment_anything: Any = _import_reference()
"""the reference package"""
amg: Any = sys.modules["segment_anything.utils.amg"]
"""its tools for masks"""
ResizeLongestSide: Any = sys.modules["segment_anything.utils.transforms"].ResizeLongestSide
"""its geometry"""


# models


def reference_sam(config: SamConfig, noise: bool = True) -> Any:
    """The reference model of a ViT config, in evaluation mode, its parameters filled with noise."""
    modeling, encoder = segment_anything.modeling, config.encoder
    assert isinstance(encoder, ViTConfig)
    sam = modeling.Sam(
        modeling.ImageEncoderViT(
            img_size=encoder.size,
            patch_size=encoder.patch,
            embed_dim=encoder.width,
            depth=encoder.depth,
            num_heads=encoder.heads,
            out_chans=config.dim,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=encoder.window,
            global_attn_indexes=encoder.global_blocks,
        ),
        modeling.PromptEncoder(
            embed_dim=config.dim,
            image_embedding_size=(config.grid, config.grid),
            input_image_size=(encoder.size, encoder.size),
            mask_in_chans=config.mask_channels,
        ),
        modeling.MaskDecoder(
            transformer_dim=config.dim,
            transformer=modeling.TwoWayTransformer(config.depth, config.dim, config.heads, config.mlp),
            iou_head_hidden_dim=config.iou_hidden,
        ),
        list(config.pixel_mean),
        list(config.pixel_std),
    )
    if noise:
        fill_with_noise(sam)
    return sam.eval()


def hugging_face_sam(config: SamConfig) -> Any:
    """Hugging Face's model of a ViT config, in evaluation mode, its parameters filled with noise."""
    from transformers import SamConfig as HuggingFaceConfig
    from transformers import SamModel

    encoder = config.encoder
    assert isinstance(encoder, ViTConfig)
    sam = SamModel(
        HuggingFaceConfig(
            vision_config={
                "hidden_size": encoder.width,
                "output_channels": config.dim,
                "num_hidden_layers": encoder.depth,
                "num_attention_heads": encoder.heads,
                "image_size": encoder.size,
                "patch_size": encoder.patch,
                "window_size": encoder.window,
                "global_attn_indexes": list(encoder.global_blocks),
                "num_pos_feats": config.dim // 2,
            },
            prompt_encoder_config={
                "hidden_size": config.dim,
                "image_size": encoder.size,
                "patch_size": encoder.patch,
                "mask_input_channels": config.mask_channels,
            },
            mask_decoder_config={
                "hidden_size": config.dim,
                "mlp_dim": config.mlp,
                "num_hidden_layers": config.depth,
                "num_attention_heads": config.heads,
                "iou_head_hidden_dim": config.iou_hidden,
            },
        )
    )
    fill_with_noise(sam)
    return sam.eval()


@torch.no_grad()
def fill_with_noise(model: nn.Module, seed: int = 0) -> None:
    """Draw every parameter and buffer of state anew, at a scale that keeps the outputs about 1.

    Nothing stays at the zeros or ones of a fresh model, behind which a wrong use would hide.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in model.modules():
        own = {**dict(part.named_parameters(recurse=False)), **dict(part.named_buffers(recurse=False))}
        for name, value in own.items():
            if name in part._non_persistent_buffers_set:
                continue
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim == 1:
                value.copy_(0.2 * noise + (name == "weight"))
            elif isinstance(part, nn.ConvTranspose2d):
                value.copy_(noise / value.shape[0] ** 0.5)
            elif isinstance(part, (nn.Linear, nn.Conv2d)):
                value.copy_(noise / value[0].numel() ** 0.5)
            else:
                value.copy_(0.5 * noise)


def same_as(reference: Any, config: SamConfig) -> Sam:
    """Our model with the weights of the reference, which must have the same names and shapes."""
    sam = Sam(config)
    sam.load_state_dict(reference.state_dict(), strict=True)
    return sam.eval()
