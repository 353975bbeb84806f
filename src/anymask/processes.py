"""Processes for work without the model; light to import, for each of them does so first."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from threading import Thread
from typing import TypeVar

from .errors import AnymaskError

Item = TypeVar("Item")
Made = TypeVar("Made")

WAITING = 2
"""items for each process that are handed out and not yet done, or done and not yet taken"""


@contextmanager
def processes(most: int) -> Iterator[ProcessPoolExecutor]:
    """As many processes as there are cores, `most` at the most; what still waits is dropped where the run ends early.

    Ctrl-C leaves them at what they are doing; the run itself sees to the end. They end with it, however it ends.
    """
    count = min(os.cpu_count() or 1, most, 61)  # more are not possible on Windows
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _set_up)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def spread(work: Callable[[Item], Made], items: Iterable[Item], most: int) -> Iterator[Made]:
    """What `work` makes of each item, in order, made by `most` processes, or here and now where that is 1.

    Both have to be picklable. Few items are on their way at once, so that memory stays flat. Raises AnymaskError where
    a process is ended from outside.
    """
    if most == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Made]] = deque()
    with processes(most) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > WAITING * most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise AnymaskError("a process was ended from outside, perhaps for want of memory; use fewer") from None


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items so many at a time; the last may be fewer."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _set_up() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        os._exit(1)
