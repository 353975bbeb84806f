"""Tar shards like SA-1B's, with an index of all images in Parquet and checksums; a run that is cut goes on (§5)."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from ..errors import ConfigError, DataError, OutputError
from ..files import make_folder, remove, replacing, sha256, sweep
from ..processes import spread
from .card import Card
from .convert import Converted, Origin
from .export.sa1b import record_of
from .export.writer import image_name
from .problems import Problems, Progress
from .sample import Sample
from .shards import BLOCK

INDEX, CHECKSUMS, PARTS = "index.parquet", "checksums.sha256", ".index"
"""the last is the folder of the indexes of the shards that are done, until all are"""
COLUMNS = {
    "shard": "string",
    "name": "string",
    "image_start": "int64",
    "image_bytes": "int64",
    "record_start": "int64",
    "record_bytes": "int64",
    "width": "int32",
    "height": "int32",
    "masks": "int32",
    "image_sha256": "string",
}
"""of the index, a row an image; starts are bytes from the shard's begin"""
ABOUT = b"anymask"
"""key of what an index says of its shard as a whole"""


@dataclass(frozen=True)
class _Task:
    """A shard to be: its place among all, and what goes into it."""

    number: int
    samples: list[Sample]

    @property
    def name(self) -> str:
        return f"data_{self.number:06}.tar"

    @property
    def fingerprint(self) -> str:
        names = "\n".join(f"{sample.name} {sample.stamp()}" for sample in self.samples)
        return f"{len(self.samples)} images, {crc32(names.encode('utf-8', 'surrogateescape')):08x}"


