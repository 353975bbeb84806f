"""The names of the runtimes, and of how near they stay to the model's numbers."""

from __future__ import annotations

from typing import Literal

RuntimeName = Literal["auto", "torch", "openvino"]
"""auto: the fastest that is installed"""
Precision = Literal["exact", "fast"]
"""exact: the model's float32 numbers but for rounding; fast: bfloat16 where the chip computes in it"""
