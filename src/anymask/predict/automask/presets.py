"""Presets of "everything": how finely to look."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigError
from ...model.sam import Sam
from .generator import SamAutomaticMaskGenerator

PRESETS: dict[str, dict[str, Any]] = {
    "objects": {"points_per_side": 16, "min_mask_region_area": 100},
    "parts": {"points_per_side": 32, "min_mask_region_area": 100},
    "dense": {
        "points_per_side": 32,
        "crop_n_layers": 1,
        "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 50,
    },
    "fast": {"points_per_side": 16, "min_mask_region_area": 100, "skip_covered": 4, "precision": "fast"},
}
"""name to the options of the generator: few points; many points; many points and zoomed-in crops; few points but
for those on what was found before, in bfloat16 where the chip has it"""


def preset_generator(model: Sam, preset: str = "objects", **options: Any) -> SamAutomaticMaskGenerator:
    """A mask generator with the options of a preset, which `options` may override. Raises ConfigError by name."""
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is not known; expected one of {', '.join(PRESETS)}")
    return SamAutomaticMaskGenerator(model, **{**PRESETS[preset], **options})
