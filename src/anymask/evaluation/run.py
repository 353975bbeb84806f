"""Runs a protocol over a data set: images are read ahead, each image's rows go to disk, and a cut run goes on."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any
from zlib import crc32

from ..dataset.sample import Sample
from ..errors import AnymaskError, OutputError
from ..files import make_folder
from .processes import processes
from .protocol import EvaluationProtocol, LabelledImage, Row

AHEAD = 4
"""images that are read while the model works on an earlier one"""
WAITING = 2 * AHEAD
"""images whose rows are being made in other processes"""

Progress = Callable[[int], None]
"""called with the number of images that are done"""


def run(
    protocol: EvaluationProtocol,
    subject: Any,
    samples: Sequence[Sample],
    path: Path,
    settings: dict[str, Any],
    progress: Progress = lambda done: None,
    skip_empty: bool = False,
) -> list[Row]:
    """The rows of all images, in the samples' order.

    Args:
        protocol: what is measured.
        subject: what answers, a predictor or a baseline.
        samples: the images.
        path: JSON lines file: the settings, then a line an image. Images that it has are not done again.
        settings: what decides the figures, such as the model and its weights' hash. The protocol's options and the
            samples' names are added.
        progress: told of each image that is done.
        skip_empty: leave out masks without pixels rather than stop at them.

    Raises OutputError where the file was written with other settings, and DataError for faulty data.
    """
    settings = {"protocol": protocol.name, "options": _options(protocol), **settings, "data": _fingerprint(samples)}
    done = _read(path, settings)
    left = [sample for sample in samples if sample.name not in done]
    make_folder(path.parent)
    progress(len(done))
    with _Writer(path, settings, done, progress) as writer:
        _evaluate(protocol, subject, _read_ahead(left, skip_empty), writer)
    return [row for sample in samples for row in done[sample.name]]


def _evaluate(protocol: EvaluationProtocol, subject: Any, images: Iterable[LabelledImage], writer: _Writer) -> None:
    """Write the rows of all images. Those that other processes make are written in the images' order too.

    Where the run ends early, rows that are made, or being made, are still written.
    """
    with ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None
        waiting: deque[tuple[str, Future[list[Row]]]] = deque()

        def write_next() -> None:
            writer.write(waiting[0][0], waiting[0][1].result())
            waiting.popleft()

        try:
            for image in images:
                rows = protocol.evaluate(subject, image)
                if isinstance(rows, list):
                    writer.write(image.name, rows)
                    continue
                pool = pool or stack.enter_context(processes(WAITING))
                waiting.append((image.name, pool.submit(rows)))
                while waiting and (waiting[0][1].done() or len(waiting) > WAITING):
                    write_next()
            while waiting:
                write_next()
        except BrokenProcessPool:
            raise AnymaskError(
                "a process that works out figures was ended from outside, perhaps for want of memory; "
                "the same command goes on from what is done"
            ) from None
        except OutputError:
            raise
        except BaseException:
            for name, future in waiting:
                if not future.cancel() and future.exception() is None:
                    writer.write(name, future.result())
            raise


def _options(protocol: Any) -> dict[str, Any]:
    """The options of a protocol as JSON gives them back."""
    options: dict[str, Any] = json.loads(json.dumps(asdict(protocol)))
    return options


def _fingerprint(samples: Sequence[Sample]) -> str:
    """The number of the images and a checksum of their names."""
    return f"{len(samples)} images, {crc32(chr(10).join(sample.name for sample in samples).encode()):08x}"


def _read_ahead(samples: Sequence[Sample], skip_empty: bool) -> Iterator[LabelledImage]:
    """The images with their objects, in order, read by threads while the last one is worked on."""

    def read(sample: Sample) -> LabelledImage:
        objects = sample.objects(skip_empty)
        image = LabelledImage(sample.name, sample.image(), objects, sample.record)
        sample.forget()
        return image

    with ThreadPoolExecutor(2) as threads:
        try:
            queue: deque[Future[LabelledImage]] = deque()
            for sample in samples:
                queue.append(threads.submit(read, sample))
                if len(queue) > AHEAD:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


class _Writer:
    """Appends an image's rows to the file, each line synced, so that an interruption costs no more than one image."""

    def __init__(self, path: Path, settings: dict[str, Any], done: dict[str, list[Row]], progress: Progress) -> None:
        self.path, self.done, self.progress = path, done, progress
        self._settings = settings
        self._file: FileIO

    def __enter__(self) -> _Writer:
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
        """Note an image as done."""
        with _writing(self.path):
            self._append({"image": name, "rows": rows})
        self.done[name] = rows
        self.progress(len(self.done))

    def _append(self, record: dict[str, Any]) -> None:
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


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _read(path: Path, settings: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows of the images that a file already has. A last line that was cut off goes.

    Raises OutputError where the file is none of ours, or was written with other settings; it then stays as it is.
    """
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
