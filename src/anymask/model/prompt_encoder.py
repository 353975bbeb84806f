"""The prompt encoder: points, box corners, masks and text to tokens and a dense map (§3, appendix A)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from ..task.prompts import Label, PromptBatch
from .drawn_prompts import DrawnPrompts
from .layers import LayerNorm2d


class PromptEncoder(nn.Module):
    """Embeds prompts as sparse tokens, (B·N)×T×C, and a dense map to add to the image, (B·N)×C×h×w."""

    def __init__(
        self,
        dim: int,
        grid: int,
        size: int,
        mask_channels: int = 16,
        draw_prompts: bool = False,
        text_width: int = 0,
    ) -> None:
        super().__init__()
        self.embed_dim = dim
        self.image_embedding_size = (grid, grid)
        self.input_image_size = (size, size)
        self.pe_layer = RandomFourierPositions(dim // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)
        self.drawn = DrawnPrompts(dim) if draw_prompts else None
        self.text_projection = nn.Linear(text_width, dim) if text_width else None

    @property
    def mask_input_size(self) -> tuple[int, int]:
        """Height and width of a mask prompt."""
        h, w = self.image_embedding_size
        return 4 * h, 4 * w

    def get_dense_pe(self, grid: tuple[int, int] | None = None) -> Tensor:
        """Positional encoding of the embedding's cells, 1×C×h×w."""
        return self.pe_layer(grid or self.image_embedding_size)[None]

    def embed(self, prompts: PromptBatch, grid: tuple[int, int] | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Sparse tokens, dense map, and which tokens are present, with the objects of all images in one row.

        Args:
            prompts: B×N objects.
            grid: (h, w) of the embedding they belong to; the config's own by default.
        """
        grid = grid or self.image_embedding_size
        sparse, present = self.embed_tokens(prompts, grid)
        return sparse, self.embed_dense(prompts, grid), present

    def embed_tokens(self, prompts: PromptBatch, grid: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
        """Sparse tokens of B×N objects, (B·N)×T×C, and which are present, (B·N)×T; None for all."""
        sparse = self._embed_points(prompts.coords.flatten(0, 1), prompts.labels.flatten(0, 1), self._frame_size(grid))
        present = None if prompts.present is None else prompts.present.flatten(0, 1)
        if prompts.text is not None:
            text = prompts.text.flatten(0, 1)
            told = None if prompts.has_text is None else prompts.has_text.flatten()
            if present is not None or told is not None:
                points = sparse.new_ones(sparse.shape[:2], dtype=torch.bool) if present is None else present
                words = points.new_ones(text.shape[:2])
                present = torch.cat([points, words if told is None else words & told[:, None]], dim=1)
            sparse = torch.cat([sparse, text if self.text_projection is None else self.text_projection(text)], dim=1)
        return sparse, present

    def embed_dense(self, prompts: PromptBatch, grid: tuple[int, int]) -> Tensor:
        """Dense map of B×N objects, (B·N)×C×h×w."""
        masks = None if prompts.masks is None else prompts.masks.flatten(0, 1)  # BN×1×H×W
        has_mask = None if prompts.has_mask is None else prompts.has_mask.flatten()
        dense = self._embed_masks(masks, has_mask, math.prod(prompts.shape), grid)
        return dense if self.drawn is None else dense + self.drawn(self.draw(prompts, grid))

    def draw(self, prompts: PromptBatch, grid: tuple[int, int]) -> Tensor:
        """The maps of B×N objects' clicks, boxes and masks, for `drawn` to embed: (B·N)×4×4h×4w."""
        drawn = cast(DrawnPrompts, self.drawn)
        labels, present = prompts.labels.flatten(0, 1), prompts.present
        if present is not None:
            labels = labels.masked_fill(~present.flatten(0, 1), Label.NOT_A_POINT)
        masks = None if prompts.masks is None else prompts.masks.flatten(0, 1)
        return drawn.maps(prompts.coords.flatten(0, 1), labels, masks, self._frame_size(grid), grid)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
        grid: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Embed prompts that all have the same parts, as the reference implementation takes them.

        Args:
            points: N×P×2 coordinates in the model frame and N×P labels.
            boxes: N×4 in the model frame.
            masks: N×1×H×W logits.
            grid: (h, w) of the embedding they belong to; the config's own by default.
        """
        batch = PromptBatch.same_parts(points, boxes, masks, self.no_mask_embed.weight.device)
        sparse, dense, _ = self.embed(batch, grid)
        return sparse, dense

    def _frame_size(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the model frame whose embedding has this grid."""
        stride = self.input_image_size[0] // self.image_embedding_size[0]
        return grid[0] * stride, grid[1] * stride

    def _embed_points(self, coords: Tensor, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Position plus type of each token, BN×T×C; a token that is no point has a type alone."""
        types = torch.cat(
            [self.not_a_point_embed.weight, *[cast(nn.Embedding, e).weight for e in self.point_embeddings]]
        )  # 5×C
        positions = self.pe_layer.encode(coords + 0.5, size)
        positions = positions * (labels != Label.NOT_A_POINT)[..., None]
        return positions + types[labels.long() + 1]

    def _embed_masks(self, masks: Tensor | None, has_mask: Tensor | None, count: int, grid: tuple[int, int]) -> Tensor:
        none = self.no_mask_embed.weight[:, :, None, None].expand(count, -1, *grid)
        if masks is None:
            return none
        dense = self.mask_downscaling(masks)
        return dense if has_mask is None else torch.where(has_mask[:, None, None, None], dense, none)


class RandomFourierPositions(nn.Module):
    """Positional encoding with random spatial frequencies (Tancik et al. 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def encode(self, coords: Tensor, size: tuple[int, int]) -> Tensor:
        """...×2 (x, y) pixels in a frame of (height, width) `size` to ...×C, sines before cosines."""
        matrix = self.positional_encoding_gaussian_matrix
        unit = coords.to(matrix.dtype) / coords.new_tensor([size[1], size[0]]).to(matrix.dtype)
        angles = 2 * math.pi * ((2 * unit - 1) @ matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def forward(self, grid: tuple[int, int]) -> Tensor:
        """Encoding of the centres of an h×w grid, C×h×w."""
        h, w = grid
        device = self.positional_encoding_gaussian_matrix.device
        y, x = torch.meshgrid(torch.arange(h, device=device) + 0.5, torch.arange(w, device=device) + 0.5, indexing="ij")
        return self.encode(torch.stack([x, y], dim=-1), (h, w)).permute(2, 0, 1)
