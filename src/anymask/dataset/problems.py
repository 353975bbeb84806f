"""What is wrong with data while it is read: the first fault ends it all, or each is noted and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import DataError, ImageError

Progress = Callable[[int, int], None]
"""told of the images that are done, and of all"""


class Problems:
    """Faults of data, met one after another.

    Args:
        keep_going: note faults, rather than raise the first.

    Attributes:
        found: what was noted, a line each, which names the file and the record.
    """

    def __init__(self, keep_going: bool = False) -> None:
        self.keep_going = keep_going
        self.found: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a DataError or an ImageError that is raised inside; it goes on to be raised unless `keep_going`."""
        try:
            yield
        except (DataError, ImageError) as error:
            if not self.keep_going:
                raise
            self.found.append(str(error))
