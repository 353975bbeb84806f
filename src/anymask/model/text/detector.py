"""The text detector: an open-vocabulary detector whose boxes any SAM takes as prompts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import ConfigError
from ...task.frame import ImageFrame
from ..config import LITE2, Stage, as_tuples
from ..layers import Mixer, double
from ..light import Backbone
from .phrase import PhraseEncoder

STRIDE = 16
"""pixels of the model frame to a cell of the maps"""
LONGEST = 6.0
"""largest logarithm of a distance from a cell to a side of its box, in cells: no number overflows while it learns"""


@dataclass(frozen=True)
class DetectorConfig:
    """The architecture of a text detector."""

    name: str
    """name in the registry"""
    words: str = "wordllama"
    """what makes vectors of the words of a text"""
    word_width: int = 256
    """width of a word's vector"""
    size: int = 512
    """side of the model frame, in pixels"""
    stem: int = 32
    """channels of the backbone's first convolution"""
    stages: tuple[Stage, ...] = LITE2
    """expansion, channels, repeats, stride and kernel of each stage of the backbone"""
    width: int = 192
    """channels of the neck"""
    mixers: tuple[int, int] = (3, 1)
    """residual blocks of the neck at stride 32 and 16"""
    slots: int = 2
    """things that a cell may speak of: the smallest that covers it, and the largest"""
    pixel_mean: float = 127.0
    """what is taken from each channel, of 255"""
    pixel_std: float = 128.0
    """by what each channel is divided then"""
    calibration: tuple[float, float] = (1.0, 0.0)
    """slope and shift that turn the logit of a score into that of the probability that there is such a thing"""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record from which `from_dict` makes the same config."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> DetectorConfig:
        """Read a record of `to_dict`. Raises ConfigError for unknown or missing keys."""
        try:
            return cls(**as_tuples(record))
        except TypeError as error:
            raise ConfigError(f"this is no text detector's config ({error})") from error


class Maps(NamedTuple):
    """What a detector sees in B images, for any number of texts; K slots to each of h×w cells."""

    concepts: Tensor
    """what each cell shows, as a unit vector in the space of phrases: B×K×D×h×w"""
    boxes: Tensor
    """the box of the thing that a cell belongs to, x0, y0, x1, y1 in the model frame: B×K×4×h×w"""
    quality: Tensor
    """logit of how well that box will fit, 0 where there is no thing: B×K×h×w"""


class TextDetector(nn.Module):
    """Finds all that a text names: a box and a score for each, and so a mask of any SAM.

    Each cell of an image says what it shows as a vector in the space of phrases, so that a new text takes a product of
    matrices, not a look at the image. Its backbone keeps what it learned of ImageNet: with few labelled images, what
    tells a zebra from a horse must come from elsewhere, and an encoder trained to segment has forgotten it.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.stem, config.stages)
        *_, stride16, stride32 = self.backbone.channels
        width, out = config.width, config.slots * (config.word_width + 5)
        self.lateral32 = nn.Conv2d(stride32, width, 1)
        self.lateral16 = nn.Conv2d(stride16, width, 1)
        self.mix32, self.mix16 = (nn.Sequential(*(Mixer(width) for _ in range(count))) for count in config.mixers)
        self.read = nn.Conv2d(width, out, 1)
        self.phrases = PhraseEncoder(config.word_width)
        self.steepness = nn.Parameter(torch.tensor(2.5))  # e^2.5 = 12
        self.bias = nn.Parameter(torch.tensor(-6.0))

    def forward(self, pixels: Tensor) -> Maps:
        """Look at B×3×S×S normalised images, S a multiple of 32."""
        *_, at16, at32 = self.backbone(pixels)
        return self.head(at16, at32)

    def head(self, at16: Tensor, at32: Tensor) -> Maps:
        """The maps, of the backbone's at stride 16 and 32."""
        y = self.mix32(self.lateral32(at32))
        y = self.mix16(self.lateral16(at16) + double(y))
        read = self.read(y).unflatten(1, (self.config.slots, -1))
        concepts, sides, quality = read.split([self.config.word_width, 4, 1], dim=2)
        return Maps(F.normalize(concepts, dim=2), self._boxes(sides), quality[:, :, 0])

    def _boxes(self, sides: Tensor) -> Tensor:
        """Boxes of the logarithms of the distances from a cell's centre to the left, top, right and bottom."""
        h, w = sides.shape[-2:]
        x = (torch.arange(w, device=sides.device) + 0.5) * STRIDE
        y = (torch.arange(h, device=sides.device) + 0.5) * STRIDE
        y, x = torch.meshgrid(y, x, indexing="ij")
        far = sides.clamp(max=LONGEST).exp() * STRIDE
        return torch.stack([x - far[:, :, 0], y - far[:, :, 1], x + far[:, :, 2], y + far[:, :, 3]], dim=2)

    def logits(self, concepts: Tensor, phrases: Tensor) -> Tensor:
        """Logits that cells ...×D show what N×D phrases name: ...×N."""
        return self.steepness.exp() * (concepts @ phrases.T) + self.bias

    def raw_scores(self, maps: Maps, phrases: Tensor) -> Tensor:
        """How sure a cell is that its box holds what N×D phrases name, before calibration: B×N×K×h×w, 0 to 1."""
        logits = self.logits(maps.concepts.permute(0, 1, 3, 4, 2), phrases).movedim(-1, 1)
        return logits.sigmoid() * maps.quality.sigmoid().sqrt()[:, None]

    def scores(self, maps: Maps, phrases: Tensor) -> Tensor:
        """The probability that a cell's box holds what N×D phrases name: B×N×K×h×w."""
        slope, shift = self.config.calibration
        return torch.sigmoid(slope * torch.logit(self.raw_scores(maps, phrases), eps=1e-6) + shift)

    def preprocess(self, pixels: Tensor) -> Tensor:
        """Normalise ...×3×h×w pixels of 0 to 255 and pad them to a square of the model's size with black."""
        frame = ImageFrame(pixels.shape[-2], pixels.shape[-1], self.config.size)
        return (frame.pad_image(pixels) - self.config.pixel_mean) / self.config.pixel_std
