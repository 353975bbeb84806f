"""The image encoder of the paper: a plain ViT with windowed attention and four global blocks (§3, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..errors import ConfigError
from .attention import attend, join_heads, relative_bias
from .config import ViTConfig
from .layers import LayerNorm2d, MLPBlock


class ViTEncoder(nn.Module):
    """Maps B×3×S×S normalised pixels to a B×dim×(S/16)×(S/16) embedding.

    S is `config.size` for released weights; any multiple of the patch works, and the positions are interpolated.

    Attributes:
        checkpointing: in training keep no activations but those between blocks, and compute the others again on the
            way back: less memory, more time, the same gradients.
    """

    def __init__(self, config: ViTConfig, dim: int = 256) -> None:
        super().__init__()
        self.config = config
        self.img_size = config.size
        self.checkpointing = False
        grid = config.size // config.patch
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, 0 if i in config.global_blocks else config.window, grid)
            for i in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(config.width, dim, 1, bias=False),
            LayerNorm2d(dim),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False),
            LayerNorm2d(dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)  # B×h×w×D
        x = x + self._positions(x.shape[1], x.shape[2])
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointing and self.training else block(x)
        return self.neck(x.permute(0, 3, 1, 2))  # B×C×h×w

    def pyramid(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The embedding, and the finer features, of which a plain ViT has none."""
        return self(x), ()

    def set_drop_path(self, rate: float) -> None:
        """Let training skip residual branches, at a rate that rises linearly from 0 in the first block to `rate`.

        It is drawn for each image and branch from torch's own generator (appendix A; Huang et al. 2016, and as in
        ViTDet, Li et al. 2022). A rate of 0 draws nothing. Raises ConfigError unless 0 ≤ rate < 1.
        """
        if not 0 <= rate < 1:
            raise ConfigError(f"drop path: expected a rate of 0 or more and less than 1, got {rate}")
        for i, block in enumerate(cast(Iterable[Block], self.blocks)):
            block.drop_path = rate * i / max(1, len(self.blocks) - 1)

    def _positions(self, h: int, w: int) -> Tensor:
        if self.pos_embed.shape[1:3] == (h, w):
            return self.pos_embed
        positions = self.pos_embed.permute(0, 3, 1, 2)
        return F.interpolate(positions, (h, w), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Cuts an image into patches and projects each to a token: B×3×S×S to B×h×w×D."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


class Block(nn.Module):
    """A transformer block over B×h×w×D tokens, within windows of `window` cells or, with 0, over all of them.

    Attributes:
        drop_path: probability with which training skips each residual branch for an image.
    """

    def __init__(self, width: int, heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, window or grid)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLPBlock(width, 4 * width)
        self.window = window
        self.drop_path = 0.0

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        if self.window:
            h, w = y.shape[1:3]
            y = _join_windows(self.attn(_cut_windows(y, self.window)), self.window, (h, w))
        else:
            y = self.attn(y)
        x = x + self._branch(y)
        return x + self._branch(self.mlp(self.norm2(x)))

    def _branch(self, y: Tensor) -> Tensor:
        """A residual branch, skipped at random in training, and scaled so that its mean stays."""
        if not self.training or not self.drop_path:
            return y
        keep = 1 - self.drop_path
        return y * (y.new_empty(len(y), 1, 1, 1).bernoulli_(keep) / keep)


class Attention(nn.Module):
    """Multi-head self-attention over a grid, with decomposed relative positions."""

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid - 1, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        qkv = self.qkv(x).flatten(1, 2)  # B×hw×3D
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # 3 of B×heads×hw×d
        bias = relative_bias(q, self.rel_pos_h, self.rel_pos_w, (h, w))
        out = join_heads(attend(q, k, v, bias=bias))
        return self.proj(out).unflatten(1, (h, w))


def _cut_windows(x: Tensor, window: int) -> Tensor:
    """B×h×w×D to (B·windows)×window×window×D, padded with zeros at the right and at the bottom."""
    _, h, w, d = x.shape
    x = F.pad(x, (0, 0, 0, -w % window, 0, -h % window))
    x = x.unflatten(1, (-1, window)).unflatten(3, (-1, window))  # B×rows×window×columns×window×D
    return x.transpose(2, 3).reshape(-1, window, window, d)


def _join_windows(x: Tensor, window: int, shape: tuple[int, int]) -> Tensor:
    """Undo `_cut_windows`."""
    h, w = shape
    rows, columns = -(-h // window), -(-w // window)
    x = x.unflatten(0, (-1, rows, columns)).transpose(2, 3)  # B×rows×window×columns×window×D
    return x.flatten(1, 2).flatten(2, 3)[:, :h, :w]
