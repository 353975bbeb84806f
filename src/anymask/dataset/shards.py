"""Tar shards: SA-1B as it is published, or a WebDataset, each image beside its JSON record (§5)."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import tarfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import overload

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ..errors import DataError, OutputError
from ..files import replacing
from .problems import Problems
from .sa1b import BESIDE, IMAGE_SUFFIXES
from .sample import Record, Sample

KINDS = {**dict.fromkeys(IMAGE_SUFFIXES, "image"), ".json": "record"}
"""what a member is, by the suffix of its name; others are left out"""
EXPECTED = "expected a tar with NAME.jpg and NAME.json of each image, as SA-1B's"
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""what compressed files begin with"""
BLOCK = 512
"""bytes that all of a tar is padded to"""
VERSION = 2
"""of the index on disk; another one is made anew"""


def open_shards(path: str | Path, *, problems: Problems | None = None) -> Shards:
    """The samples of a tar, a folder of tars, or a pattern such as sa_{000000..000009}.tar or shards/*.tar.

    What a tar holds is found in one pass over its headers, kept in the user's cache folder until the tar changes.
    Samples are named like their members, after the tar too where two tars share names.

    Raises DataError where there is no such tar, for one that is cut, damaged or compressed, a member whose name leads
    out of the folder, and an image without record or a record without image. With `problems` that keep going, the
    whole pairs of such tars are still there.
    """
    problems = problems or Problems()
    found: dict[Path, Index] = {}
    for tar in find_tars(path):
        with problems.noted():
            found[tar] = _index(tar, problems)
    if not found:
        raise DataError(f"{path}: holds no tar that can be read; the first fault: {problems.found[0]}")
    return Shards(list(found), list(found.values()))


@dataclass(frozen=True, eq=False)
class Index:
    """Where the pairs of image and record lie in a tar, as arrays: workers share those, and millions need little room.

    Attributes:
        names: N member names without suffix, in the tar's order.
        suffixes: N suffixes of the images.
        places: N×4, the byte at which the image begins, its bytes, and the same of the record.
    """

    names: NDArray[np.bytes_]
    suffixes: NDArray[np.bytes_]
    places: NDArray[np.int64]


class Shards(Sequence[Sample]):
    """The samples of tars, each made when it is looked at; a slice is a list.

    Every sample opens its tar by itself, so that it may go to any process.
    """

    def __init__(self, tars: Sequence[Path], indexes: Sequence[Index]) -> None:
        self._tars, self._indexes = tars, indexes
        self._ends = list(accumulate(len(index.names) for index in indexes))
        self._prefixes = [""] * len(tars)
        if len({name for index in indexes for name in index.names.tolist()}) < len(self):
            root = os.path.commonpath([tar.parent for tar in tars])
            self._prefixes = [f"{tar.with_suffix('').relative_to(root).as_posix()}/" for tar in tars]

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]  # raises IndexError, and counts from the end where it is negative
        shard = bisect_right(self._ends, number)
        return self._sample(shard, number - self._ends[shard] + len(self._indexes[shard].names))

    def _sample(self, shard: int, number: int) -> Sample:
        tar, index = self._tars[shard], self._indexes[shard]
        name, suffix = (each[number].decode("utf-8", "surrogateescape") for each in (index.names, index.suffixes))
        image, image_bytes, record, record_bytes = (int(place) for place in index.places[number])
        where, image_path = tar / f"{name}.json", tar / f"{name}{suffix}"
        return Sample(
            where,
            self._prefixes[shard] + name,
            partial(_read_record, tar, where, record, record_bytes),
            image_path,
            partial(_read_member, tar, image_path, image, image_bytes),
        )


def is_pattern(path: str | Path) -> bool:
    """Whether a path that is no file stands for several."""
    return not Path(path).exists() and any(sign in str(path) for sign in "*?[{")


def find_tars(path: str | Path) -> list[Path]:
    """The tars of a file, a folder or a pattern: as a pattern's braces list them, else by name.

    Raises DataError where there are none, or one that the braces list is missing.
    """
    path = Path(path)
    if path.is_dir():
        tars = sorted(path.glob("*.tar"))
        if not tars:
            raise DataError(f"{path}: holds no .tar; {EXPECTED} (unpack .tar.gz and the like first)")
        return tars
    if path.exists():
        return [path]
    found: dict[Path, None] = {}  # a set in order
    for name in expand_braces(str(path)):
        tars = sorted(Path(tar) for tar in glob.glob(name)) if glob.has_magic(name) else [Path(name)]
        if not tars or not tars[0].exists():
            raise DataError(f"{name}: no such file; {EXPECTED}, a folder of them, or a pattern")
        found.update(dict.fromkeys(tars))
    return list(found)


def expand_braces(pattern: str) -> Iterator[str]:
    """The names that {000..010} and {a,b} in a pattern stand for, as in a shell."""
    braces = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if not braces:
        yield pattern
        return
    first, last, listed = braces.groups()
    if listed is None:
        padded = any(end.startswith("0") and len(end) > 1 for end in (first, last))
        width = max(len(first), len(last)) if padded else 0
        step = 1 if int(first) <= int(last) else -1
        parts: Iterable[str] = (str(i).zfill(width) for i in range(int(first), int(last) + step, step))
    else:
        parts = listed.split(",")
    for part in parts:
        yield from expand_braces(pattern[: braces.start()] + part + pattern[braces.end() :])


