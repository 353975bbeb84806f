"""Weights are found, fetched, continued and verified, against a server on this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from anymask.errors import CheckpointError, ConfigError, DownloadError, ModelError, UnknownModelError
from anymask.model import weights
from anymask.model.checkpoint import save_model
from anymask.model.registry import MODELS, Entry, sam_model_registry
from anymask.model.sam import Sam
from anymask.model.weights import download, find_weights, load_model, packaged_path, weights_folder

TOY = replace(MODELS["test_tiny"].config, name="toy")


class Server(ThreadingHTTPServer):
    """Serves `body` under any path, with faults that a test asks for."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.ranges = True
        self.shift = 0  # bytes by which an answer to a range misses it
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()
        self.asked = threading.Event()
        self.requests: list[tuple[str, str | None]] = []  # path and Range of each

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        server.asked.set()
        server.gate.wait(30)
        length, start = len(server.body), 0
        if self.path == "/gone":
            return self.send_error(404)
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + server.shift
            if start >= length:
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(length - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else length
        self.wfile.write(server.body[start : start + cut])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the weights of a toy model."""
    torch.manual_seed(0)
    torch.save(Sam(TOY).state_dict(), tmp_path / "made.pth")
    with Server((tmp_path / "made.pth").read_bytes()) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.gate.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def target(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the weights of the model `toy`, which the server has, will lie."""
    digest = hashlib.sha256(server.body).hexdigest()
    toy = Entry(TOY, "a toy", "Apache-2.0", f"{server.url}/official/toy.pth", digest)
    monkeypatch.setitem(MODELS, "toy", toy)
    return home / "toy.pth"


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def write_part(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(content)


def assert_whole(target: Path, server: Server) -> None:
    """The file is right, and its part is gone."""
    assert target.read_bytes() == server.body
    assert not part_of(target).exists()


def assert_one_line(error: pytest.ExceptionInfo[ModelError], *parts: object) -> None:
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text


# downloads


def test_a_file_arrives_whole_and_is_not_fetched_twice(server: Server, target: Path) -> None:
    assert find_weights("toy") is None
    assert download("toy") == target
    assert_whole(target, server)
    assert find_weights("toy") == target
    assert download("toy") == target
    assert server.requests == [("/official/toy.pth", None)]


def test_a_folder_can_be_named(server: Server, target: Path, tmp_path: Path) -> None:
    assert download("toy", tmp_path / "new" / "folder") == tmp_path / "new" / "folder" / "toy.pth"
    assert_whole(tmp_path / "new" / "folder" / "toy.pth", server)
    assert not target.exists()


def test_progress_tells_what_is_there(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BLOCK", 5000)
    write_part(target, server.body[:3000])
    told: list[tuple[int, int]] = []
    download("toy", progress=lambda done, total: told.append((done, total)))
    total = len(server.body)
    assert told[:2] == [(3000, total), (8000, total)]
    assert told[-1] == (total, total)


def test_a_cut_download_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.cuts = [10_000, 5_000]
    for there in (10_000, 15_000):
        with pytest.raises(DownloadError) as error:
            download("toy")
        assert_one_line(error, f"{there} bytes are there", "run the same command again")
        assert str(error.value).startswith(server.url)
        assert part_of(target).read_bytes() == server.body[:there]
        assert not target.exists()
    download("toy")
    assert_whole(target, server)
    assert [asked for _, asked in server.requests] == [None, "bytes=10000-", "bytes=15000-"]


def test_a_server_without_ranges_sends_all_again(server: Server, target: Path) -> None:
    server.ranges = False
    write_part(target, server.body[:10_000])
    download("toy")
    assert_whole(target, server)
    assert [asked for _, asked in server.requests] == ["bytes=10000-"]


def test_an_answer_from_another_byte_is_not_taken(server: Server, target: Path) -> None:
    server.shift = -7
    write_part(target, server.body[:10_000])
    download("toy")
    assert_whole(target, server)
    assert [asked for _, asked in server.requests] == ["bytes=10000-", None]


def test_a_part_longer_than_the_file_is_begun_anew(server: Server, target: Path) -> None:
    write_part(target, b"x" * (len(server.body) + 1))
    download("toy")
    assert_whole(target, server)
    assert [asked for _, asked in server.requests] == [f"bytes={len(server.body) + 1}-", None]


def test_a_whole_part_only_takes_its_name(server: Server, target: Path) -> None:
    write_part(target, server.body)
    assert download("toy") == target
    assert_whole(target, server)
    assert server.requests == []


@pytest.mark.parametrize("kept", [0, 10_000])
def test_a_file_with_another_hash_is_refused(server: Server, target: Path, kept: int) -> None:
    expected = hashlib.sha256(server.body).hexdigest()
    server.body = server.body[:-1] + b"?"
    write_part(target, server.body[:kept])
    with pytest.raises(DownloadError) as error:
        download("toy")
    assert_one_line(error, expected, hashlib.sha256(server.body).hexdigest(), "run the same command again")
    assert not target.exists()
    assert not part_of(target).exists()


def test_another_file_of_the_same_name_is_left_alone(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"my own")
    with pytest.raises(DownloadError) as error:
        download("toy")
    assert_one_line(error, target, hashlib.sha256(b"my own").hexdigest(), "remove or rename it")
    assert target.read_bytes() == b"my own"
    assert server.requests == []


def test_a_mirror_is_asked_instead(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "toy", replace(MODELS["toy"], url="http://127.0.0.1:9/official/toy.pth"))
    for mirror in (f"{server.url}/mirror", f"{server.url}/mirror/"):
        monkeypatch.setenv("ANYMASK_MIRROR", mirror)
        target.unlink(missing_ok=True)
        download("toy")
        assert_whole(target, server)
    assert server.requests == [("/mirror/toy.pth", None)] * 2


def test_a_mirror_that_is_no_url_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYMASK_MIRROR", "mirror.example")
    with pytest.raises(DownloadError) as error:
        download("toy")
    assert_one_line(error, "mirror.example/toy.pth", "ANYMASK_MIRROR")


def test_offline_says_what_to_fetch_and_where_to_put_it(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(b"") as closed:
        url = closed.url
    monkeypatch.setitem(MODELS, "toy", replace(MODELS["toy"], url=f"{url}/toy.pth"))
    with pytest.raises(DownloadError) as error:
        download("toy")
    assert_one_line(error, "offline", f"{url}/toy.pth", "fetch toy.pth by other means", target.parent)


def test_a_refusal_is_told(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "toy", replace(MODELS["toy"], url=f"{server.url}/gone"))
    with pytest.raises(DownloadError) as error:
        download("toy")
    assert_one_line(error, f"{server.url}/gone", "404 Not Found", target.parent)


def test_a_full_disk_is_told_and_the_part_kept(server: Server, target: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DownloadError) as error:
            download("toy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_one_line(error, target, "cannot be written", "free space")
    kept = part_of(target).read_bytes()
    assert kept == server.body[: len(kept)]
    download("toy")
    assert_whole(target, server)


def test_a_folder_that_cannot_be_made_is_told(target: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError) as error:
        download("toy", tmp_path / "file" / "folder")
    assert_one_line(error, tmp_path / "file" / "folder", "cannot be written")


FETCH = """
import sys
from anymask.model import registry, weights
known = registry.Entry(registry.MODELS["test_tiny"].config, "a toy", "Apache-2.0", sys.argv[1], sys.argv[2])
registry.MODELS["toy"] = known
print("ready", flush=True)
print(weights.download("toy"), flush=True)
"""


def start_process() -> subprocess.Popen[str]:
    """Another process that says ready, downloads the toy model and tells its file."""
    toy = MODELS["toy"]
    return subprocess.Popen([sys.executable, "-c", FETCH, toy.url, toy.sha256], stdout=subprocess.PIPE, text=True)


def test_processes_that_start_together_fetch_once(server: Server, target: Path) -> None:
    server.gate.clear()
    processes = [start_process() for _ in range(3)]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 3
    assert server.asked.wait(30)
    server.gate.set()
    for process in processes:
        assert process.communicate(timeout=60)[0] == f"{target}\n"
        assert process.returncode == 0
    assert_whole(target, server)
    assert len(server.requests) == 1


def test_a_killed_process_leaves_no_lock_behind(server: Server, target: Path) -> None:
    server.gate.clear()
    with start_process() as process:
        assert server.asked.wait(30)
        process.kill()
    server.gate.set()
    download("toy")
    assert_whole(target, server)


# places


def test_weights_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_folder() == home
    monkeypatch.setenv("ANYMASK_HOME", os.path.join("~", "models"))
    assert weights_folder() == Path.home() / "models"
    monkeypatch.delenv("ANYMASK_HOME")
    assert weights_folder().name == "weights"
    assert "anymask" in weights_folder().parts


@pytest.fixture
def packaged(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for packaged weights, with `nano` at toy size whose file is not there yet."""
    config = replace(MODELS["test_tiny_light"].config, name="nano")
    monkeypatch.setitem(MODELS, "nano", replace(MODELS["nano"], config=config))
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "package" / "weights.py"))
    return tmp_path / "package" / "weights_data" / "nano.safetensors"


def test_packaged_weights_are_found_and_are_the_default(packaged: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = Sam(MODELS["nano"].config)
    save_model(made, packaged)
    assert packaged_path("nano") == find_weights("nano") == download("nano") == packaged
    for sam in (load_model(), load_model("nano"), sam_model_registry["nano"]()):
        assert not sam.training
        assert_same_weights(sam, made)
    assert download("nano", tmp_path / "copy").read_bytes() == packaged.read_bytes()


def test_packaged_weights_that_are_missing_are_named(packaged: Path) -> None:
    assert find_weights("nano") is None
    for use in (load_model, lambda: packaged_path("nano"), lambda: download("nano"), sam_model_registry["nano"]):
        with pytest.raises(CheckpointError) as error:
            use()
        assert_one_line(error, packaged, "nano", "install anymask again")


def test_the_weights_inside_the_package_load() -> None:
    if find_weights("nano") is None:
        pytest.fail("no weights inside the package")
    sam = load_model()
    assert sam.config == MODELS["nano"].config
    assert sam.weights_hash


# models


def assert_same_weights(one: Sam, other: Sam) -> None:
    expected = other.state_dict()
    assert one.state_dict().keys() == expected.keys()
    for name, value in one.state_dict().items():
        assert torch.equal(value, expected[name])


def test_a_named_model_fetches_its_weights_once(server: Server, target: Path, tmp_path: Path) -> None:
    told: list[int] = []
    first = load_model("toy", progress=lambda done, total: told.append(done))
    second = load_model("toy", device="cpu")
    assert len(server.requests) == 1
    assert told[-1] == len(server.body)
    assert not first.training
    assert_same_weights(first, second)
    assert_same_weights(first, load_model(tmp_path / "made.pth"))
    assert first.config == TOY


def test_a_toy_without_weights_gets_random_ones() -> None:
    sam = load_model("test_tiny")
    assert not sam.training
    assert sam.weights_hash == ""
    with pytest.raises(DownloadError, match="test_tiny: has no weights to download"):
        download("test_tiny")


def test_files_are_opened_whatever_they_are_called(
    server: Server, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("other.pt", "other.bin", "epoch-12", "vit_h"):
        Path(name).write_bytes(server.body)
    for path in ("other.pt", "other.bin", "epoch-12", Path("vit_h"), tmp_path / "epoch-12"):
        assert load_model(path).config.encoder == TOY.encoder
    Path("test_tiny").write_text("a name of the registry means that model")
    assert load_model("test_tiny").weights_hash == ""


@pytest.mark.parametrize("path", ["none.pth", "none.safetensors", Path("none")])
def test_a_file_that_is_not_there_is_named(path: str | Path) -> None:
    with pytest.raises(CheckpointError, match=f"{path}: no such file"):
        load_model(path)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownModelError) as error:
        load_model("vit_hh")
    assert_one_line(error, "vit_hh", "did you mean vit_h?", "path of a weights file")


@pytest.mark.parametrize("device", ["cup", "cuda:999"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=device):
        load_model("test_tiny", device)
