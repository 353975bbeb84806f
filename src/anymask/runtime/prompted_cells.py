"""The cells that many drawn prompts start from on one image: no map is ever wider than what it holds.

A light model draws its prompts and lets convolutions carry them through the image (`DrawnPrompts`, `PromptMixing`).
Both end in a product that widens a few channels to those of the cells. Here the maps stay narrow, channels last: the
mixing reads the drawn maps through the product of both matrices, what it reads of the image is computed once for all
prompts, and the cells are written once, by one product. The numbers are those of the modules, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.drawn_prompts import DrawnPrompts
from ..model.layers import LayerNorm2d, Mixer, double
from ..model.prompt_mixing import PromptMixing
from ..model.sam import Sam


def prompted_cells(sam: Sam, features: Tensor, maps: Tensor) -> Tensor:
    """One image, 1×C×h×w, with the drawn maps N×4×4h×4w of prompts that bring no mask in it: cells N×K×C."""
    encoder = sam.prompt_encoder
    *narrow, widen = cast(Iterable[nn.Module], cast(DrawnPrompts, encoder.drawn).embed)
    drawn = _through(narrow, maps.permute(0, 2, 3, 1))  # N×h×w×c
    matrix, bias = _matrix(widen)
    base = features.permute(0, 2, 3, 1) + (encoder.no_mask_embed.weight[0] + bias)  # 1×h×w×C
    mixing = sam.mask_decoder.mixing
    if mixing is not None:
        reduce, offset = _matrix(mixing.reduce)
        restore, more = _matrix(mixing.restore)
        mixed = _mix(mixing, F.linear(drawn, reduce @ matrix) + F.linear(base, reduce, offset))
        drawn, matrix, base = torch.cat([drawn, mixed], -1), torch.cat([matrix, restore], 1), base + more
    return (F.linear(drawn, matrix) + base).flatten(1, 2)


def _mix(mixing: PromptMixing, reduced: Tensor) -> Tensor:
    """`PromptMixing` between its first and its last product, N×h×w×c."""
    at1 = _mixer(mixing.first, reduced)
    at2 = _mixer(mixing.middle2, _convolve(mixing.down2, at1))
    at4 = _convolve(mixing.down4, at2)
    for mixer in cast(Iterable[Mixer], mixing.middle4):
        at4 = _mixer(mixer, at4)
    at2 = _mixer(mixing.after2, at2 + _double(at4))
    return _mixer(mixing.last, at1 + _double(at2))


def _through(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Convolutions, norms and activations on N×h×w×c."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = _convolve(layer, x)
        else:
            x = _normalise(layer, x) if isinstance(layer, LayerNorm2d) else layer(x)
    return x


def _mixer(mixer: Mixer, x: Tensor) -> Tensor:
    y = _normalise(mixer.norm, _convolve(mixer.spatial, x))
    return x + F.linear(F.gelu(F.linear(y, *_matrix(mixer.expand))), *_matrix(mixer.project))


def _convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _normalise(norm: LayerNorm2d, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _double(x: Tensor) -> Tensor:
    return double(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _matrix(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 1×1 convolution, as a linear layer has them."""
    convolution = cast(nn.Conv2d, layer)
    return convolution.weight.flatten(1), cast(Tensor, convolution.bias)
