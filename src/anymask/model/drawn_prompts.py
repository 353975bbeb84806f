"""Prompts drawn as maps, which a light encoder learns to follow much sooner than tokens alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..task.prompts import Label
from .layers import LayerNorm2d

RADIUS = 3.0
"""standard deviation of a click's soft disc, in cells of the map"""
SOFTNESS = 4.0
"""logit of an earlier mask that is drawn at three quarters of the most, in a model that is not trained yet"""


class DrawnPrompts(nn.Module):
    """Draws clicks as soft discs, the box filled, and the earlier mask; two stride-2 convolutions embed them.

    The maps have the resolution of the low-resolution masks, four times the embedding's. How soft the edge of an
    earlier mask is drawn is kept with the weights, for it goes with how steep the model's logits are.
    """

    softness: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = max(4, dim // 8)
        self.register_buffer("softness", torch.tensor(SOFTNESS))
        self.embed = nn.Sequential(
            nn.Conv2d(4, hidden, 3, stride=2, padding=1),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, 2 * hidden, 3, stride=2, padding=1),
            LayerNorm2d(2 * hidden),
            nn.GELU(),
            nn.Conv2d(2 * hidden, dim, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Embed drawn maps, N×4×4h×4w: N×C×h×w."""
        return self.embed(maps)

    def maps(
        self, coords: Tensor, labels: Tensor, masks: Tensor | None, size: tuple[int, int], grid: tuple[int, int]
    ) -> Tensor:
        """Draw N prompts: clicks on the object, clicks beside it, box, and earlier mask, N×4×4h×4w.

        Args:
            coords: N×T×2 in the model frame of (height, width) `size`.
            labels: N×T, a `Label` each.
            masks: N×1×4h×4w logits, zero where there is none; or None.
            grid: (h, w) of the embedding.
        """
        h, w = 4 * grid[0], 4 * grid[1]
        cells = coords * coords.new_tensor([w / size[1], h / size[0]])  # N×T×2
        xs = torch.arange(w, device=coords.device) + 0.5
        ys = torch.arange(h, device=coords.device) + 0.5
        along_x = torch.exp(-0.5 * ((xs - cells[..., :1]) / RADIUS) ** 2)  # N×T×W
        along_y = torch.exp(-0.5 * ((ys - cells[..., 1:]) / RADIUS) ** 2)  # N×T×H
        maps = [
            _discs(along_x, along_y, labels == Label.FOREGROUND),
            _discs(along_x, along_y, labels == Label.BACKGROUND),
            _filled_box(xs, ys, cells, labels),
            _no_mask(coords, h, w) if masks is None else torch.tanh(masks[:, 0] / self.softness),
        ]
        return torch.stack(maps, dim=1)


def _no_mask(coords: Tensor, h: int, w: int) -> Tensor:
    return torch.zeros(coords.shape[0], h, w, device=coords.device)


def _discs(along_x: Tensor, along_y: Tensor, chosen: Tensor) -> Tensor:
    """Soft discs of the chosen tokens, the strongest at each cell: N×H×W."""
    if not chosen.shape[1]:
        return along_x.new_zeros(along_x.shape[0], along_y.shape[-1], along_x.shape[-1])
    discs = (along_y * chosen[..., None])[..., :, None] * along_x[..., None, :]  # N×T×H×W
    return discs.amax(dim=1)


def _filled_box(xs: Tensor, ys: Tensor, cells: Tensor, labels: Tensor) -> Tensor:
    """1 inside the box and 0 outside, with an edge one cell wide; zero where there is no box: N×H×W."""
    first = (labels == Label.BOX_TOP_LEFT)[..., None]
    last = (labels == Label.BOX_BOTTOM_RIGHT)[..., None]
    low = (cells * first).sum(1)  # N×2
    high = (cells * last).sum(1)
    inside_x = (xs - low[:, :1] + 0.5).clamp(0, 1) * (high[:, :1] - xs + 0.5).clamp(0, 1)  # N×W
    inside_y = (ys - low[:, 1:] + 0.5).clamp(0, 1) * (high[:, 1:] - ys + 0.5).clamp(0, 1)  # N×H
    return inside_y[:, :, None] * inside_x[:, None, :] * first.any(1)[..., None]
