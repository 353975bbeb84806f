"""The cells that many drawn prompts start from on one image: no map is ever wider than what it holds.

A light model draws its prompts and lets convolutions carry them through the image (`DrawnPrompts`, `PromptMixing`).
Both end in a product that widens a few channels to those of the cells, as does the embedding of an earlier mask. Here
the maps stay narrow, channels last: the mixing reads the drawn maps through the product of both matrices, what it reads
of the image is computed once for all prompts, and the cells are written once, by one product. The numbers are those of
the modules, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.drawn_prompts import DrawnPrompts
from ..model.layers import LayerNorm2d, Mixer, double
from ..model.prompt_mixing import PromptMixing
from ..model.sam import Sam
from ..task.prompts import PromptBatch


class DrawnImage(NamedTuple):
    """What drawn prompts share of an image, whatever they ask.

    Attributes:
        cells: the image where no prompt has drawn anything, 1×K×C, but for what mixing adds.
        reduced: of these cells what the mixing reads, 1×h×w×c; None in a model that does not mix.
    """

    cells: Tensor
    reduced: Tensor | None = None


def drawn_image(sam: Sam, features: Tensor) -> DrawnImage:
    """Of one image's features 1×C×h×w, what does not depend on prompts, in a model that draws them."""
    encoder, mixing = sam.prompt_encoder, sam.mask_decoder.mixing
    _, bias = _matrix(cast(DrawnPrompts, encoder.drawn).embed[-1])
    cells = features.permute(0, 2, 3, 1) + (encoder.no_mask_embed.weight[0] + bias)
    if mixing is None:
        return DrawnImage(cells.flatten(1, 2))
    restored = cells + _matrix(mixing.restore)[1]
    return DrawnImage(restored.flatten(1, 2), F.linear(cells, *_matrix(mixing.reduce)))


def prompted_cells(sam: Sam, image: DrawnImage, prompts: PromptBatch, grid: tuple[int, int]) -> Tensor:
    """One image as 1×N prompts see it that are drawn into it: cells N×K×C."""
    narrow, matrix = _narrow(sam, prompts, grid)
    mixing = sam.mask_decoder.mixing
    if mixing is not None and image.reduced is not None:
        mixed = _mix(mixing, F.linear(narrow, _matrix(mixing.reduce)[0] @ matrix) + image.reduced)
        narrow, matrix = torch.cat([narrow, mixed], -1), torch.cat([matrix, _matrix(mixing.restore)[0]], 1)
    return F.linear(narrow, matrix).flatten(1, 2) + image.cells


def _narrow(sam: Sam, prompts: PromptBatch, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What prompts add to the cells, as a product of maps N×h×w×c and a matrix C×c."""
    encoder = sam.prompt_encoder
    *layers, widen = cast(Iterable[nn.Module], cast(DrawnPrompts, encoder.drawn).embed)
    drawn, matrix = _through(layers, encoder.draw(prompts, grid).permute(0, 2, 3, 1)), _matrix(widen)[0]
    if prompts.masks is None:
        return drawn, matrix
    *layers, widen = cast(Iterable[nn.Module], encoder.mask_downscaling)
    earlier = _through(layers, prompts.masks[0].permute(0, 2, 3, 1))
    there = torch.ones_like(earlier[..., :1])
    if prompts.has_mask is not None:
        there = there * prompts.has_mask[0, :, None, None, None]
    wide, bias = _matrix(widen)
    instead = bias - encoder.no_mask_embed.weight[0]  # which the image's cells have in them
    return torch.cat([drawn, earlier * there, there], -1), torch.cat([matrix, wide, instead[:, None]], 1)


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