def write_shards(
    samples: Sequence[Sample],
    folder: Path,
    *,
    images: int = 1000,
    workers: int = 1,
    problems: Problems | None = None,
    origin: Origin | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Pack samples into tars of so many images each; the same samples give the same bytes.

    The folder also gets index.parquet (COLUMNS), checksums.sha256 as `sha256sum -c` takes it, and a data card. A shard
    is there as a whole or not at all, and the same call goes on behind those that are done.

    Args:
        samples: of any source.
        folder: where to.
        images: of each shard; the last one's may be fewer.
        workers: processes, a shard each.
        problems: takes what is wrong with samples, which are then left out.
        origin: for the card.
        progress: called after each shard.

    Raises ConfigError where pyarrow is missing, OutputError where the folder holds shards of other images, and
    DataError for a sample that is wrong, unless `problems` keep going, or where none is right.
    """
    problems, origin = problems or Problems(), origin or Origin()
    _parquet()
    parts = folder / PARTS
    if (folder / INDEX).exists():
        raise OutputError(f"{folder / INDEX}: is there, so that all shards are done; name another folder with -o")
    if not parts.is_dir() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is there and not empty; name another folder with -o, or remove it")
    make_folder(parts)
    numbers = range(-(-len(samples) // images))
    tasks = (_Task(number, list(samples[number * images : (number + 1) * images])) for number in numbers)
    for number, _ in enumerate(spread(partial(_pack, folder, problems.keep_going), tasks, workers), 1):
        if progress:
            progress(min(number * images, len(samples)), len(samples))
    result, card = Converted(), Card(origin.sources, origin.made)
    _finish([parts / f"{_Task(number, []).name}.parquet" for number in numbers], folder, card, problems)
    result.images, result.masks = card.images, card.masks.total()
    shutil.rmtree(parts, ignore_errors=True)
    return result


def _pack(folder: Path, keep_going: bool, task: _Task) -> None:
    """Write a shard and then, as the sign that it is done, its index."""
    index = folder / PARTS / f"{task.name}.parquet"
    if index.exists():
        if _about(index)["fingerprint"] != task.fingerprint:
            raise OutputError(f"{folder}: holds shards of other images, or other numbers of them; name another with -o")
        return
    sweep(folder / task.name)
    problems, card = Problems(keep_going), Card()
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    with replacing(folder / task.name) as temporary, temporary.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for sample in task.samples:
                with problems.noted():
                    rows.append({"shard": task.name, **_add(tar, sample, names)})
                    card.add(sample.record)
                sample.forget()
        file.flush()
        checksum = sha256(temporary).hexdigest()
    if not rows:
        remove(folder / task.name)
    about = {
        "fingerprint": task.fingerprint,
        "sha256": checksum,
        "faults": problems.found,
        "card": card.counts(),
    }
    _write_index(index, rows, about)


def _add(tar: tarfile.TarFile, sample: Sample, names: set[str]) -> dict[str, Any]:
    """Add an image and its record to a shard; their row of the index. Raises DataError with nothing added."""
    sample.check_masks()
    content, name = sample.image_bytes(), image_name(sample)
    stem = str(Path(name).with_suffix(""))
    if stem in names:
        raise DataError(f"{sample.where}: another image is called {stem}, too; give each its own name")
    names.add(stem)
    record = json.dumps(record_of(sample, name), ensure_ascii=False).encode()
    row: dict[str, Any] = {"name": stem}
    for kind, member, data in (("image", name, content), ("record", f"{stem}.json", record)):
        told = tarfile.TarInfo(member)  # with no time and no owner, so that the same data gives the same tar
        told.size = len(data)
        tar.addfile(told, io.BytesIO(data))
        row |= {f"{kind}_start": tar.offset - -(-len(data) // BLOCK) * BLOCK, f"{kind}_bytes": len(data)}
    height, width = sample.size
    masks = len(sample.record["annotations"])
    return {
        **row,
        "width": width,
        "height": height,
        "masks": masks,
        "image_sha256": hashlib.sha256(content).hexdigest(),
    }


def _finish(parts: Sequence[Path], folder: Path, card: Card, problems: Problems) -> None:
    """Write what tells of all shards; the joined index last, as the sign that all is done."""
    _, parquet = _parquet()
    lines = []
    for part in parts:
        about = _about(part)
        card.add_counts(about["card"])
        problems.found += about["faults"]
        if about["card"]["images"]:
            lines.append(f"{about['sha256']}  {part.stem}\n")
    if not card.images:
        raise DataError(f"{folder}: would be empty, for no image is right; the first fault: {problems.found[0]}")
    for stale in set((folder / PARTS).glob("*.parquet")) - set(parts):  # of a run that was cut, and had more to do
        remove(folder / stale.stem)
    with replacing(folder / CHECKSUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    card.write(folder, faults=len(problems.found))
    with replacing(folder / INDEX) as temporary, parquet.ParquetWriter(temporary, _schema()) as writer:
        for part in parts:
            writer.write_table(parquet.read_table(part).cast(_schema()))


def _write_index(path: Path, rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    arrow, parquet = _parquet()
    schema = _schema().with_metadata({ABOUT: json.dumps(about, ensure_ascii=False).encode()})
    with replacing(path) as temporary:
        parquet.write_table(arrow.Table.from_pylist(list(rows), schema), temporary)


def _about(path: Path) -> dict[str, Any]:
    """What the index of a shard says of it. Raises OutputError where it is none of ours."""
    _, parquet = _parquet()
    try:
        found: dict[str, Any] = json.loads(parquet.read_schema(path).metadata[ABOUT])
        return found
    except Exception as error:  # pyarrow raises nearly anything on damaged files
        raise OutputError(f"{path}: is no index of a shard ({error}); remove it, and its shard is made anew") from None


def _schema() -> Any:
    arrow, _ = _parquet()
    return arrow.schema([(name, getattr(arrow, kind)()) for name, kind in COLUMNS.items()])


def _parquet() -> tuple[Any, Any]:
    """pyarrow and its module for Parquet. Raises ConfigError where it is missing."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("shards: their index needs pyarrow; pip install 'anymask[data]'") from None
    return pyarrow, parquet
