"""The figures of a run as it goes: a CSV file that matches the state, and TensorBoard's files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, OutputError
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
            with replacing(path) as temporary:
                temporary.write_text(_until(step, path.read_text(encoding="utf-8")), encoding="utf-8")

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Write a row, to the disk."""
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                if not file.tell():
                    writer.writerow(["step", *figures])
                writer.writerow([step, *(f"{value:.6g}" for value in figures.values())])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); free space, and go on") from None
        if self._board:
            for name, value in figures.items():
                self._board.add_scalar(f"{self.path.stem}/{name}", value, step)
            self._board.flush()


def _until(step: int, text: str) -> str:
    """A log without the rows past a step, and without the last where it was cut short; nothing without any row."""
    head, *rows = [line for line in text.splitlines(keepends=True) if line.endswith("\n")] or [""]
    kept = [row for row in rows if int(row.split(",")[0]) <= step]
    return "".join([head, *kept]) if kept else ""


def _open_board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError("tensorboard: is not installed; pip install 'anymask[train]', or leave it out") from None
    return SummaryWriter(str(folder), purge_step=step + 1)
