"""Linear layers on a CPU through oneDNN: on chips for which MKL has no AVX-512 kernels, they take half the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LEAST = 256
"""rows from which it is worth it"""


class LinearByOneDnn(TorchFunctionMode):
    """Within it, float32 linear layers of many rows are computed as 1×1 convolutions, which PyTorch gives to oneDNN.

    PyTorch gives float32 products themselves to MKL. The numbers are the same but for rounding. For inference alone.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.linear and not kwargs and _is_worth_it(*args):
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def _is_worth_it(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether a float32 product on the CPU has rows enough."""
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return plain and x.numel() >= LEAST * x.shape[-1] and not torch.is_autocast_enabled("cpu")


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # 1×C×rows×1, channels last
    found = F.conv2d(pixels, weight[..., None, None], bias)
    return found.permute(0, 2, 3, 1).reshape(*x.shape[:-1], weight.shape[0])
