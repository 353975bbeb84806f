"""Weights by the name of their model: inside the package, on this machine's disk, or fetched."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock
from platformdirs import user_cache_path

from ..errors import CheckpointError, ConfigError, DownloadError, UnknownModelError
from ..files import replacing, sha256
from .registry import MODELS, Entry, entry

if TYPE_CHECKING:
    from _hashlib import HASH

    from .sam import Sam

HOME_VARIABLE = "ANYMASK_HOME"
"""environment variable: the folder of downloaded weights"""
MIRROR_VARIABLE = "ANYMASK_MIRROR"
"""environment variable: base URL to fetch from instead of the official one; the file's name is appended"""
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
"""what the name of a weights file ends in"""
TIMEOUT = 30.0
"""seconds without an answer after which a connection counts as cut"""
BLOCK = 1 << 20
"""bytes read at a time"""

Progress = Callable[[int, int], None]
"""told of the bytes that are there and of those there will be; the latter is 0 where the server does not say"""


def weights_folder() -> Path:
    """Where downloaded weights lie: ANYMASK_HOME, or the folder that the system has for caches."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser() if home else user_cache_path("anymask") / "weights"


def packaged_path(name: str) -> Path:
    """The weights of a model that is inside the package. Raises CheckpointError where they are not."""
    path = _packaged(entry(name))
    if not path.is_file():
        raise CheckpointError(f"{path}: the packaged weights of {name} are missing; install anymask again")
    return path


def find_weights(name: str) -> Path | None:
    """The weights of a model where they are on this machine, inside the package or downloaded; otherwise None."""
    known = entry(name)
    if known.packaged and _packaged(known).is_file():
        return _packaged(known)
    if known.url and (weights_folder() / known.file_name).is_file():
        return weights_folder() / known.file_name
    return None


def download(name: str, folder: str | Path | None = None, progress: Progress | None = None) -> Path:
    """Put the weights of a model in a folder, by default `weights_folder()`, and return the file.

    A file that is there already is verified and kept; one that was cut off is continued. Weights inside the package
    need no folder, and are copied where one is given. Raises DownloadError.
    """
    known = entry(name)
    if known.packaged:
        return packaged_path(name) if folder is None else _copy(packaged_path(name), Path(folder))
    if not known.url:
        raise DownloadError(f"{name}: has no weights to download ({known.about})")
    target = (weights_folder() if folder is None else Path(folder)) / known.file_name
    try:
        if target.is_file():
            return _verified(target, known)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Processes that start together, as those of distributed training do, must neither write the same part nor
        # give up: one fetches, the others wait. The system drops this lock when its holder dies, however it dies,
        # which no lock made of a file's existence could promise; and names of its own for each process would lose
        # the part of the one that was killed.
        with FileLock(target.with_name(f".{target.name}.lock")):
            return target if target.is_file() else _fetch(known, target, progress)
    except DownloadError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise DownloadError(
            f"{target}: cannot be written ({reason}); free space there, or name another folder with {HOME_VARIABLE}; "
            "the same command goes on from what is there"
        ) from error


def load_model(model: str | Path = "nano", device: str | None = None, progress: Progress | None = None) -> Sam:
    """Build a model with its weights, in evaluation mode.

    Args:
        model: a name of the registry, whose weights are downloaded where they are not here yet, or a weights file.
            Toy models, which have no weights, get random ones.
        device: where to put it, such as "cuda", "cuda:1" or "mps"; by default it stays on the CPU.
        progress: told of the bytes of a download.

    Raises UnknownModelError, CheckpointError, DownloadError, and ConfigError for a device that is not there.
    """
    from .checkpoint import build_model, open_model

    device = checked_device(device or "cpu")
    if _is_path(model):
        sam = open_model(Path(model).expanduser())
    else:
        weights = _weights(str(model), progress)
        sam = build_model(entry(str(model)).config, weights)
    return sam.to(device)


def checked_device(device: str) -> str:
    """The name of a device that can be used here. Raises ConfigError for any other."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise ConfigError(
            f"device {device!r} is not there; use cpu, or cuda or mps on a machine that has it"
        ) from error
    return device


def _is_path(model: str | Path) -> bool:
    """Whether a file is meant. A name of the registry stays one whatever lies in the working directory."""
    if not isinstance(model, str):
        return True
    return model not in MODELS and (model.endswith(SUFFIXES) or Path(model).expanduser().is_file())


