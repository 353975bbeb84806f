"""Things that belong together, as sets that are joined."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Groups(Generic[Thing]):
    """Sets of things, each thing in one."""

    def __init__(self) -> None:
        self._group: dict[Thing, list[Thing]] = {}

    def add(self, things: Iterable[Thing]) -> None:
        """New things, each by itself."""
        for thing in things:
            self._group[thing] = [thing]

    def join(self, a: Thing, b: Thing) -> None:
        """Say that two things belong together, and all that belongs to either."""
        small, large = sorted((self._group[a], self._group[b]), key=len)
        if small is not large:
            large += small
            for thing in small:
                self._group[thing] = large

    def __iter__(self) -> Iterator[list[Thing]]:
        return iter({id(group): group for group in self._group.values()}.values())
