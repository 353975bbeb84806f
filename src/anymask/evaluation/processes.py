"""Processes for work without the model; light to import, for each of them does so first."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from threading import Thread


@contextmanager
def processes(most: int) -> Iterator[ProcessPoolExecutor]:
    """As many processes as there are cores, `most` at the most; what still waits is dropped where the run ends early.

    Ctrl-C leaves them at what they are doing; the run itself sees to the end. They end with it, however it ends.
    """
    count = min(os.cpu_count() or 1, most)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _set_up)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _set_up() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        os._exit(1)