def _weights(name: str, progress: Progress | None) -> Path | None:
    """The weights of a model, downloaded if need be; None where it has none."""
    try:
        known = entry(name)
    except UnknownModelError as error:
        raise UnknownModelError(f"{error} (or give the path of a weights file: .pth, .safetensors)") from None
    found = find_weights(name)
    if found is None and known.packaged:
        return packaged_path(name)  # which says what is missing
    if found is None and known.url:
        return download(name, progress=progress)
    return found


def _packaged(known: Entry) -> Path:
    return Path(__file__).parent / "weights_data" / known.file_name


def _copy(source: Path, folder: Path) -> Path:
    with replacing(folder / source.name) as temporary:
        shutil.copyfile(source, temporary)
    return folder / source.name


def _fetch(known: Entry, target: Path, progress: Progress | None) -> Path:
    """Fetch into a part file beside the target, which takes the target's name once it is whole and verified."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    url = f"{mirror.rstrip('/')}/{known.file_name}" if mirror else known.url
    part = target.with_name(target.name + ".part")
    digest = sha256(part) if part.is_file() else hashlib.sha256()
    if digest.hexdigest() != known.sha256:  # it has it where a run was stopped between the last byte and the renaming
        digest = _receive(url, part, digest, target, progress)
    actual = digest.hexdigest()
    if actual != known.sha256:
        part.unlink()
        raise DownloadError(
            f"{url}: SHA-256 is {actual}, expected {known.sha256}; the file was removed: run the same command again, "
            f"and if that does not help, fetch from elsewhere with {MIRROR_VARIABLE}"
        )
    part.replace(target)
    return target


def _receive(url: str, part: Path, digest: HASH, target: Path, progress: Progress | None) -> HASH:
    """Bring the part, whose digest is given, to its full length, and return the digest of the whole."""
    response, done = _connect(url, part.stat().st_size if part.is_file() else 0, target)
    with response, part.open("ab" if done else "wb") as file:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else 0
        digest = digest if done else hashlib.sha256()
        if progress:
            progress(done, total)
        while block := _read(response, url, done):
            file.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if done < total:
        raise _cut(url, done, f"{total} were expected")
    return digest


def _connect(url: str, start: int, target: Path) -> tuple[Any, int]:
    """As `_open`, with the errors of the connection as DownloadError."""
    try:
        return _open(url, start)
    except HTTPError as error:
        error.close()
        raise DownloadError(f"{url}: the server answered {error.code} {error.reason}; {_by_hand(target)}") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DownloadError(f"{url}: offline, or the server is not there ({reason}); {_by_hand(target)}") from error
    except ValueError as error:
        raise DownloadError(f"{url}: not a URL; {MIRROR_VARIABLE} should be one like https://host/folder") from error


def _open(url: str, start: int) -> tuple[Any, int]:
    """Ask for a file from byte `start` on; returns the response and the byte that it begins with, `start` or 0."""
    headers = {"User-Agent": "anymask"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the part is longer than the file
            error.close()
            return _open(url, 0)
        raise
    if not start or response.status != HTTPStatus.PARTIAL_CONTENT:
        return response, 0
    given = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if given and int(given[1]) == start:
        return response, start
    response.close()
    return _open(url, 0)


def _read(response: Any, url: str, done: int) -> bytes:
    """The next block, empty at the end. Raises DownloadError where the connection breaks."""
    try:
        return bytes(response.read(BLOCK))
    except (OSError, HTTPException) as error:
        raise _cut(url, done, str(error) or type(error).__name__) from error


def _cut(url: str, done: int, reason: str) -> DownloadError:
    return DownloadError(
        f"{url}: the connection was cut, {done} bytes are there ({reason}); run the same command again to go on"
    )


def _verified(target: Path, known: Entry) -> Path:
    actual = sha256(target).hexdigest()
    if actual != known.sha256:
        raise DownloadError(
            f"{target}: is there, but its SHA-256 is {actual}, expected {known.sha256}; "
            "remove or rename it, then run the same command again"
        )
    return target


def _by_hand(target: Path) -> str:
    return f"fetch {target.name} by other means and put it in {target.parent}"
