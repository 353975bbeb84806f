"""A run over a data set: what lies on disk at each moment, and how a cut run goes on."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sample import Sample
from anymask.errors import AnymaskError, DataError, OutputError
from anymask.evaluation.protocol import EvaluationProtocol, Metric
from anymask.evaluation.run import AHEAD, run
from anymask.journal import Journal
from anymask.task import rle

NAMES = [f"{number:02}-é" for number in range(12)]
SETTINGS = {"model": "m", "weights": "abc"}


@dataclass(frozen=True)
class Counting(EvaluationProtocol):
    """Asks the subject, a function, for the rows of each image."""

    name: ClassVar[str] = "counting"
    limits: tuple[int, ...] = (1, 2)

    def evaluate(self, subject, image):
        return subject(image)

    def summarise(self, rows):
        yield Metric("rows", len(rows))


class Subject:
    """Gives two rows an image, notes the images' names, and stops at one of them where it is told so."""

    def __init__(self, stop_at=None, error=None):
        self.calls, self.stop_at, self.error = [], stop_at, error

    def __call__(self, image):
        if image.name == self.stop_at:
            raise self.error
        self.calls.append(image.name)
        return [{"image": image.name, "area": int(target.mask.sum())} for target in image.objects]


@pytest.fixture()
def samples(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("RGB", (8, 6)).save(path)
    return [Sample(Path(f"{name}.json"), name, partial(record, number), path) for number, name in enumerate(NAMES)]


def record(number, first_id=1):
    masks = [np.arange(48).reshape(6, 8) <= number, np.ones((6, 8), bool)]
    annotations = [{"id": first_id * i, "segmentation": rle.encode(mask)} for i, mask in enumerate(masks)]
    return {"image": {"file_name": "grey.png", "width": 8, "height": 6}, "annotations": annotations}


@pytest.fixture()
def path(tmp_path):
    return tmp_path / "out" / "m.jsonl"


@pytest.fixture()
def uncut(samples, tmp_path):
    """The rows and the file of a run that was not cut."""
    path = tmp_path / "uncut" / "m.jsonl"
    return run(Counting(), Subject(), samples, path, SETTINGS), path.read_bytes()


def names_in(path):
    return [json.loads(line)["image"] for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_rows_come_in_the_samples_order(samples, path):
    rows = run(Counting(), Subject(), samples, path, SETTINGS)
    assert [row["image"] for row in rows] == [name for name in NAMES for _ in range(2)]
    assert [row["area"] for row in rows[::2]] == list(range(1, 13))
    first, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first["settings"] == {
        "protocol": "counting",
        "options": {"limits": [1, 2]},
        "model": "m",
        "weights": "abc",
        "data": first["settings"]["data"],
    }
    assert first["settings"]["data"].startswith("12 images, ")
    assert [row for line in lines for row in line["rows"]] == rows


def test_each_image_is_on_disk_before_the_next_is_done_and_progress_tells_of_it(samples, path):
    told = []

    def subject(image):
        assert names_in(path) == NAMES[: NAMES.index(image.name)]
        return []

    assert run(Counting(), subject, samples, path, SETTINGS, told.append) == []
    assert told == list(range(13))


@pytest.mark.parametrize("error", [RuntimeError("oh"), KeyboardInterrupt(), DataError("a.json: bad")])
def test_a_cut_run_goes_on_without_doing_images_twice(samples, path, uncut, error):
    first, second, told = Subject(NAMES[5], error), Subject(), []
    with pytest.raises(type(error)):
        run(Counting(), first, samples, path, SETTINGS)
    assert names_in(path) == NAMES[:5]
    rows = run(Counting(), second, samples, path, SETTINGS, told.append)
    assert first.calls + second.calls == NAMES and told[0] == 5
    assert (rows, path.read_bytes()) == uncut
    assert run(Counting(), None, samples, path, SETTINGS) == rows, "all is done, so that nobody is asked"


@pytest.mark.parametrize("kept", [0, 1, 30, -1, -2, -20, -70])
def test_a_last_line_that_was_cut_off_is_done_again(samples, path, uncut, kept):
    rows, content = uncut
    path.parent.mkdir()
    path.write_bytes(content[:kept])
    left = NAMES[max(0, content[:kept].count(b"\n") - 1) :]
    subject = Subject()
    assert run(Counting(), subject, samples, path, SETTINGS) == rows
    assert subject.calls == left and path.read_bytes() == content


def test_a_line_cut_within_a_letter(samples, path, uncut):
    rows, content = uncut
    path.parent.mkdir()
    path.write_bytes(content[: content.rindex("é".encode()) + 1])
    assert run(Counting(), Subject(), samples, path, SETTINGS) == rows and path.read_bytes() == content


def test_images_out_of_order_on_disk_come_back_in_order(samples, path, uncut):
    rows, content = uncut
    first, *lines = content.splitlines(keepends=True)
    path.parent.mkdir()
    path.write_bytes(first + b"".join(lines[:3:-1]))
    assert run(Counting(), Subject(), samples, path, SETTINGS) == rows


@pytest.mark.parametrize(
    ("key", "before", "after", "change"),
    [
        ("model", "'m'", "'n'", {"settings": {**SETTINGS, "model": "n"}}),
        ("weights", "'abc'", "'xyz'", {"settings": {**SETTINGS, "weights": "xyz"}}),
        ("weights", "'abc'", "None", {"settings": {"model": "m"}}),
        ("extra", "None", "1", {"settings": {**SETTINGS, "extra": 1}}),
        ("options", "[1, 2]", "[3]", {"protocol": Counting((3,))}),
        ("data", "'12 images, ", "'11 images, ", {"leave_out": 1}),
        ("data", "'12 images, ", "'12 images, ", {"rename": True}),
    ],
)
def test_results_of_something_else_are_refused_and_kept(samples, path, uncut, key, before, after, change):
    run(Counting(), Subject(), samples, path, SETTINGS)
    cut = path.read_bytes() + b'{"image": "cu'
    path.write_bytes(cut)
    samples = samples[change.get("leave_out", 0) :]
    if change.get("rename"):
        samples[3] = replace(samples[3], name="another")
    with pytest.raises(OutputError) as caught:
        run(change.get("protocol", Counting()), Subject(), samples, path, change.get("settings", SETTINGS))
    message = str(caught.value)
    assert message.startswith(f"{path}: holds results for {key} ") and "\n" not in message
    held, wanted = message.split(", not ")
    assert before in held and after in wanted and "--again" in wanted and held.split(key)[1] != wanted.split(";")[0]
    assert path.read_bytes() == cut


@pytest.mark.parametrize(
    "content",
    [
        b"a shopping list",
        b"a shopping list\nbread\n",
        b'{"image": {}, "annotations": []}',
        b'{"image": {}, "annotations": []}\n',
        b"[1, 2]\n",
        b"3\n",
        b'{"settings": 3}\n',
        b'{"settings": "model"}\n',
        b'{"settings": {"model": "m"}}\nnonsense\n',
        b'{"settings": {"model": "m"}}\n{"image": [], "rows": []}\n',
        b'{"settings": {"model": "m"}}\n{"image": "a", "rows": 3}\n',
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"\n",
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_and_not_harmed(samples, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"m\.jsonl: is no file of results \(.*name another folder with -o"):
        run(Counting(), Subject(), samples, path, SETTINGS)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(samples, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "out" / "m.jsonl").mkdir(parents=True)
    for path, words in (("file/m.jsonl", "cannot be made a folder"), ("out/m.jsonl", "is no file of results")):
        with pytest.raises(OutputError, match=words):
            run(Counting(), Subject(), samples, tmp_path / path, SETTINGS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_ends_in_an_error_that_names_the_file(samples, path):
    path.parent.mkdir()
    journal = Journal(path, {})
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"m\.jsonl: cannot be written \(No space left on device\); free space"):
        journal.__enter__()


def test_faulty_data_in_the_middle_name_the_record_and_keep_what_was_done(samples, path, tmp_path):
    samples[6] = replace(samples[6], read=partial(record, 6, first_id=0))
    with pytest.raises(DataError, match=r"06-é\.json: two masks have the id 0"):
        run(Counting(), Subject(), samples, path, SETTINGS)
    assert names_in(path) == NAMES[:6]
    samples[6] = replace(samples[6], read=partial(record, 6), given_path=tmp_path / "gone.png")
    with pytest.raises(AnymaskError, match=r"gone\.png"):
        run(Counting(), Subject(), samples, path, SETTINGS)
    assert names_in(path) == NAMES[:6]


def test_empty_masks_stop_a_run_or_are_left_out(samples, path):
    samples[2] = replace(samples[2], read=partial(record, -1))
    with pytest.raises(DataError, match=r"02-é\.json: mask 0 is empty"):
        run(Counting(), Subject(), samples, path, SETTINGS)
    rows = run(Counting(), Subject(), samples, path, SETTINGS, skip_empty=True)
    assert [row["image"] for row in rows].count(NAMES[2]) == 1 and len(rows) == 23


def test_images_are_read_ahead_by_threads_and_not_all_at_once(samples, path):
    readers, seen = {}, []

    def read(name, number):
        readers[name] = threading.current_thread()
        return record(number)

    samples = [replace(sample, read=partial(read, sample.name, i)) for i, sample in enumerate(samples)]

    def subject(image):
        seen.append(image.name)
        assert len(readers) <= len(seen) + AHEAD
        assert sum("record" in sample.__dict__ for sample in samples) <= 2, "two threads read"
        return []

    run(Counting(), subject, samples, path, SETTINGS)
    assert list(sorted(readers)) == seen == NAMES
    assert threading.main_thread() not in readers.values() and len(set(readers.values())) <= 2
    assert not any("record" in sample.__dict__ for sample in samples), "the records are forgotten"
    assert not any(thread.is_alive() for thread in readers.values())


def deferred(image, marker=None):
    """Rows that another process makes: `eval` is known to every process, unlike what tests define."""
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()" if marker else "None"
    return partial(eval, f"[{{'image': {image.name!r}, 'process': __import__('os').getpid()}}] + ([{touch}] and [])")


def test_deferred_rows_are_made_in_other_processes_and_come_back_in_order(samples, path):
    rows = run(Counting(), deferred, samples, path, SETTINGS)
    assert [row["image"] for row in rows] == names_in(path) == NAMES
    assert os.getpid() not in {row["process"] for row in rows}


def test_deferred_rows_that_are_being_made_are_kept_when_a_run_is_cut(samples, path, tmp_path):
    asked = []

    def subject(image, stop=True):
        if stop and image.name == NAMES[2]:
            while not all((tmp_path / f"made-{name}").exists() for name in NAMES[:2]):
                threading.Event().wait(0.01)
            raise KeyboardInterrupt
        asked.append(image.name)
        return deferred(image, tmp_path / f"made-{image.name}")

    with pytest.raises(KeyboardInterrupt):
        run(Counting(), subject, samples, path, SETTINGS)
    assert names_in(path) == NAMES[:2]
    rows = run(Counting(), partial(subject, stop=False), samples, path, SETTINGS)
    assert asked == [row["image"] for row in rows] == names_in(path) == NAMES


def test_a_fault_in_another_process_keeps_what_was_made_before(samples, path):
    def subject(image):
        return partial(eval, "1 / 0") if image.name == NAMES[1] else deferred(image)

    with pytest.raises(ZeroDivisionError):
        run(Counting(), subject, samples, path, SETTINGS)
    found = names_in(path)
    assert found[0] == NAMES[0] and NAMES[1] not in found
    rows = run(Counting(), deferred, samples, path, SETTINGS)
    assert [row["image"] for row in rows] == NAMES and sorted(names_in(path)) == NAMES


def test_another_process_that_dies_ends_in_one_line(samples, path):
    def subject(image):
        return partial(os._exit, 9)

    with pytest.raises(AnymaskError, match=r"ended from outside.*goes on"):
        run(Counting(), subject, samples, path, SETTINGS)
    assert names_in(path) == []
