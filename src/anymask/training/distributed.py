"""One process or many: what the loop asks of Accelerate where it was launched on several GPUs or machines."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..model.weights import checked_device

PATIENCE = timedelta(hours=12)
"""how long processes wait for the main one, which alone checks the data, validates and writes"""


class Alone:
    """A single process."""

    rank = 0
    count = 1

    def __init__(self, device: str) -> None:
        self.device = torch.device(checked_device(device))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def prepare(self, task: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The task and its optimiser, spread over the processes."""
        return task.to(self.device), optimizer

    def gathering(self, task: nn.Module, last: bool) -> AbstractContextManager[Any]:
        """Around a part of a step: gradients are exchanged with the `last` one alone."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        loss.backward()

    def clip(self, task: nn.Module, limit: float) -> Tensor:
        """Norm of the gradient, which is scaled down to `limit`."""
        return nn.utils.clip_grad_norm_(task.parameters(), limit or float("inf"))

    def mean(self, figures: Tensor) -> Tensor:
        """Mean over the processes."""
        return figures

    def agree(self, flag: bool) -> bool:
        """What the main process says."""
        return flag

    def wait(self) -> None:
        """Until all processes are here."""


class Together(Alone):
    """One of several processes that `accelerate launch` or `torchrun` started (DDP, FSDP)."""

    def __init__(self, device: str) -> None:
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
        except ImportError:
            raise ConfigError("several processes need accelerate; pip install 'anymask[train]'") from None
        # A rollout of one round uses no mask prompt, so some weights have no gradient in some steps.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        patient = InitProcessGroupKwargs(timeout=PATIENCE)
        self._accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[unused, patient])
        if self._accelerator.distributed_type == "FSDP" and not self._accelerator.is_fsdp2:
            raise ConfigError("FSDP: version 1 is not supported; launch with --fsdp_version 2")
        self.device = self._accelerator.device
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes

    def prepare(self, task: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        spread: tuple[nn.Module, torch.optim.Optimizer] = self._accelerator.prepare(task, optimizer)
        return spread

    def gathering(self, task: nn.Module, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self._accelerator.no_sync(task)

    def backward(self, loss: Tensor) -> None:
        self._accelerator.backward(loss)

    def clip(self, task: nn.Module, limit: float) -> Tensor:
        norm = self._accelerator.clip_grad_norm_(task.parameters(), limit or float("inf"))
        assert norm is not None
        return norm

    def mean(self, figures: Tensor) -> Tensor:
        reduced: Tensor = self._accelerator.reduce(figures, reduction="mean")
        return reduced

    def agree(self, flag: bool) -> bool:
        from accelerate.utils import broadcast

        return bool(broadcast(torch.tensor(int(flag), device=self.device)).item())

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


def open_processes(device: str) -> Alone:
    """This process and those launched with it. Raises ConfigError without Accelerate where there are several."""
    return Together(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone(device)
