"""Long jobs of the annotator: run one after another, watched, and ended early if nobody wants them any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, Literal
from uuid import uuid4

from ..errors import AnymaskError, MissingError

log = logging.getLogger("anymask")

State = Literal["running", "done", "failed", "cancelled"]
KEPT = 200
"""jobs that can still be asked for when they are over"""


@dataclass(frozen=True)
class JobState:
    """How far a job is, JSON-ready by `asdict`."""

    id: str
    kind: str
    state: State = "running"
    done: int = 0
    total: int = 0
    message: str = ""
    result: dict[str, Any] | None = None


class CancelledJobError(Exception):
    """Raised inside a job that is to end."""


Progress = Callable[[int, int], None]
"""called with what is done and what there is; raises CancelledJobError where the job is to end"""
Watcher = tuple[asyncio.AbstractEventLoop, asyncio.Event]
Work = Callable[[Progress], dict[str, Any]]
"""does a job and gives its result"""


class Jobs:
    """All jobs. Started and cancelled from any thread, watched from the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "job")
        self._states: dict[str, JobState] = {}
        self._owners: dict[str, str] = {}
        self._watchers: dict[str, list[Watcher]] = {}
        self._lock = Lock()
        self._closed = False

    def start(self, kind: str, person: str, work: Work) -> JobState:
        """Begin a job when those before it are over."""
        state = JobState(uuid4().hex, kind)
        with self._lock:
            self._states[state.id], self._owners[state.id] = state, person
            over = [each.id for each in self._states.values() if each.state != "running"]
            for old in over[: max(0, len(self._states) - KEPT)]:
                del self._states[old], self._owners[old]
        self._pool.submit(self._run, state.id, work)
        return state

    def get(self, job: str, person: str) -> JobState:
        """How far a job is. Raises MissingError for one that is none, or somebody else's."""
        with self._lock:
            if self._owners.get(job) != person:
                raise MissingError(f"job {job}: there is none; it may be from before the server was started")
            return self._states[job]

    def cancel(self, job: str, person: str) -> JobState:
        """End a job early."""
        if self.get(job, person).state == "running":
            self._set(job, state="cancelled", message="cancelled")
        return self.get(job, person)

    async def watch(self, job: str, person: str) -> AsyncIterator[JobState]:
        """How far a job is now, and whenever that changes, until it is over."""
        changed = asyncio.Event()
        watcher = (asyncio.get_running_loop(), changed)
        self._watchers.setdefault(job, []).append(watcher)
        try:
            while True:
                changed.clear()
                state = self.get(job, person)
                yield state
                if state.state != "running" or self._closed:
                    return
                await changed.wait()
        finally:
            self._watchers[job].remove(watcher)

    def let_go(self) -> None:
        """End all watching, as far as the jobs are."""
        self._closed = True
        for watchers in list(self._watchers.values()):
            _wake(watchers)

    def close(self) -> None:
        """End all jobs, and wait for the one that is at work."""
        for job, state in list(self._states.items()):
            if state.state == "running":
                self._set(job, state="cancelled", message="the server is shutting down")
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: str, work: Work) -> None:
        def progress(done: int, total: int) -> None:
            if self._states[job].state != "running":
                raise CancelledJobError
            self._set(job, done=done, total=total)

        try:
            progress(0, 0)
            self._set(job, state="done", result=work(progress))
        except CancelledJobError:
            return
        except AnymaskError as error:
            self._set(job, state="failed", message=str(error))
        except Exception:
            log.exception("job %s", job)
            self._set(job, state="failed", message="this failed for a reason that the server's log tells")

    def _set(self, job: str, **changed: Any) -> None:
        with self._lock:
            if job in self._states and self._states[job].state == "running":
                self._states[job] = replace(self._states[job], **changed)
        _wake(self._watchers.get(job, ()))


def _wake(watchers: Iterable[Watcher]) -> None:
    for loop, event in list(watchers):
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(event.set)


def as_dict(state: JobState) -> dict[str, Any]:
    """JSON-ready."""
    return asdict(state)
