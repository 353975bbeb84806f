"""Convolutions that carry a prompt to its surroundings in the image, before attention carries it everywhere."""

from __future__ import annotations

from torch import Tensor, nn

from .layers import Mixer, double


class PromptMixing(nn.Module):
    """A small U of residual blocks on the sum of image embedding and dense prompt, at strides 1, 2 and 4 of it.

    SAM's decoder lets cells speak with tokens, never with their neighbours: its large encoder has settled which cells
    belong together before a prompt comes. A light encoder has not, and what a click says must spread from there.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(dim, width, 1)
        self.first = Mixer(width)
        self.down2 = nn.Conv2d(width, width, 2, stride=2)
        self.middle2 = Mixer(width)
        self.down4 = nn.Conv2d(width, width, 2, stride=2)
        self.middle4 = nn.Sequential(Mixer(width), Mixer(width))
        self.after2 = Mixer(width)
        self.last = Mixer(width)
        self.restore = nn.Conv2d(width, dim, 1)
        for parameter in self.restore.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """B×C×h×w to the same; h and w are multiples of 4."""
        at1 = self.first(self.reduce(x))
        at2 = self.middle2(self.down2(at1))
        at4 = self.middle4(self.down4(at2))
        at2 = self.after2(at2 + double(at4))
        return x + self.restore(self.last(at1 + double(at2)))
