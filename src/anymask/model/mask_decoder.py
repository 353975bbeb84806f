"""The mask decoder: tokens and image embedding to four masks and their predicted IoU (§3, appendix A)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import LayerNorm2d
from .prompt_mixing import PromptMixing
from .two_way import TwoWayTransformer

Upscaling = tuple[nn.ConvTranspose2d, LayerNorm2d, nn.GELU, nn.ConvTranspose2d, nn.GELU]


class MaskDecoder(nn.Module):
    """Predicts masks from an image embedding and embedded prompts.

    Mask token 0 answers unambiguous prompts; tokens 1 to 3 offer whole, part and sub-part of an ambiguous one.
    """

    def __init__(
        self,
        dim: int = 256,
        heads: int = 8,
        mlp: int = 2048,
        depth: int = 2,
        iou_hidden: int = 256,
        masks: int = 3,
        mix: int = 0,
    ) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(depth, dim, heads, mlp)
        self.num_mask_tokens = masks + 1
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, depth=3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(dim, iou_hidden, self.num_mask_tokens, depth=3)
        self.mixing = PromptMixing(dim, mix) if mix else None

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        fine: tuple[Tensor, ...] = (),
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B·N)×M×4h×4w and predicted IoU (B·N)×M; M is 3 with `multimask_output`, else 1.

        Args:
            image_embeddings: B×C×h×w.
            image_pe: 1×C×h×w positional encoding.
            sparse_prompt_embeddings: (B·N)×T×C, the N objects of an image one after another.
            dense_prompt_embeddings: (B·N)×C×h×w.
            multimask_output: whether to answer with the three masks of an ambiguous prompt.
            fine: finer features of the image, B×(C/4)×2h×2w and B×(C/8)×4h×4w, or none.
            present: (B·N)×T bool, false for padding tokens; None where all are present.
        """
        masks, iou = self.predict_masks(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings, fine, present
        )
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, chosen], iou[:, chosen]

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        fine: tuple[Tensor, ...] = (),
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All four masks, (B·N)×4×4h×4w, and their predicted IoU, (B·N)×4; arguments as for `forward`."""
        count = sparse_prompt_embeddings.shape[0]
        out = self.output_tokens(count)
        tokens = torch.cat([out, sparse_prompt_embeddings], dim=1)  # BN×(5+T)×C
        if present is not None:
            present = torch.cat([present.new_ones(count, out.shape[1]), present], dim=1)
        repeats = count // image_embeddings.shape[0]
        image = self.prompted_image(image_embeddings.repeat_interleave(repeats, dim=0), dense_prompt_embeddings)
        updated, image_out = self.transformer(image, image_pe.to(image.dtype), tokens, present)
        iou, weights = self.read_tokens(updated)
        return self.upscale(image_out, weights, (image.shape[-2], image.shape[-1]), fine), iou

    def output_tokens(self, count: int) -> Tensor:
        """The tokens that the answers of N prompts are read from, before they have seen anything: N×5×C."""
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(count, -1, -1)

    def prompted_image(self, image: Tensor, dense: Tensor) -> Tensor:
        """The image with the dense prompt in it, both N×C×h×w or, of one of them, 1×C×h×w."""
        image = image + dense
        return image if self.mixing is None else self.mixing(image)

    def read_tokens(self, updated: Tensor) -> tuple[Tensor, Tensor]:
        """Of tokens that have seen the image, N×T×C: predicted IoU N×4 and the masks' channel weights N×4×(C/8)."""
        mask_tokens = updated[:, 1 : 1 + self.num_mask_tokens]  # N×4×C
        weights = [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        return self.iou_prediction_head(updated[:, 0]), torch.stack(weights, dim=1)

    def upscale(self, image: Tensor, weights: Tensor, grid: tuple[int, int], fine: tuple[Tensor, ...]) -> Tensor:
        """Upscale the embedding four times and weigh its channels into masks: N×hw×C and N×M×(C/8) to N×M×4h×4w.

        A transposed convolution whose kernel is its stride maps each cell on its own to a block of 2×2 cells. So
        both run as matrix products on cells, channels last, and only the finished masks are put in rows and columns.
        Finer features join before each activation, for crisp edges.
        """
        return self.upscale_blocks(image, weights, grid, tuple(in_blocks(x, grid) for x in fine))

    def upscale_blocks(self, image: Tensor, weights: Tensor, grid: tuple[int, int], fine: tuple[Tensor, ...]) -> Tensor:
        """As `upscale`, with the finer features in the order of `in_blocks`."""
        return out_of_blocks(self.weigh_blocks(image, weights, fine), grid)

    def weigh_blocks(self, image: Tensor, weights: Tensor, fine: tuple[Tensor, ...]) -> Tensor:
        """As `upscale_blocks`, for any K cells, with the masks in the order of `in_blocks` as well: N×K×16×M."""
        up1, norm, act, up2, _ = cast(Upscaling, tuple(self.output_upscaling))
        x = _to_blocks(image, up1)  # BN×K×4×(C/4)
        if fine:
            x = x + _repeat(fine[0], x.shape[0])
        x = act(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        x = _to_blocks(x, up2).flatten(2, 3)  # BN×K×16×(C/8)
        if fine:
            x = x + _repeat(fine[1], x.shape[0])
        return (act(x).flatten(1, 2) @ weights.transpose(1, 2)).unflatten(1, (-1, 16))


def _to_blocks(x: Tensor, up: nn.ConvTranspose2d) -> Tensor:
    """Apply a 2×2, stride-2 transposed convolution to cells: ...×C to ...×4×C', the 2×2 block in reading order."""
    weight = up.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (2·2·C')×C
    bias = None if up.bias is None else up.bias.repeat(4)
    return F.linear(x, weight, bias).unflatten(-1, (4, -1))


def in_blocks(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Order a finer map by the cells of the grid: B×C×(kh)×(kw) to B×hw×k²×C, k being 2 or 4.

    With k of 4 the 2×2 quarters of a cell come one after another, each in reading order, as `upscale` makes them.
    """
    h, w = grid
    x = x.unflatten(2, (h, -1)).unflatten(4, (w, -1))  # B×C×h×k×w×k
    if x.shape[3] == 2:
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
    x = x.unflatten(3, (2, 2)).unflatten(6, (2, 2))  # B×C×h×2×2×w×2×2
    return x.permute(0, 2, 5, 3, 6, 4, 7, 1).flatten(3, 6).flatten(1, 2)


def out_of_blocks(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Undo `in_blocks`: B×hw×k²×C to B×C×(kh)×(kw)."""
    h, w = grid
    if x.shape[2] == 4:
        blocks = x.unflatten(1, (h, w)).unflatten(3, (2, 2))  # B×h×w×2×2×C
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
    blocks = x.unflatten(1, (h, w)).unflatten(3, (2, 2, 2, 2))  # B×h×w×2×2×2×2×C
    return blocks.permute(0, 7, 1, 3, 5, 2, 4, 6).flatten(5).flatten(2, 4)


def _repeat(x: Tensor, count: int) -> Tensor:
    """Repeat each image's map for the objects prompted in it; that of a single image is broadcast."""
    return x if x.shape[0] == 1 else x.repeat_interleave(count // x.shape[0], dim=0)


class MLP(nn.Module):
    """`depth` linear layers with ReLU between them."""

    def __init__(self, width: int, hidden: int, out: int, depth: int) -> None:
        super().__init__()
        sizes = [width, *[hidden] * (depth - 1), out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
