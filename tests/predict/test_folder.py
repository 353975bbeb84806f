"""Folders: items keep their order, steps run side by side, failures stay with their item, and little is in memory."""

from __future__ import annotations

import threading

import pytest

from anymask.errors import ImageError
from anymask.predict.folder import AHEAD, work_through


def test_items_come_in_order_with_what_became_of_them():
    found = list(work_through(range(7), lambda i: i * 10, lambda i, read: read + i, lambda i, made: f"{i}:{made}"))
    assert found == [(i, f"{i}:{11 * i}") for i in range(7)]
    assert list(work_through([], str, lambda i, read: read, lambda i, made: made)) == []


def test_the_next_is_read_and_the_last_written_while_one_is_worked_on():
    """Each step waits for the others to have begun: run one after another they would wait for ever."""
    reading, writing = (threading.Event() for _ in range(2))

    def read(i):
        if i == 2:
            reading.set()

    def work(i, _):
        if i == 1:
            assert reading.wait(30) and writing.wait(30)
        return i

    def write(i, made):
        writing.set()
        return made

    assert [outcome for _, outcome in work_through(range(3), read, work, write)] == [0, 1, 2]


@pytest.mark.parametrize("step", ["read", "work", "write"])
def test_a_failure_stays_with_its_item(step):
    def fail(i, name):
        if i == 1 and name == step:
            raise ImageError("broken.jpg: broken")
        return i

    found = list(
        work_through(range(3), lambda i: fail(i, "read"), lambda i, _: fail(i, "work"), lambda i, _: fail(i, "write"))
    )
    assert [item for item, _ in found] == [0, 1, 2]
    assert [found[0][1], found[2][1]] == [0, 2]
    assert isinstance(found[1][1], ImageError)


def test_anything_else_ends_it():
    def work(i, _):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(work_through(range(3), str, work, lambda i, made: made))


def test_only_a_few_are_in_memory():
    alive = most = 0
    lock = threading.Lock()

    class Photo:
        def __init__(self):
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)

        def __del__(self):
            nonlocal alive
            with lock:
                alive -= 1

    for _, outcome in work_through(range(200), lambda i: Photo(), lambda i, photo: photo, lambda i, photo: None):
        assert outcome is None
    assert most <= 2 * AHEAD + 3
