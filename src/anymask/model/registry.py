"""The models that anymask knows: name to config, and to the function that builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..errors import UnknownModelError
from .config import LightConfig, SamConfig, ViTConfig


@dataclass(frozen=True)
class Entry:
    """A model of the registry."""

    config: SamConfig
    """the architecture"""
    about: str
    """what it is, in a line"""
    licence: str
    """of the weights"""
    url: str = ""
    """where the official weights lie; empty for models that are packaged or have none"""
    sha256: str = ""
    """of the file at `url`"""
    packaged: bool = False
    """whether the weights are inside the package"""
    everything: Mapping[str, float] = field(default_factory=dict)
    """options of the mask generator that suit the model's calibration, where those of the paper do not"""

    @property
    def file_name(self) -> str:
        """Name of the weights' file."""
        return self.url.rsplit("/", 1)[-1] if self.url else f"{self.config.name}.safetensors"


_META = "https://dl.fbaipublicfiles.com/segment_anything/"

_ENTRIES = [
    Entry(
        SamConfig(
            "nano",
            LightConfig(size=512),
            draw_prompts=True,
            mix_prompts=96,
            pad_black=True,
            pixel_mean=(127.0,) * 3,
            pixel_std=(128.0,) * 3,
        ),
        "EfficientNet-Lite2 with SAM's decoder; inside the package, made for CPUs",
        "non-commercial, see its card",
        packaged=True,
        everything={"pred_iou_thresh": 0.45, "stability_score_thresh": 0.6, "stability_score_offset": 2.0},
    ),
    Entry(
        SamConfig("vit_b", ViTConfig(width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))),
        "SAM ViT-B of the paper",
        "Apache-2.0",
        _META + "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    Entry(
        SamConfig("vit_l", ViTConfig(width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))),
        "SAM ViT-L of the paper",
        "Apache-2.0",
        _META + "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    Entry(
        SamConfig("vit_h", ViTConfig(width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))),
        "SAM ViT-H of the paper, the default of segment-anything",
        "Apache-2.0",
        _META + "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    Entry(
        SamConfig(
            "test_tiny",
            ViTConfig(width=16, depth=2, heads=2, global_blocks=(1,), size=64, window=3),
            dim=16,
            heads=2,
            mlp=16,
            mask_channels=8,
            iou_hidden=16,
        ),
        "a toy ViT for tests, without weights",
        "Apache-2.0",
    ),
    Entry(
        SamConfig(
            "test_tiny_light",
            LightConfig(
                size=64,
                stem=4,
                stages=((1, 4, 1, 1, 3), (2, 4, 1, 2, 3), (2, 6, 1, 2, 5), (2, 6, 1, 2, 3), (2, 8, 1, 2, 3)),
                pyramid=8,
            ),
            dim=16,
            heads=2,
            mlp=16,
            mask_channels=8,
            iou_hidden=16,
            draw_prompts=True,
            mix_prompts=8,
        ),
        "a toy light model for tests, without weights",
        "Apache-2.0",
    ),
]

MODELS: dict[str, Entry] = {entry.config.name: entry for entry in _ENTRIES}
"""every model by name"""


def entry(name: str) -> Entry:
    """Look a model up. Raises UnknownModelError, with the nearest names, where there is none."""
    if name in MODELS:
        return MODELS[name]
    near = get_close_matches(name, MODELS, n=1)
    hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(MODELS)
    raise UnknownModelError(f"model {name!r} is not known: {hint}")


def _builder(name: str) -> Callable[..., Any]:
    def build(checkpoint: Any = None) -> Any:
        from .checkpoint import build_model
        from .weights import packaged_path

        if checkpoint is None and MODELS[name].packaged:
            checkpoint = packaged_path(name)
        return build_model(MODELS[name].config, checkpoint)

    without = "those inside the package" if MODELS[name].packaged else "random ones"
    build.__name__ = f"build_{name}"
    build.__doc__ = f"Build {name} with the weights of the file `checkpoint` or, without one, {without}."
    return build


sam_model_registry: dict[str, Callable[..., Any]] = {name: _builder(name) for name in MODELS}
"""name to builder, as in `segment-anything`: sam_model_registry["vit_b"](checkpoint="sam_vit_b_01ec64.pth")"""
sam_model_registry["default"] = sam_model_registry["vit_h"]

build_sam = build_sam_vit_h = sam_model_registry["vit_h"]
build_sam_vit_l = sam_model_registry["vit_l"]
build_sam_vit_b = sam_model_registry["vit_b"]
