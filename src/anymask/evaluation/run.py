"""Runs a protocol over a data set: images are read ahead, each image's rows go to disk, and a cut run goes on."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

from ..dataset.sample import Sample
from ..errors import AnymaskError, OutputError
from ..journal import Journal, Row
from ..predict.folder import read_ahead
from ..processes import processes
from .protocol import EvaluationProtocol, LabelledImage

AHEAD = 4
"""images that are read while the model works on an earlier one"""
WAITING = 2 * AHEAD
"""images whose rows are being made in other processes"""

Progress = Callable[[int], None]
"""called with the number of images that are done"""
Write = Callable[[str, list[Row]], None]
"""takes the rows of an image"""


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
    journal = Journal(path, settings)
    left = [sample for sample in samples if sample.name not in journal.done]
    progress(len(journal.done))

    def write(name: str, rows: list[Row]) -> None:
        journal.write(name, rows)
        progress(len(journal.done))

    with journal:
        _evaluate(protocol, subject, _images(left, skip_empty), write)
    return [row for sample in samples for row in journal.done[sample.name]]


def _evaluate(protocol: EvaluationProtocol, subject: Any, images: Iterable[LabelledImage], write: Write) -> None:
    """Write the rows of all images. Those that other processes make are written in the images' order too.

    Where the run ends early, rows that are made, or being made, are still written.
    """
    with ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None
        waiting: deque[tuple[str, Future[list[Row]]]] = deque()

        def write_next() -> None:
            write(waiting[0][0], waiting[0][1].result())
            waiting.popleft()

        try:
            for image in images:
                rows = protocol.evaluate(subject, image)
                if isinstance(rows, list):
                    write(image.name, rows)
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
                    write(name, future.result())
            raise


def _options(protocol: Any) -> dict[str, Any]:
    """The options of a protocol as JSON gives them back."""
    options: dict[str, Any] = json.loads(json.dumps(asdict(protocol)))
    return options


def _fingerprint(samples: Sequence[Sample]) -> str:
    """The number of the images and a checksum of their names."""
    return f"{len(samples)} images, {crc32(chr(10).join(sample.name for sample in samples).encode()):08x}"


def _images(samples: Sequence[Sample], skip_empty: bool) -> Iterator[LabelledImage]:
    """The images with their objects, in order, read by threads while the last one is worked on."""

    def read(sample: Sample) -> LabelledImage:
        objects = sample.objects(skip_empty)
        image = LabelledImage(sample.name, sample.image(), objects, sample.record)
        sample.forget()
        return image

    for _, image in read_ahead(samples, read, AHEAD, threads=2):
        yield image.result()
