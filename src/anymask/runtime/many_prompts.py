"""The mask decoder for many prompts on one image: what they share is computed once, the rest in smaller products.

The numbers are those of `Sam.decode_all`, but for rounding. What is saved, for cells C wide and heads d wide:

- The first layer's projections of the image are the same for all prompts that bring no mask of their own. In a model
  that draws its prompts, what they are drawn into is the same for all prompts.
- Where tokens are few, projecting them onto all C channels of the cells (Wkᵀq) is less than projecting each cell
  onto the heads (Wk·cell), for keys, values, queries and outputs alike: 8 heads of 7 tokens are 56 columns, where
  the heads together are 128 wide.
- The predicted IoU comes before the masks, so masks that are not wanted are not upscaled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.sam import Sam
from ..model.two_way import Attention, TwoWayBlock
from ..task.prompts import PromptBatch
from .prompted_cells import DrawnImage, drawn_image, prompted_cells


class Heads:
    """An attention between tokens and cells, its projections split by head.

    `tokens` says which side asks: tokens of cells, or cells of tokens. Either way only the tokens are projected.
    """

    def __init__(self, attention: Attention) -> None:
        self.attention = attention
        self.count = attention.heads
        inner = attention.q_proj.out_features
        self.scale = (inner // self.count) ** -0.5
        self.q, self.k, self.v = (
            _plain(layer).weight.unflatten(0, (self.count, -1))  # heads×d×C
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        self.q_bias = attention.q_proj.bias.unflatten(0, (self.count, -1))  # heads×d
        self.out = _plain(attention.out_proj).weight.unflatten(1, (self.count, -1))  # C×heads×d

    def ask_cells(self, queries: Tensor, placed: Tensor, cells: Tensor) -> Tensor:
        """What tokens N×T×C learn from cells N×K×C, `placed` being the cells with their positions: N×T×C.

        The bias of the keys is the same for all cells, so the softmax does not see it.
        """
        q = self.attention.q_proj(queries).unflatten(-1, (self.count, -1))  # N×T×heads×d
        columns = torch.einsum("nthd,hdc->nhtc", q, self.k) * self.scale
        seen = (columns.flatten(1, 2) @ placed.transpose(1, 2)).softmax(-1) @ cells  # N×(heads·T)×C
        seen = seen.unflatten(1, (self.count, -1))
        values = torch.einsum("nhtc,hdc->nthd", seen, self.v).flatten(2) + self.attention.v_proj.bias
        return self.attention.out_proj(values)

    def tell_cells(self, placed: Tensor, keys: Tensor, values: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
        """What cells learn from tokens N×T×C, as a product of two factors: (heads·T)×K, transposed, and (heads·T)×C.

        The biases are in the second factor, for the weights of each head add up to 1.
        """
        k = self.attention.k_proj(keys).unflatten(-1, (self.count, -1)) * self.scale  # N×T×heads×d
        columns = torch.einsum("nthd,hdc->nhtc", k, self.q)
        offset = torch.einsum("nthd,hd->nht", k, self.q_bias)
        logits = columns.flatten(1, 2) @ placed.transpose(1, 2)  # N×(heads·T)×K
        logits = logits.unflatten(1, (self.count, -1)) + offset[..., None]
        return self._weights(logits, present), self._rows(values)

    def ask_shared(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As `ask_cells`, of cells whose keys and values, heads×K×d, are the same for all N."""
        n, t, _ = queries.shape
        q = self.attention.q_proj(queries).flatten(0, 1).unflatten(-1, (self.count, -1)).transpose(0, 1)
        out = F.scaled_dot_product_attention(q[None], keys[None], values[None])[0]  # heads×NT×d
        return self.attention.out_proj(out.transpose(0, 1).flatten(1)).unflatten(0, (n, t))

    def tell_shared(
        self, queries: Tensor, keys: Tensor, values: Tensor, present: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As `tell_cells`, to cells whose queries, heads×K×d, are the same for all N."""
        k = self.attention.k_proj(keys).unflatten(-1, (self.count, -1)) * self.scale  # N×T×heads×d
        logits = k.permute(2, 0, 1, 3).flatten(1, 2) @ queries.transpose(1, 2)  # heads×NT×K
        logits = logits.unflatten(1, (keys.shape[0], -1)).transpose(0, 1)
        return self._weights(logits, present), self._rows(values)

    def project(self, layer: nn.Linear, cells: Tensor) -> Tensor:
        """K×C cells to heads×K×d."""
        return layer(cells).unflatten(-1, (self.count, -1)).transpose(0, 1).contiguous()

    def _weights(self, logits: Tensor, present: Tensor | None) -> Tensor:
        """Softmax over the tokens of N×heads×T×K logits: N×(heads·T)×K."""
        if present is not None:
            logits = logits.masked_fill(~present[:, None, :, None], -torch.inf)
        return logits.softmax(2).flatten(1, 2)

    def _rows(self, values: Tensor) -> Tensor:
        v = self.attention.v_proj(values).unflatten(-1, (self.count, -1))  # N×T×heads×d
        rows = torch.einsum("nthd,chd->nhtc", v, self.out) + self.attention.out_proj.bias / self.count
        return rows.flatten(1, 2)


def _plain(layer: nn.Linear) -> nn.Linear:
    """A layer without adapters, of the same function."""
    merged = getattr(layer, "merged", None)
    return layer if merged is None else cast(nn.Linear, merged())


class Layer:
    """A two-way block with its attentions split by head."""

    def __init__(self, block: TwoWayBlock) -> None:
        self.block = block
        self.to_image = Heads(block.cross_attn_token_to_image)
        self.to_tokens = Heads(block.cross_attn_image_to_token)

    def attend_to_self(self, queries: Tensor, tokens: Tensor, present: Tensor | None) -> Tensor:
        """The tokens among themselves."""
        block = self.block
        if block.skip_first_positions:
            return block.norm1(block.self_attn(queries, queries, queries, present))
        q = queries + tokens
        return block.norm1(queries + block.self_attn(q, q, queries, present))

    def add_answer(self, queries: Tensor, answer: Tensor) -> Tensor:
        """What the cells told the tokens, then the tokens' MLP."""
        queries = self.block.norm2(queries + answer)
        return self.block.norm3(queries + self.block.mlp(queries))

    def add_to_cells(self, cells: Tensor, told: tuple[Tensor, Tensor]) -> Tensor:
        """What the tokens told the cells: N×K×C."""
        weights, rows = told
        return self.block.norm4(torch.baddbmm(cells.expand(rows.shape[0], -1, -1), weights.transpose(1, 2), rows))


class SharedImage(NamedTuple):
    """What prompts that only bring tokens share of an image, whatever they ask.

    Attributes:
        cells: the image, 1×K×C.
        keys, values: of the first layer's cells where tokens ask, heads×K×d.
        asking: queries of the first layer's cells, heads×K×d.
    """

    cells: Tensor
    keys: Tensor
    values: Tensor
    asking: Tensor


def shares_image(sam: Sam, prompts: PromptBatch) -> bool:
    """Whether prompts share anything of an image: not those that bring masks, but in a model that draws them."""
    return prompts.masks is None or sam.prompt_encoder.drawn is not None


def shared_image(sam: Sam, features: Tensor) -> SharedImage | DrawnImage:
    """Of one image's features 1×C×h×w, what does not depend on prompts."""
    if sam.prompt_encoder.drawn is not None:
        return drawn_image(sam, features)
    h, w = features.shape[-2:]
    nothing = sam.prompt_encoder.no_mask_embed.weight[..., None, None]
    image = sam.mask_decoder.prompted_image(features, nothing.expand(1, -1, h, w))
    cells = _cells(image)
    placed = cells[0] + _positions(sam, (h, w))[0].to(cells.dtype)
    layer = Layer(cast(TwoWayBlock, sam.mask_decoder.transformer.layers[0]))
    ask, tell = layer.to_image, layer.to_tokens
    keys, values = ask.project(ask.attention.k_proj, placed), ask.project(ask.attention.v_proj, cells[0])
    return SharedImage(cells, keys, values, tell.project(tell.attention.q_proj, placed))


def answer(
    sam: Sam, image: Tensor | SharedImage | DrawnImage, prompts: PromptBatch, grid: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Answer 1×N prompts on one image: predicted IoU N×4, cells N×K×C, channel weights N×4×(C/8).

    The image is what the prompts share of it or, where they share nothing, its features 1×C×h×w.
    """
    decoder = sam.mask_decoder
    sparse, present = sam.prompt_encoder.embed_tokens(prompts, grid)
    own = decoder.output_tokens(sparse.shape[0])
    tokens = torch.cat([own, sparse], dim=1)
    if present is not None:
        present = torch.cat([present.new_ones(own.shape[:2]), present], dim=1)
    shared = image if isinstance(image, SharedImage) else None
    if isinstance(image, SharedImage):
        cells = image.cells
    elif isinstance(image, DrawnImage):
        cells = prompted_cells(sam, image, prompts, grid)
    else:
        cells = _cells(decoder.prompted_image(image, sam.prompt_encoder.embed_dense(prompts, grid)))
    positions = _positions(sam, grid).to(cells.dtype)
    updated, cells = _two_way(sam, cells, positions, tokens, present, shared, own.shape[1])
    iou, weights = decoder.read_tokens(updated)
    return iou, cells, weights


def _cells(image: Tensor) -> Tensor:
    """N×C×h×w to N×K×C."""
    return image.flatten(2).transpose(1, 2).contiguous()


def _positions(sam: Sam, grid: tuple[int, int]) -> Tensor:
    """Of the cells, 1×K×C."""
    return _cells(sam.prompt_encoder.get_dense_pe(grid))


def _two_way(
    sam: Sam,
    cells: Tensor,
    positions: Tensor,
    tokens: Tensor,
    present: Tensor | None,
    shared: SharedImage | None,
    read: int,
) -> tuple[Tensor, Tensor]:
    """The transformer: tokens N×T×C, and cells N×K×C or, where all share them, 1×K×C, to N of both.

    Of the tokens only the first `read` see the image for the last time, and are returned.
    """
    transformer = sam.mask_decoder.transformer
    queries = tokens
    placed = cells + positions
    for block in cast(Iterable[TwoWayBlock], transformer.layers):
        layer = Layer(block)
        to_image, to_tokens = layer.to_image, layer.to_tokens
        queries = layer.attend_to_self(queries, tokens, present)
        if shared:
            queries = layer.add_answer(queries, to_image.ask_shared(queries + tokens, shared.keys, shared.values))
            told = to_tokens.tell_shared(shared.asking, queries + tokens, queries, present)
        else:
            queries = layer.add_answer(queries, to_image.ask_cells(queries + tokens, placed, cells))
            told = to_tokens.tell_cells(placed, queries + tokens, queries, present)
        cells, shared = layer.add_to_cells(cells, told), None
        placed = cells + positions
    last = Heads(transformer.final_attn_token_to_image)
    queries, tokens = queries[:, :read], tokens[:, :read]
    return transformer.norm_final_attn(queries + last.ask_cells(queries + tokens, placed, cells)), cells
