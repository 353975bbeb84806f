"""Samples of tar shards one after another, from disk or from anywhere that fsspec reaches, without an index (§5)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import ConfigError, DataError
from .problems import Problems
from .sa1b import BESIDE
from .sample import Record, Sample
from .shards import KINDS, expand_braces, find_tars


def stream(
    shards: str | Sequence[str], *, part: tuple[int, int] = (0, 1), problems: Problems | None = None
) -> Iterator[Sample]:
    """The samples of shards, each read once from begin to end.

    Only the pair at hand is in memory. Image and record of a name have to follow one another, as they do in SA-1B and
    in WebDatasets; compressed tars are fine. What belongs to neither is passed over.

    Args:
        shards: URLs or paths of tars, whose braces list several, such as https://…/sa_{000000..000999}.tar; of paths
            also a folder, or a pattern.
        part: (i, n) for every nth shard from the ith on, so that n workers share them.
        problems: takes what is wrong with shards, of which what comes before is still there.

    Raises ConfigError where a URL needs a package that is missing, and DataError for a shard that cannot be read, or an
    image or a record that is alone.
    """
    problems = problems or Problems()
    first, step = part
    for url in _urls(shards)[first::step]:
        with problems.noted():
            yield from _samples(url)


def _urls(shards: str | Sequence[str]) -> list[str]:
    """What the given names stand for."""
    found: list[str] = []
    for name in [shards] if isinstance(shards, str) else shards:
        if "://" in name:
            found += expand_braces(name)
        else:
            found += [str(tar) for tar in find_tars(name)]
    return found


def _samples(url: str) -> Iterator[Sample]:
    pending: dict[str, tuple[str, bytes]] = {}  # of the name at hand: path and content of its image and its record
    name = ""
    for member, content in _members(url):
        path = PurePosixPath(member)
        kind, stem = KINDS.get(path.suffix.lower()), str(path.with_suffix(""))
        if kind is None or path.name.startswith(".") or path.name in BESIDE:
            continue
        if stem != name == str(path.with_name(path.name.partition(".")[0])):
            continue  # in a WebDataset, a.seg.png may go with a.jpg and a.json
        if stem != name:
            _refuse_half(url, name, pending)
            name, pending = stem, {}
        pending[kind] = member, content
        if len(pending) == 2:
            yield _sample(url, name, pending)
            pending = {}
    _refuse_half(url, name, pending)


def _refuse_half(url: str, name: str, pending: dict[str, tuple[str, bytes]]) -> None:
    for kind in pending:
        missing = "record" if kind == "image" else "image"
        raise DataError(f"{url}: {name} has no {missing} right beside it; pack the two one after the other")


def _sample(url: str, name: str, pair: dict[str, tuple[str, bytes]]) -> Sample:
    (image_name, image), (_, record) = pair["image"], pair["record"]
    where = Path(f"{url}/{name}.json")

    def read() -> Record:
        try:
            found: Record = json.loads(record)
        except ValueError as error:
            raise DataError(f"{where}: cannot be read as JSON ({error}); expected an SA-1B record") from None
        return found

    return Sample(where, name, read, Path(f"{url}/{image_name}"), lambda: image)


def _members(url: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a tar. Raises DataError where it cannot be read to its end."""
    last = ""
    try:
        with closing(_open(url)) as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                if member.isreg() and (content := tar.extractfile(member)) is not None:
                    data = content.read()
                    if len(data) < member.size:
                        raise tarfile.ReadError("unexpected end of data")
                    yield str(PurePosixPath(member.name)), data
                    last = member.name
    except (DataError, ConfigError):
        raise
    except Exception as error:  # fsspec's and tarfile's errors are of every kind
        after = f" after {last}" if last else ""
        raise DataError(f"{url}: cannot be read{after} ({error}); expected a whole tar like SA-1B's") from None


def _open(url: str) -> IO[Any]:
    if "://" not in url:
        return Path(url).open("rb")
    try:
        import fsspec
    except ImportError:
        raise ConfigError(f"{url}: needs fsspec; pip install 'anymask[data]'") from None
    file: IO[Any] = fsspec.open(url, "rb").open()
    return file
