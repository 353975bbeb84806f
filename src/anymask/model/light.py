"""The light image encoder: EfficientNet-Lite (Tan & Le 2019) with a small feature pyramid, same contract as the ViT."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .config import LightConfig, Stage
from .layers import LayerNorm2d, Mixer, double


class LightEncoder(nn.Module):
    """Maps B×3×S×S normalised pixels to a B×dim×(S/8)×(S/8) embedding and to finer features.

    The backbone has no batch norm: the trained statistics are folded into its convolutions, so that training and
    inference compute the same function. S is any multiple of 32.
    """

    def __init__(self, config: LightConfig, dim: int = 256) -> None:
        super().__init__()
        self.config = config
        self.img_size = config.size
        self.backbone = Backbone(config.stem, config.stages)
        stride2, stride4, stride8, stride16, stride32 = self.backbone.channels
        width = config.pyramid
        self.lateral32 = nn.Conv2d(stride32, width, 1)
        self.lateral16 = nn.Conv2d(stride16, width, 1)
        self.lateral8 = nn.Conv2d(stride8, width, 1)
        self.mix32, self.mix16, self.mix8 = (
            nn.Sequential(*(Mixer(width) for _ in range(count))) for count in config.mixers
        )
        self.neck = nn.Sequential(nn.Conv2d(width, dim, 1, bias=False), LayerNorm2d(dim))
        self.outline4 = Outline(stride4, width, dim // 4)
        self.outline2 = Outline(stride2, dim // 4, dim // 8)
        self.fine4 = nn.Sequential(nn.Conv2d(stride4, dim // 4, 1), LayerNorm2d(dim // 4))
        self.fine2 = nn.Sequential(nn.Conv2d(stride2, dim // 8, 1), LayerNorm2d(dim // 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.pyramid(x)[0]

    def pyramid(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The embedding, and the finer features B×(dim/4)×(S/4)² and B×(dim/8)×(S/2)²."""
        at2, at4, at8, at16, at32 = self.backbone(x)
        y = self.mix32(self.lateral32(at32))
        y = self.mix16(self.lateral16(at16) + double(y))
        y = self.mix8(self.lateral8(at8) + double(y))
        at4, above = self.outline4(at4, y)
        at2, _ = self.outline2(at2, above)
        return self.neck(y), (self.fine4(at4), self.fine2(at2))


class Outline(nn.Module):
    """What a coarser map knows of which edges count, added to a finer one; at first it adds nothing."""

    def __init__(self, channels: int, above: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(channels, width, 1)
        self.above = nn.Conv2d(above, width, 1)
        self.mix = Mixer(width)
        self.restore = nn.Conv2d(width, channels, 1)
        for parameter in self.restore.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        """B×channels×2h×2w, and B×above×h×w half as fine: the first with what was added, and B×width×2h×2w."""
        mixed = self.mix(self.lateral(x) + double(self.above(above)))
        return x + self.restore(mixed), mixed


class Backbone(nn.Module):
    """The stages of EfficientNet-Lite without its head; yields the last map of each stride from 2 to 32."""

    def __init__(self, stem: int, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.stem = SameConv2d(3, stem, 3, stride=2)
        self.blocks = nn.ModuleList()
        self.channels: list[int] = []
        self._taps: list[int] = []  # index of the last block at each stride
        channels, last = stem, stem
        for expand, out, repeats, stride, kernel in stages:
            for i in range(repeats):
                if i == 0 and stride == 2:
                    self.channels.append(last)
                    self._taps.append(len(self.blocks) - 1)
                self.blocks.append(InvertedResidual(channels, out, expand, kernel, stride if i == 0 else 1))
                channels = last = out
        self.channels.append(last)
        self._taps.append(len(self.blocks) - 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self.stem(x))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._taps:
                maps.append(x)
        return maps


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; with a residual where the shape stays."""

    def __init__(self, channels: int, out: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = channels * expand
        self.expand = nn.Conv2d(channels, hidden, 1) if expand != 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = nn.Conv2d(hidden, out, 1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "same" is for even sides: with stride 2 more at the right and the bottom."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride=stride, groups=groups)
        total = kernel - stride
        self._pads = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        if self._pads[0] == self._pads[1]:
            return F.conv2d(x, self.weight, self.bias, padding=self._pads[0], groups=self.groups)
        return F.conv2d(F.pad(x, self._pads), self.weight, self.bias, stride=self.stride, groups=self.groups)
