"""Converted models on disk, keyed by the hash of the weights they were made of."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

from filelock import FileLock
from platformdirs import user_cache_path

from ..errors import OutputError
from ..model.sam import Sam

CACHE_VARIABLE = "ANYMASK_CACHE"
"""environment variable: the folder of what can be made again, converted models and embeddings"""
PACKAGE = Path(__file__).parents[1]
"""the folder of anymask itself"""


def cache_folder() -> Path:
    """Where converted models and embeddings lie: ANYMASK_CACHE, or the folder that the system has for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("anymask")


def kept_graph(sam: Sam, name: str, file: str, make: Callable[[Path], None], code: Sequence[Path] = ()) -> Path:
    """The file of a converted graph of a model; `make` writes it, and what lies beside it, where it is not there yet.

    Several processes may ask at once: one makes it and the others wait. Raises OutputError where it cannot be written.

    Args:
        sam: the model, whose hash of the weights is known.
        name: of the graph in its form, such as "encoder-openvino-2026.1".
        file: name of the main file.
        make: called with the path to write.
        code: folders of Python that the graph is made by, besides those of models and runtimes.
    """
    parts = (PACKAGE / "model", PACKAGE / "runtime", *code)
    folder = cache_folder() / "models" / f"{sam.config.name}-{sam.weights_hash}" / f"{name}-{_code_hash(parts)}"
    if (folder / file).is_file():
        return folder / file
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (folder / file).is_file():
                _make(folder, file, make)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); free space, or name a folder in {CACHE_VARIABLE}"
        ) from error
    return folder / file


@cache
def _code_hash(folders: tuple[Path, ...]) -> str:
    """Eight digits that change with the code that graphs are made by, so that none is taken that older code made."""
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return f"{crc32(b''.join(path.read_bytes() for path in files)):08x}"


def _make(folder: Path, file: str, make: Callable[[Path], None]) -> None:
    """Make a folder whole or not at all."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        make(temporary / file)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
