"""The two-way transformer: tokens look at the image and the image looks back at the tokens (§3, mask decoder)."""

from __future__ import annotations

from torch import Tensor, nn

from .attention import attend, join_heads, split_heads
from .layers import MLPBlock


class TwoWayTransformer(nn.Module):
    """Updates T prompt and output tokens and an image embedding from each other."""

    def __init__(self, depth: int, dim: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, heads, mlp, skip_first_positions=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, heads, shrink=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self, image: Tensor, image_positions: Tensor, tokens: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the updated tokens, N×T×C, and the updated image, N×hw×C.

        Args:
            image: N×C×h×w, the embedding with the dense prompt added.
            image_positions: N×C×h×w or 1×C×h×w positional encoding.
            tokens: N×T×C; they are their own positional encoding.
            present: N×T bool, which tokens may be attended to; None for all.
        """
        keys = image.flatten(2).transpose(1, 2)  # N×hw×C
        key_positions = image_positions.flatten(2).transpose(1, 2)
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, key_positions, present)
        attended = self.final_attn_token_to_image(queries + tokens, keys + key_positions, keys)
        return self.norm_final_attn(queries + attended), keys


class TwoWayBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, an MLP on the tokens, image to tokens."""

    def __init__(self, dim: int, heads: int, mlp: int, skip_first_positions: bool) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, shrink=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLPBlock(dim, mlp, nn.ReLU)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, shrink=2)
        self.skip_first_positions = skip_first_positions

    def forward(
        self, queries: Tensor, keys: Tensor, query_positions: Tensor, key_positions: Tensor, present: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if self.skip_first_positions:
            queries = self.self_attn(queries, queries, queries, present)
        else:
            q = queries + query_positions
            queries = queries + self.self_attn(q, q, queries, present)
        queries = self.norm1(queries)

        k = keys + key_positions
        queries = self.norm2(queries + self.cross_attn_token_to_image(queries + query_positions, k, keys))
        queries = self.norm3(queries + self.mlp(queries))

        q = queries + query_positions
        keys = self.norm4(keys + self.cross_attn_image_to_token(k, q, queries, present))
        return queries, keys


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its outer one by the factor `shrink`."""

    def __init__(self, dim: int, heads: int, shrink: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner = dim // shrink
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None = None) -> Tensor:
        q = split_heads(self.q_proj(q), self.heads)
        k = split_heads(self.k_proj(k), self.heads)
        v = split_heads(self.v_proj(v), self.heads)
        return self.out_proj(join_heads(attend(q, k, v, keys=keys)))
