"""The names of the runtimes, of how near they stay to the model's numbers, and of what is done for finer masks."""

from __future__ import annotations

from typing import Literal

RuntimeName = Literal["auto", "torch", "openvino", "onnx"]
"""auto: the fastest that is installed"""
Precision = Literal["exact", "fast", "int8"]
"""exact: the model's float32 numbers but for rounding; fast: bfloat16 where the chip computes in it; int8: as fast, and
the linear layers of a ViT encoder in 8 bits"""
Refine = Literal["none", "zoom"]
"""none: masks as the whole image gives them; zoom: each asked for once more in the crop around it"""
