"""The figures of a run as it goes: a CSV file that matches the state, and TensorBoard's files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import replacing


class Log:
    """Rows of figures by step.

    Args:
        path: the CSV file. Rows past `step` go, since they will be written again.
        step: where the run goes on.
        tensorboard: folder for TensorBoard's files, or None. Raises ConfigError where TensorBoard is not installed.
    """

    def __init__(self, path: Path, step: int, tensorboard: Path | None = None) -> None:
        self.path = path
        self._board: Any = _open_board(tensorboard, step) if tensorboard else None
        if path.exists():
            head, *rows = path.read_text(encoding="utf-8").splitlines()
            kept = [row for row in rows if int(row.split(",")[0]) <= step]
            with replacing(path) as temporary:
                temporary.write_text("\n".join([head, *kept, ""]), encoding="utf-8")

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Write a row, to the disk."""
        fresh = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *figures])
            writer.writerow([step, *(f"{value:.6g}" for value in figures.values())])
            file.flush()
            os.fsync(file.fileno())
        if self._board:
            for name, value in figures.items():
                self._board.add_scalar(f"{self.path.stem}/{name}", value, step)
            self._board.flush()


def _open_board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError("tensorboard: is not installed; pip install 'anymask[train]', or leave it out") from None
    return SummaryWriter(str(folder), purge_step=step + 1)
