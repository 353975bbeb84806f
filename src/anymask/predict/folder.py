"""Folders: while the model works on one photo, the next is read and the last is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from ..errors import AnymaskError

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Written = TypeVar("Written")

AHEAD = 2
"""items read and not yet worked on, and items worked on and not yet written, at most, where nobody says"""


def work_through(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], Made],
    write: Callable[[Item, Made], Written],
    ahead: int = AHEAD,
) -> Iterator[tuple[Item, Written | AnymaskError | MemoryError]]:
    """Take each item through three steps that run side by side, and yield it with what the last step returns.

    Items come in their order. One whose step raises an AnymaskError or a MemoryError is yielded with that, and the
    others go on; whatever else is raised ends it all. At most a few are in memory at once.

    Args:
        items: what there is to do.
        read: called in a thread of its own.
        work: called by the caller's thread.
        write: called in a thread of its own.
        ahead: items read and not yet worked on, and items worked on and not yet written, at most.
    """
    writer = ThreadPoolExecutor(1, "write")
    going: deque[tuple[Item, Future[Written]]] = deque()
    try:
        with closing(read_ahead(items, read, ahead)) as coming:
            for item, found in coming:
                going.append((item, _written(item, found, work, write, writer)))
                while going and (len(going) > ahead or going[0][1].done()):
                    item, written = going.popleft()
                    outcome = _outcome(written)
                    yield item, outcome
        for item, written in going:
            outcome = _outcome(written)
            yield item, outcome
    finally:
        writer.shutdown()  # what was worked on is not lost


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Read], ahead: int, threads: int = 1
) -> Generator[tuple[Item, Future[Read]], None, None]:
    """Each item, in order, with what `read` gives of it; threads read up to `ahead` items further than is taken."""
    pool = ThreadPoolExecutor(threads, "read")
    queue: deque[tuple[Item, Future[Read]]] = deque()
    try:
        for item in items:
            queue.append((item, pool.submit(read, item)))
            if len(queue) > ahead:
                yield queue.popleft()
        while queue:
            yield queue.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def _written(
    item: Item,
    found: Future[Read],
    work: Callable[[Item, Read], Made],
    write: Callable[[Item, Made], Written],
    writer: ThreadPoolExecutor,
) -> Future[Written]:
    try:
        return writer.submit(write, item, work(item, found.result()))
    except (AnymaskError, MemoryError) as error:
        failed: Future[Written] = Future()
        failed.set_exception(error)
        return failed


def _outcome(written: Future[Written]) -> Written | AnymaskError | MemoryError:
    try:
        return written.result()
    except (AnymaskError, MemoryError) as error:
        return error
