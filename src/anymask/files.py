"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import AnymaskError, OutputError

if TYPE_CHECKING:
    from _hashlib import HASH


def make_folder(path: Path) -> Path:
    """Make a folder for results. Raises OutputError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made a folder ({error.strerror}); name another with -o") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: is a folder that cannot be written to; name another with -o")
    return path


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on success it takes that name, on failure it is removed.

    Raises OutputError where there is something at `path` that is no empty folder, or it cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: is there and not empty; name another folder with -o, or remove it")
    if path.is_symlink() or path.is_mount():
        raise OutputError(
            f"{path}: is a link or a mount point, which nothing can take the place of; name a folder in it"
        )
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    make_folder(unfinished)
    try:
        yield unfinished
        if path.exists():
            path.rmdir()
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file if it is there. Raises OutputError where that cannot be."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror}); name another folder with -o") from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed, on failure it is removed.

    Raises OutputError where the folder cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); name another place") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except AnymaskError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or name another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what a process that was killed left of writing a file by `replacing`."""
    for left in path.parent.glob(f".{path.name}.*{path.suffix}"):
        remove(left)


def write_json(path: str | Path, record: Any, indent: int | None = None) -> None:
    """Write a record as JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> HASH:
    """The digest of a file's content so far, which more may be added to. Raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
