"""A file that a long job appends what is done to, item by item, and goes on from when it was cut."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from .errors import OutputError
from .files import make_folder

Row = dict[str, Any]
"""a record, JSON-ready"""


class Journal:
    """JSON lines: the settings of the job, then a line an item with its rows. Each line is synced, whole or not there.

    Used in a `with`, while which the file is open for more. A last line that was cut off goes.

    Args:
        path: the file, which need not be there yet.
        settings: what decides the rows.

    Attributes:
        done: the rows of each item that is done, by its name.

    Raises OutputError where the file is none of ours, or was written with other settings; it then stays as it is.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self._settings = settings
        self.done = _read(path, settings)
        self._file: FileIO

    def __enter__(self) -> Journal:
        make_folder(self.path.parent)
        with _writing(self.path):
            self._file = self.path.open("ab", buffering=0)
            try:
                if not self._file.tell():
                    self._append({"settings": self._settings})
            except OSError:
                self._file.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, name: str, rows: list[Row]) -> None:
        """Note an item as done. Raises OutputError where the file cannot be written."""
        with _writing(self.path):
            self._append({"image": name, "rows": rows})
        self.done[name] = rows

    def _append(self, record: Row) -> None:
        line = _line(record)
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise OutputError where a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free space, or name another folder with -o"
        ) from error


def _line(record: Row) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _read(path: Path, settings: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows of the items that a file already has."""
    try:
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if not whole and not _line({"settings": settings}).startswith(text):
            raise ValueError("its first line is not whole")
        first, *lines = [json.loads(line) for line in whole.splitlines()] or [{"settings": settings}]
        found = dict(first["settings"])
        rows = {line["image"]: list(line["rows"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: is no file of results ({error}); name another folder with -o") from None
    for key in sorted({*found, *settings}):
        if found.get(key) != settings.get(key):
            raise OutputError(
                f"{path}: holds results for {key} {found.get(key)!r}, not {settings.get(key)!r}; "
                "name another folder with -o, or start anew with --again"
            )
    if whole != text:
        with _writing(path):
            os.truncate(path, len(whole))
    return rows
