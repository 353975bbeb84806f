"""Attention, through the one seam behind which faster kernels can stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PART = 256
"""queries that attend as a whole; where there are more, a CPU takes so many at once, whose logits fit a cache"""


HEADS = 2
"""heads whose logits are computed at once in graphs that are exported: half the memory, in the same time"""


class RelativeBias(NamedTuple):
    """A bias on H·W queries and keys that is a sum of one term along each axis (decomposed relative positions)."""

    rows: Tensor  # B×heads×HW×H
    columns: Tensor  # B×heads×HW×W

    def dense(self) -> Tensor:
        """The whole bias, B×heads×HW×HW."""
        bias = self.rows[..., :, None] + self.columns[..., None, :]  # B×heads×HW×H×W
        return bias.flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, *, bias: RelativeBias | None = None, keys: Tensor | None = None) -> Tensor:
    """softmax(q·kᵀ/√d + bias)·v for B×heads×T×d tensors.

    `keys` is B×T and true where a key may be attended to. Every attention of the package comes through here.
    """
    mask: Tensor | None = None
    if bias is not None:
        if way := _way(q):
            return way(q, k, v, bias)
        mask = bias.dense()
    elif keys is not None:
        mask = keys[:, None, None, :]
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad:
        # On CPUs the backward pass of the bfloat16 kernel takes two to three times as long as that of float32.
        if mask is not None and mask.is_floating_point():
            mask = mask.float()
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask).to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _way(q: Tensor) -> Callable[[Tensor, Tensor, Tensor, RelativeBias], Tensor] | None:
    """How queries with a bias attend where they are too many for the whole at once; None where they are not."""
    if q.shape[2] <= PART:
        return None
    if q.device.type == "cuda":
        return _attend_with_bias_inside
    if torch.compiler.is_compiling():
        return _attend_by_heads
    return _attend_by_parts if q.device.type == "cpu" and not torch.is_grad_enabled() else None


def _attend_by_heads(q: Tensor, k: Tensor, v: Tensor, bias: RelativeBias) -> Tensor:
    """As `attend`, some heads at a time; smaller parts take graphs minutes to compile and are no faster there."""
    some = (x.split(HEADS, dim=1) for x in (q, k, v, *bias))
    parts = [
        F.scaled_dot_product_attention(queries, keys, values, attn_mask=RelativeBias(rows, columns).dense())
        for queries, keys, values, rows, columns in zip(*some, strict=True)
    ]
    return torch.cat(parts, dim=1)


def _attend_by_parts(q: Tensor, k: Tensor, v: Tensor, bias: RelativeBias) -> Tensor:
    """As `attend`, one head and some queries at a time, so that nothing of T×T is ever stored; logits are float32."""
    grid = bias.rows.shape[-1], bias.columns.shape[-1]
    scaled = q * q.shape[-1] ** -0.5
    heads = []
    for head in range(q.shape[1]):
        keys, values = k[:, head].transpose(1, 2), v[:, head]
        queries, *offsets = (x[:, head].split(PART, dim=1) for x in (scaled, bias.rows, bias.columns))
        parts = []
        for some, rows, columns in zip(queries, *offsets, strict=True):
            logits = (some @ keys).float().unflatten(-1, grid)  # B×PART×H×W
            logits = logits.add_(rows[..., :, None]).add_(columns[..., None, :]).flatten(-2)
            parts.append(logits.softmax(-1).to(v.dtype) @ values)
        heads.append(torch.cat(parts, dim=1))
    return torch.stack(heads, dim=1)


def _attend_with_bias_inside(q: Tensor, k: Tensor, v: Tensor, bias: RelativeBias) -> Tensor:
    """As `attend`, with the bias as more channels of queries and keys, so that fused kernels store nothing of T×T.

    A key's further channels are one at its row and at its column, which pick the query's terms for them.
    """
    h, w = bias.rows.shape[-1], bias.columns.shape[-1]
    place = torch.arange(h * w, device=k.device)
    marks = torch.cat([F.one_hot(place // w, h), F.one_hot(place % w, w)], dim=-1).to(k.dtype)  # HW×(H+W)
    queries = torch.cat([q * q.shape[-1] ** -0.5, bias.rows, bias.columns], dim=-1)
    keys = torch.cat([k, marks.expand(*k.shape[:2], -1, -1)], dim=-1)
    values = F.pad(v, (0, h + w))  # as wide as the keys, which the flash kernel asks for
    return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., : v.shape[-1]]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """B×T×D to B×heads×T×(D/heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """B×heads×T×d to B×T×(heads·d)."""
    return x.transpose(1, 2).flatten(-2)


def relative_bias(q: Tensor, rows: Tensor, columns: Tensor, grid: tuple[int, int]) -> RelativeBias:
    """Decomposed relative positions of the queries on a grid (appendix A; Li et al. 2022, ViTDet).

    Args:
        q: B×heads×HW×d, unscaled queries.
        rows, columns: (2·H-1)×d and (2·W-1)×d learned embeddings of the offsets; other lengths are interpolated.
        grid: (H, W).
    """
    h, w = grid
    q = q.unflatten(2, (h, w))  # B×heads×H×W×d
    along_rows = torch.einsum("bnhwd,hkd->bnhwk", q, _offsets(rows, h))
    along_columns = torch.einsum("bnhwd,wkd->bnhwk", q, _offsets(columns, w))
    return RelativeBias(along_rows.flatten(2, 3), along_columns.flatten(2, 3))


def _offsets(table: Tensor, size: int) -> Tensor:
    """The embedding of every pair's offset along one axis of `size` cells: size×size×d."""
    if table.shape[0] != 2 * size - 1:
        table = F.interpolate(table.T[None], 2 * size - 1, mode="linear")[0].T
    cells = torch.arange(size, device=table.device)
    return table[cells[:, None] - cells[None, :] + size - 1]