def _index(tar: Path, problems: Problems) -> Index:
    """The index of a tar, from the cache where the tar is still as it was, and kept there else."""
    try:
        status = tar.stat()
    except OSError as error:
        raise DataError(f"{tar}: cannot be read ({error.strerror}); {EXPECTED}") from None
    path = str(tar.resolve())
    key = json.dumps([VERSION, path, status.st_size, status.st_mtime_ns])
    cache = user_cache_path("anymask") / "shards" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.npz"
    index = _load_index(cache, key)
    if index is None:
        before = len(problems.found)
        index = _scan(tar, problems)
        if len(problems.found) > before:
            return index  # its faults are to be told the next time, too
        with suppress(OutputError), replacing(cache) as temporary:  # without a cache it is only slower
            np.savez(temporary, key=np.array(key), **vars(index))
    return index


def _load_index(cache: Path, key: str) -> Index | None:
    try:
        with cache.open("rb") as file, np.load(file) as stored:
            if str(stored["key"]) != key:
                return None
            return Index(stored["names"], stored["suffixes"], stored["places"])
    except Exception:  # NumPy raises nearly anything on a damaged file, and the index can be made anew
        return None


def _scan(tar: Path, problems: Problems) -> Index:
    """Find the pairs of a tar in one pass over its headers."""
    pairs: dict[str, dict[str, tarfile.TarInfo]] = {}  # by name without suffix
    with problems.noted():
        for member in _members(tar):
            with problems.noted():
                _sort_in(tar, member, pairs)
    whole = {}
    for stem, pair in pairs.items():
        with problems.noted():
            if _is_whole(tar, stem, pairs):
                whole[stem] = pair
    if not whole:
        raise DataError(f"{tar}: holds no pairs; {EXPECTED}")
    members = [(pair["image"], pair["record"]) for pair in whole.values()]
    return Index(
        np.array([stem.encode("utf-8", "surrogateescape") for stem in whole]),
        np.array([PurePosixPath(image.name).suffix.encode() for image, _ in members]),
        np.array([(i.offset_data, i.size, r.offset_data, r.size) for i, r in members], np.int64),
    )


def _sort_in(tar: Path, member: tarfile.TarInfo, pairs: dict[str, dict[str, tarfile.TarInfo]]) -> None:
    """Add a member to its pair. Raises DataError for one that no image or record may be."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{tar}: its member {member.name!r} leads out of the folder; pack it with relative names")
    kind = KINDS.get(path.suffix.lower())
    if kind is None or path.name.startswith("."):  # macOS puts ._NAME.jpg beside NAME.jpg
        return
    if not member.isreg() or member.issparse():
        raise DataError(f"{tar}: its member {member.name} is a link or has holes; pack it as a plain file")
    pair = pairs.setdefault(str(path.with_suffix("")), {})
    if kind in pair:
        raise DataError(f"{tar}: holds {pair[kind].name} and {member.name}; leave one {kind} of a name in it")
    pair[kind] = member


def _is_whole(tar: Path, stem: str, pairs: dict[str, dict[str, tarfile.TarInfo]]) -> bool:
    """Whether a name has both halves; DataError where one is missing and it belongs to nothing else."""
    if len(pairs[stem]) == 2:
        return True
    [(kind, member)] = pairs[stem].items()
    path = PurePosixPath(stem)
    key = path.with_name(path.name.partition(".")[0])  # in a WebDataset, a.seg.png may go with a.jpg and a.json
    if len(pairs.get(str(key), {})) == 2 or f"{path.name}.json" in BESIDE:  # source.json tells of a whole set
        return False
    missing = f"record {path.name}.json" if kind == "image" else f"image {path.name}.jpg, .png or the like"
    raise DataError(f"{tar}: {member.name} has no {missing} beside it; pack both or neither")


def _members(tar: Path) -> Iterator[tarfile.TarInfo]:
    """The members of a tar. Raises DataError where it is none, compressed, cut or damaged."""
    last = None
    try:
        with tar.open("rb") as file:
            _refuse_packed(tar, file.read(BLOCK))
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as opened:
                for member in opened:
                    yield member
                    last = member.name
                file.seek(opened.offset)
                ended = file.read(BLOCK) == bytes(BLOCK)  # tarfile takes a damaged header for the end
    except DataError:
        raise
    except Exception as error:  # tarfile raises nearly anything on damaged headers
        if last is None:
            raise DataError(f"{tar}: cannot be read as a tar ({error}); {EXPECTED}") from None
        ended = False
    if not ended:
        raise DataError(f"{tar}: is cut short or damaged after {last}; get a whole copy")


def _refuse_packed(tar: Path, start: bytes) -> None:
    for magic, name in PACKED.items():
        if start.startswith(magic):
            raise DataError(
                f"{tar}: is compressed with {name}, so that no image can be found at once; unpack it to a .tar"
            )


def _read_member(tar: Path, member: Path, start: int, size: int) -> bytes:
    """The content of a member. Raises DataError where the tar is gone or has become shorter."""
    try:
        with tar.open("rb") as file:
            file.seek(start)
            content = file.read(size)
    except OSError as error:
        raise DataError(f"{member}: cannot be read ({error.strerror}); expected a tar that stays where it is") from None
    if len(content) < size:
        raise DataError(f"{member}: is cut short, for the tar has changed; open it anew")
    return content


def _read_record(tar: Path, member: Path, start: int, size: int) -> Record:
    content = _read_member(tar, member, start, size)
    try:
        record: Record = json.loads(content)
    except ValueError as error:
        raise DataError(f"{member}: cannot be read as JSON ({error}); expected an SA-1B record") from None
    return record
