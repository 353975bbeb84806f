"""The configuration of a model: plain frozen dataclasses that say everything but the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError


@dataclass(frozen=True)
class ViTConfig:
    """The plain vision transformer with windowed attention of §3 and appendix A."""

    width: int
    """channels of a token"""
    depth: int
    """number of blocks"""
    heads: int
    """attention heads of a block"""
    global_blocks: tuple[int, ...]
    """indices of the blocks that attend to the whole image"""
    size: int = 1024
    """side of the model frame, in pixels"""
    patch: int = 16
    """side of a patch, in pixels; also the stride of the embedding"""
    window: int = 14
    """side of an attention window, in patches"""

    @property
    def stride(self) -> int:
        """Pixels of the model frame per cell of the embedding."""
        return self.patch

    def __post_init__(self) -> None:
        if self.size % self.patch or self.width % self.heads:
            raise ConfigError(f"size must be a multiple of patch, and width of heads: {self}")


Stage = tuple[int, int, int, int, int]
"""expansion, channels, repeats, stride, kernel of a stage of inverted residual blocks"""

LITE2: tuple[Stage, ...] = (
    (1, 16, 1, 1, 3),
    (6, 24, 3, 2, 3),
    (6, 48, 3, 2, 5),
    (6, 88, 4, 2, 3),
    (6, 120, 4, 1, 5),
    (6, 208, 5, 2, 5),
    (6, 352, 1, 1, 3),
)


@dataclass(frozen=True)
class LightConfig:
    """EfficientNet-Lite with a feature pyramid: an embedding at stride 8, finer features at 4 and 2."""

    size: int = 512
    """side of the model frame, in pixels"""
    stem: int = 32
    """channels of the first convolution"""
    stages: tuple[Stage, ...] = LITE2
    """expansion, channels, repeats, stride and kernel of each stage"""
    pyramid: int = 160
    """channels of the feature pyramid"""
    mixers: tuple[int, int, int] = (3, 2, 2)
    """residual blocks of the pyramid at stride 32, 16 and 8"""

    @property
    def stride(self) -> int:
        """Pixels of the model frame per cell of the embedding."""
        return 8


@dataclass(frozen=True)
class SamConfig:
    """A whole model: encoder, decoder and how pixels come in."""

    name: str
    """name in the registry"""
    encoder: ViTConfig | LightConfig
    """the image encoder"""
    dim: int = 256
    """channels of the embedding and of all prompt tokens"""
    heads: int = 8
    """attention heads of the mask decoder"""
    mlp: int = 2048
    """hidden width of the mask decoder's MLPs"""
    depth: int = 2
    """two-way blocks of the mask decoder"""
    mask_channels: int = 16
    """channels in the middle of the mask prompt's convolutions"""
    iou_hidden: int = 256
    """hidden width of the IoU head"""
    draw_prompts: bool = False
    """also draw clicks, box and mask as maps into the dense prompt embedding"""
    mix_prompts: int = 0
    """channels of the convolutions that mix image and dense prompt before the decoder's attention; 0 for none"""
    text_width: int = 0
    """width of CLIP's vectors, which are prompts then; 0 for a model that takes no text"""
    pad_black: bool = False
    """pad images with black before they are normalised, rather than with the mean colour after"""
    pixel_mean: tuple[float, float, float] = field(default=(123.675, 116.28, 103.53))
    """mean of the RGB channels, of 255"""
    pixel_std: tuple[float, float, float] = field(default=(58.395, 57.12, 57.375))
    """standard deviation of the RGB channels, of 255"""

    @property
    def grid(self) -> int:
        """Side of the embedding, in cells."""
        return self.encoder.size // self.encoder.stride

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks."""
        return 4 * self.grid

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record from which `from_dict` makes the same config."""
        kind = "vit" if isinstance(self.encoder, ViTConfig) else "light"
        return {**dataclasses.asdict(self), "encoder": {"kind": kind, **dataclasses.asdict(self.encoder)}}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> SamConfig:
        """Read a record of `to_dict`. Raises ConfigError for unknown or missing keys."""
        try:
            record = as_tuples(record)
            encoder = dict(record.pop("encoder"))
            kind = {"vit": ViTConfig, "light": LightConfig}[encoder.pop("kind")]
            return cls(encoder=kind(**encoder), **record)
        except (KeyError, TypeError) as error:
            raise ConfigError(f"this is no model config that anymask knows: {error}") from error


def as_tuples(record: dict[str, Any]) -> dict[str, Any]:
    """A record from JSON, with its lists as tuples."""

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(convert(item) for item in value)
        return as_tuples(value) if isinstance(value, dict) else value

    return {key: convert(value) for key, value in record.items()}
