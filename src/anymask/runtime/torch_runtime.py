"""PyTorch itself as a runtime: eager or compiled, float32 or bfloat16, on any device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import ConfigError
from ..model.sam import ImageEmbedding, Sam
from ..task.prompts import PromptBatch
from . import many_prompts
from .interface import Answers, Runtime
from .names import Precision
from .onednn import LinearByOneDnn

ON_CPU, ON_GPU = 8, 256
"""prompts at once, at most"""
PROMPT = 100 * 2**20
"""bytes that one prompt takes at most: some ten times the 4096×256 float32 of the image as it sees it, and its masks"""


class TorchRuntime(Runtime):
    """Runs the model's own modules.

    Args:
        sam: the model.
        precision: "fast" computes in bfloat16 where the device has it; otherwise it is as "exact".
        compiled: let `torch.compile` make kernels of the encoder at the first image; it needs a C++ compiler.
    """

    name: ClassVar[str] = "torch"

    def __init__(self, sam: Sam, precision: Precision = "exact", compiled: bool = False) -> None:
        super().__init__(sam, precision)
        if precision == "int8":
            raise ConfigError("precision int8: PyTorch has none here; use the runtime openvino or onnx, or fast")
        self.bf16 = precision == "fast" and has_bf16(sam.device)
        self.batch = _fitting(sam.device)
        on_cpu = sam.device.type == "cpu" and torch.backends.mkldnn.is_available()
        self._by_onednn = on_cpu and not compiled  # a compiled graph has its own products
        self._encode: Callable[[Tensor], ImageEmbedding] = torch.compile(sam.encode) if compiled else sam.encode

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> ImageEmbedding:
        with self._computing():
            found = self._encode(pixels)
        return replace(found, features=found.features.float(), fine=tuple(f.float() for f in found.fine))

    @torch.no_grad()
    def answer(self, embedding: ImageEmbedding, prompts: PromptBatch) -> Answers:
        with self._computing():
            features = embedding.features
            shares = many_prompts.shares_image(self.sam, prompts)
            image = many_prompts.shared_image(self.sam, features) if shares else features
            grid = (features.shape[-2], features.shape[-1])
            iou, cells, weights = many_prompts.answer(self.sam, image, prompts, grid)
        return Answers(iou.float(), cells, weights, embedding, self)

    @torch.no_grad()
    def upscale(self, cells: Tensor, weights: Tensor, embedding: ImageEmbedding) -> Tensor:
        h, w = embedding.features.shape[-2:]
        with self._computing():
            return self.sam.mask_decoder.upscale(cells, weights, (h, w), embedding.fine).float()

    def _computing(self) -> AbstractContextManager[Any]:
        """What the model's modules run within."""
        if self.bf16:
            return torch.autocast(self.sam.device.type, torch.bfloat16)
        return LinearByOneDnn() if self._by_onednn else nullcontext()


def _fitting(device: torch.device) -> int:
    """How many prompts are answered at once: on a GPU what half of its free memory holds, else what caches hold."""
    if device.type != "cuda":
        return ON_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(ON_GPU, free // 2 // PROMPT))


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16, rather than only storing it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
