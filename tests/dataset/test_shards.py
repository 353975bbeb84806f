"""Tar shards: what is read from them, how their index is kept, and what is said of those that are wrong."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import pickle
import tarfile

import numpy as np
import pytest
from labelled_data import HEIGHT, MASKS, WIDTH, check_masks, masks_of
from PIL import Image

from anymask.dataset import shards
from anymask.dataset.problems import Problems
from anymask.dataset.sample import Sample
from anymask.dataset.shards import expand_braces, open_shards
from anymask.errors import DataError
from anymask.task import rle


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder, below the test's own."""
    monkeypatch.setattr(shards, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "anymask" / "shards"


@pytest.fixture()
def scans(monkeypatch):
    """The tars whose headers were gone through."""
    scanned, scan = [], shards._scan

    def counted(tar, problems):
        scanned.append(tar.name)
        return scan(tar, problems)

    monkeypatch.setattr(shards, "_scan", counted)
    return scanned


def picture(grey=128, kind="JPEG", size=(WIDTH, HEIGHT)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, kind)
    return buffer.getvalue()


def record(name="a.jpg", masks=MASKS):
    annotations = [{"id": number, "segmentation": rle.encode(mask)} for number, mask in enumerate(masks)]
    image = {"file_name": name, "width": WIDTH, "height": HEIGHT}
    return json.dumps({"image": image, "annotations": annotations}).encode()


def write_tar(path, members, kind=tarfile.GNU_FORMAT):
    """Write a tar of names and contents; None stands for a folder, text for a link. The path comes back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def pairs(*names, grey=128):
    return [part for name in names for part in ((f"{name}.jpg", picture(grey)), (f"{name}.json", record(name)))]


def fault(tar):
    with pytest.raises(DataError) as caught:
        open_shards(tar)
    assert "\n" not in str(caught.value) and str(tar) in str(caught.value)
    return str(caught.value)


# what is read


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_like_those_of_sa_1b(tmp_path, kind):
    tar = write_tar(tmp_path / "sa_000000.tar", [("./", None), *pairs("./sa_1", "./sa_2")], kind)
    samples = open_shards(tar)
    assert [sample.name for sample in samples] == ["sa_1", "sa_2"]
    for sample in samples:
        check_masks(sample, MASKS)
        sample.check_image()
    assert samples[-1].where == tar / "sa_2.json" and samples[1].image_path == tar / "sa_2.jpg"


def test_a_web_dataset(tmp_path):
    """Its members may be named with folders, have long and foreign names, and come with parts that are not ours."""
    long = "ü" * 120
    members = [
        ("photos/b.json", record()),
        ("photos/b.PNG", picture(kind="PNG")),
        ("photos/b.txt", b"a caption"),
        ("photos/b.seg.png", picture(kind="PNG")),
        ("a.v2.jpeg", picture()),
        ("a.v2.json", record()),
        ("._a.v2.json", b"left by macOS"),
        ("source.json", b"{}"),
        *pairs(long),
    ]
    samples = open_shards(write_tar(tmp_path / "a.tar", members, tarfile.PAX_FORMAT))
    assert [sample.name for sample in samples] == ["photos/b", "a.v2", long]
    for sample in samples:
        check_masks(sample, MASKS)


def test_access_by_index(tmp_path):
    for number, names in enumerate((["a"], ["b", "c", "d"], ["e"])):
        write_tar(tmp_path / "set" / f"{number}.tar", pairs(*names, grey=50 * number))
    samples = open_shards(tmp_path / "set")
    assert len(samples) == 5
    assert [sample.name for sample in samples] == [samples[i].name for i in range(5)] == list("abcde")
    assert [samples[i].name for i in (-1, -5, np.int64(2))] == ["e", "a", "c"]
    assert [sample.name for sample in samples[1:4:2]] == ["b", "d"]
    assert abs(int(samples[3].image().mean()) - 50) <= 1 and abs(int(samples[4].image().mean()) - 100) <= 1
    for index in (5, -6):
        with pytest.raises(IndexError):
            samples[index]


def test_names_that_two_tars_share(tmp_path):
    for place in ("x/0.tar", "y/0.tar"):
        write_tar(tmp_path / place, pairs("a", "b"))
    found = open_shards(tmp_path / "*" / "0.tar")
    assert [sample.name for sample in found] == ["x/0/a", "x/0/b", "y/0/a", "y/0/b"]


def test_records_are_read_when_they_are_asked_for(tmp_path):
    members = [("a.jpg", picture()), ("a.json", b"{"), ("b.jpg", b"no image"), ("b.json", record())]
    bad_record, bad_image = open_shards(write_tar(tmp_path / "s.tar", members))
    with pytest.raises(DataError, match=r"s\.tar.a\.json: cannot be read as JSON"):
        _ = bad_record.record
    assert len(masks_of(bad_image)) == 2
    with pytest.raises(ValueError, match=r"s\.tar.b\.jpg: not an image that Pillow can read"):
        bad_image.image()


def test_samples_go_to_other_processes(tmp_path):
    samples = open_shards(write_tar(tmp_path / "s.tar", pairs("a", "b")))
    [copy] = pickle.loads(pickle.dumps(samples))[1:]
    check_masks(copy, MASKS)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        images = pool.map(Sample.image, samples)
        objects = pool.map(Sample.objects, list(samples))
    assert [image.shape for image in images] == [(HEIGHT, WIDTH, 3)] * 2
    assert [len(found) for found in objects] == [2, 2]


# which tars


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("s/{08..11}.tar", ["s/08.tar", "s/09.tar", "s/10.tar", "s/11.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{000..002}", ["000", "001", "002"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]),
        ("{x}/{a}", ["{x}/{a}"]),
    ],
)
def test_braces(pattern, names):
    assert list(expand_braces(pattern)) == names


def test_patterns(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"s_{number:03}.tar", pairs(f"image{number}"))
    (tmp_path / "notes.txt").touch()
    for pattern, numbers in (
        ("s_{000..001}.tar", [0, 1]),
        ("s_{002,000}.tar", [2, 0]),
        ("s_*.tar", [0, 1, 2]),
        ("s_00[12].tar", [1, 2]),
        ("{s_*,s_001}.tar", [0, 1, 2]),
        ("", [0, 1, 2]),
    ):
        found = open_shards(tmp_path / pattern)
        assert [sample.name for sample in found] == [f"image{number}" for number in numbers]
    odd = write_tar(tmp_path / "{odd}[1].tar", pairs("a"))
    assert len(open_shards(odd)) == 1


def test_tars_that_are_not_there(tmp_path):
    write_tar(tmp_path / "set" / "0.tar", pairs("a"))
    (tmp_path / "empty").mkdir()
    for path, message in (
        ("none.tar", r"none\.tar: no such file; expected a tar"),
        ("set/{0..2}.tar", r"set/1\.tar: no such file"),
        ("none/*.tar", r"none/\*\.tar: no such file"),
        ("empty", r"empty: holds no \.tar"),
    ):
        with pytest.raises(DataError, match=message):
            open_shards(tmp_path / path)


# the index


def test_the_index_is_kept_until_the_tar_changes(tmp_path, cache, scans):
    tar = write_tar(tmp_path / "s.tar", pairs("a", "b"))
    first = [sample.name for sample in open_shards(tar)]
    again = open_shards(tar)
    assert scans == ["s.tar"] and [sample.name for sample in again] == first
    check_masks(again[1], MASKS)
    assert len(list(cache.iterdir())) == 1
    write_tar(tar, pairs("c"))
    assert [sample.name for sample in open_shards(tar)] == ["c"]
    os.utime(tar, ns=(0, 0))
    assert [sample.name for sample in open_shards(tar)] == ["c"]
    assert scans == ["s.tar"] * 3 and len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: b"", lambda content: b"PK" * 50])
def test_an_index_that_cannot_be_read_is_made_anew(tmp_path, cache, scans, damage):
    tar = write_tar(tmp_path / "s.tar", pairs("a"))
    open_shards(tar)
    [file] = cache.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    check_masks(open_shards(tar)[0], MASKS)
    check_masks(open_shards(tar)[0], MASKS)
    assert len(scans) == 2


def test_a_cache_that_cannot_be_written(tmp_path, scans):
    tar = write_tar(tmp_path / "s.tar", pairs("a"))
    (tmp_path / "cache").write_text("in the way of the folder")
    for _ in range(2):
        check_masks(open_shards(tar)[0], MASKS)
    assert len(scans) == 2


def test_a_tar_that_changes_after_it_was_opened(tmp_path):
    tar = write_tar(tmp_path / "s.tar", pairs("a"))
    sample = open_shards(tar)[0]
    os.truncate(tar, 600)
    with pytest.raises(DataError, match=r"s\.tar.a\.json: is cut short"):
        _ = sample.record
    tar.unlink()
    with pytest.raises(DataError, match=r"s\.tar.a\.jpg: cannot be read \(No such file"):
        sample.image()


# tars that are wrong


def test_a_tar_that_is_cut(tmp_path):
    whole = write_tar(tmp_path / "whole.tar", pairs("a", "b")).read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + (last.size + 511) // 512 * 512
    tar = tmp_path / "cut.tar"
    for size in [*range(1, end, 97), *range(512, end, 512), end]:
        tar.write_bytes(whole[:size])
        message = fault(tar)
        assert "is cut short or damaged after" in message or "cannot be read as a tar" in message
    tar.write_bytes(whole[: last.offset_data])
    assert "after b.jpg" in fault(tar) or "after b.json" in fault(tar)
    tar.write_bytes(whole[: end + 512])
    assert len(open_shards(tar)) == 2


def test_a_header_that_is_damaged(tmp_path):
    tar = write_tar(tmp_path / "s.tar", pairs("a", "b"))
    with tarfile.open(tar) as opened:
        offset = opened.getmember("b.jpg").offset
    content = bytearray(tar.read_bytes())
    content[offset + 10] ^= 255
    tar.write_bytes(content)
    assert "is cut short or damaged after a.json; get a whole copy" in fault(tar)


@pytest.mark.parametrize("content", [b"", b"This is no tar.", bytes(range(256)) * 8])
def test_a_file_that_is_no_tar(tmp_path, content):
    (tmp_path / "s.tar").write_bytes(content)
    assert "cannot be read as a tar" in fault(tmp_path / "s.tar")


def test_a_compressed_tar(tmp_path):
    tar = write_tar(tmp_path / "s.tar", pairs("a"))
    tar.write_bytes(gzip.compress(tar.read_bytes()))
    assert "is compressed with gzip" in fault(tar) and "unpack it to a .tar" in fault(tar)


@pytest.mark.parametrize("name", ["/sa/a", "../a", "x/../../a"])
def test_names_that_lead_out(tmp_path, name):
    tar = write_tar(tmp_path / "s.tar", [*pairs("b"), *pairs(name)])
    assert f"its member '{name}.jpg' leads out of the folder" in fault(tar)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([*pairs("b"), ("x/a.jpg", picture())], "x/a.jpg has no record a.json beside it"),
        ([("a.json", record()), *pairs("b")], "a.json has no image a.jpg, .png or the like beside it"),
        ([("a.jpg", picture()), ("A.json", record())], "a.jpg has no record a.json"),
        ([("x/a.jpg", picture()), ("a.json", record())], "x/a.jpg has no record a.json"),
        ([("a.txt", b"text"), ("x", None)], "holds no pairs; expected a tar with NAME.jpg and NAME.json"),
        ([], "holds no pairs"),
        ([*pairs("a"), ("a.png", picture(kind="PNG"))], "holds a.jpg and a.png; leave one image of a name in it"),
        ([*pairs("a"), ("./a.json", record())], "holds a.json and ./a.json; leave one record of a name"),
        ([("a.jpg", "b.jpg"), ("a.json", record())], "its member a.jpg is a link or has holes"),
    ],
)
def test_pairs_that_are_wrong(tmp_path, members, message):
    assert message in fault(write_tar(tmp_path / "s.tar", members))


# what is left of those that are wrong


def test_whole_pairs_of_faulty_tars_are_read_where_that_is_asked_for(tmp_path, scans):
    cut = write_tar(tmp_path / "0.tar", pairs("a", "b", "c"))
    cut.write_bytes(cut.read_bytes()[: 512 * 9])
    write_tar(tmp_path / "1.tar", [("../d.jpg", picture()), ("d.json", record()), *pairs("e"), ("f.jpg", picture())])
    write_tar(tmp_path / "2.tar", pairs("g"))
    (tmp_path / "3.tar").write_bytes(b"no tar")
    for _ in range(2):  # what is wrong is told each time
        problems = Problems(keep_going=True)
        found = open_shards(tmp_path, problems=problems)
        assert [sample.name for sample in found] == ["a", "b", "e", "g"]
        faults = "\n".join(problems.found)
        for part in (
            "0.tar: is cut short",
            "'../d.jpg' leads out",
            "d.json has no image",
            "f.jpg has no record",
            "3.tar",
        ):
            assert part in faults
    assert scans.count("2.tar") == 1 and scans.count("0.tar") == 2
    with pytest.raises(DataError, match="cut short"):
        open_shards(tmp_path)


def test_nothing_is_left(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"holds no tar that can be read; the first fault: .*0\.tar"):
        open_shards(tmp_path, problems=Problems(keep_going=True))
