"""Folders to and from anywhere that fsspec reaches; what is there already is not sent again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..errors import ConfigError, DataError, OutputError
from ..files import make_folder, replacing, sha256
from .problems import Progress
from .shard_writer import CHECKSUMS

BLOCK = 1 << 20
"""bytes that are moved at once"""


def upload(folder: Path, url: str, progress: Progress | None = None) -> int:
    """Copy all files of a folder to a URL such as s3://bucket/set; the number of those that were not there yet.

    Names that begin with a dot are left out. A file that is there with the same number of bytes, and the same checksum
    where there are lists of them, is not sent; checksums.sha256 goes last, as the sign that all is there. Raises
    DataError where there is no such folder, ConfigError where fsspec or what the URL needs is missing, and OutputError
    where the other side refuses.
    """
    found = (path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))
    files = sorted(found, key=lambda path: (path.name == CHECKSUMS, path))
    if not files:
        raise DataError(f"{folder}: no such folder, or an empty one; expected data to upload")
    system, root = _reach(url)
    sent = 0
    try:
        there, same = _sizes(system, root), _same_checksums(system, root, folder)
        for done, path in enumerate(files, 1):
            name = path.relative_to(folder).as_posix()
            if there.get(name) != path.stat().st_size or path.name == CHECKSUMS or not same(name):
                target = f"{root}/{name}"
                system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
                system.put_file(str(path), target)
                sent += 1
            if progress:
                progress(done, len(files))
    except Exception as error:  # each kind of store has errors of its own
        raise OutputError(f"{url}: cannot be written ({_reason(error)}); the same command goes on from here") from error
    return sent


def download(url: str, folder: Path, progress: Progress | None = None) -> int:
    """Copy all that lies below a URL into a folder; the number of files that were not there yet.

    Each file appears as a whole or not at all. One that is there with the same number of bytes is not fetched again,
    unless checksums.sha256 says that it is another; all that this lists must be as it says in the end. Raises DataError
    where there is nothing at the URL, it cannot be read, a name leads out of the folder or a file is damaged, and
    ConfigError where fsspec or what the URL needs is missing.
    """
    system, root = _reach(url)
    try:
        sizes = _sizes(system, root)
    except Exception as error:
        raise DataError(f"{url}: cannot be read ({_reason(error)}); expected a folder") from error
    if not sizes:
        raise DataError(f"{url}: holds no files; expected a folder")
    for name in sizes:
        paths = PurePosixPath(name), PureWindowsPath(name)
        if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
            raise DataError(f"{url}: its file {name!r} leads out of the folder")
    make_folder(folder)
    fetched = 0
    wanted: dict[str, str] = {}
    for done, name in enumerate(sorted(sizes, key=lambda name: (name != CHECKSUMS, name)), 1):
        path = folder / name
        is_new = not _is_there(path, sizes[name], wanted.get(name))
        if is_new or name == CHECKSUMS:
            _fetch(system, root, name, path, url)
            fetched += is_new
            if name in wanted and sha256(path).hexdigest() != wanted[name]:
                path.unlink()
                raise DataError(f"{url}/{name}: is not as its checksum says; it was damaged, here or there")
        if name == CHECKSUMS:
            wanted = dict(_checksums(path))
        if progress:
            progress(done, len(sizes))
    missing = sorted(wanted.keys() - sizes.keys())
    if missing:
        raise DataError(f"{url}: lacks {missing[0]}, which its {CHECKSUMS} lists; upload it again")
    return fetched


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _same_checksums(system: Any, root: str, folder: Path) -> Callable[[str], bool]:
    """Whether the lists of checksums here and there say the same of a file; so it is where there is no list."""
    here = dict(_checksums(folder / CHECKSUMS)) if (folder / CHECKSUMS).is_file() else {}
    there = here
    if here and system.exists(f"{root}/{CHECKSUMS}"):
        with tempfile.TemporaryDirectory() as temporary:
            system.get_file(f"{root}/{CHECKSUMS}", f"{temporary}/{CHECKSUMS}")
            there = dict(_checksums(Path(temporary, CHECKSUMS)))
    return lambda name: here.get(name) == there.get(name)


def _is_there(path: Path, size: int | None, checksum: str | None) -> bool:
    if not path.is_file() or path.stat().st_size != size:
        return False
    return checksum is None or sha256(path).hexdigest() == checksum


def _fetch(system: Any, root: str, name: str, path: Path, url: str) -> None:
    with replacing(path) as temporary:
        try:
            with system.open(f"{root}/{name}", "rb") as source, temporary.open("wb") as target:
                while block := source.read(BLOCK):
                    target.write(block)
        except Exception as error:
            what = f"{url}/{name}: cannot be read ({_reason(error)})"
            raise DataError(f"{what}; the same command goes on from here") from error


def _checksums(path: Path) -> Iterator[tuple[str, str]]:
    """Name and checksum of each file that is listed."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        checksum, _, name = line.partition("  ")
        if len(checksum) != 64 or not name:
            raise DataError(f"{path}: has the line {line!r:.80}; expected a checksum, two spaces and a name")
        yield name, checksum


def _reach(url: str) -> tuple[Any, str]:
    """What reads and writes at a URL, and the path there."""
    try:
        import fsspec
    except ImportError:
        raise ConfigError(f"{url}: needs fsspec; pip install 'anymask[data]'") from None
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{url}: cannot be reached ({error})") from None
    return system, str(root).rstrip("/")


def _sizes(system: Any, root: str) -> dict[str, int | None]:
    """Bytes of all files below a path, by their names there."""
    system.invalidate_cache()
    if not system.exists(root):
        return {}
    found = system.find(root, detail=True)
    return {str(path)[len(root) :].lstrip("/"): about.get("size") for path, about in found.items()}


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
