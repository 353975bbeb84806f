"""A lock that is given to those who wait for it in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock


class Turns:
    """As `threading.Lock` in a `with`, but fair: who lets go and asks again waits behind all who wait already."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._waiting: deque[Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()  # until whoever has it hands it over

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def between(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """What tells of progress, and lets others have their turn meanwhile; called by who has the lock."""

        def tell(done: int, total: int) -> None:
            self.__exit__()
            try:
                progress(done, total)
            finally:
                self.__enter__()

        return tell
