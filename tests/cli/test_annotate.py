"""`anymask annotate` as a process: started, asked, told to stop, and started wrongly."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from annotating import running

pytest.importorskip("fastapi")

open_url = build_opener(ProxyHandler({})).open  # a proxy of the machine is none for loopback


def get(url: str, **headers: str) -> object:
    with open_url(Request(url, headers=headers)) as answer:
        return json.load(answer)


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    (tmp_path / "photos").mkdir()
    shutil.copy(photos / "chelsea.jpg", tmp_path / "photos")
    return tmp_path / "photos"


def test_it_listens_answers_and_stops_when_told(folder: Path) -> None:
    with running(str(folder)) as (process, address):
        assert get(address + "health") == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert (folder / ".anymask" / "project.sqlite").is_file()
    assert not (folder / ".anymask" / "project.sqlite-wal").exists()


def test_others_need_the_token_that_it_prints(folder: Path) -> None:
    with running(str(folder), "--host", "0.0.0.0") as (_, address):
        page, token = address.split("#token=")
        page = page.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(HTTPError, match="401") as refused:
            get(page + "api/images")
        refused.value.close()
        assert get(page + "api/images", Authorization=f"Bearer {token}")


def run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "anymask", "annotate", *arguments, "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    return done.returncode, done.stderr


def test_what_cannot_be_started_says_why_in_a_line(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        wrong = {
            "no such folder": [str(tmp_path / "none")],
            f"port {port}": [str(folder), "--port", port],
            "expected an URL": [str(folder), "--database", "nonsense"],
            "try again": [str(folder), "--database", "postgresql://127.0.0.1:9/x"],
            "expected one such as": [str(folder), "--allow-origin", "tools"],
        }
        for reason, arguments in wrong.items():
            code, told = run(*arguments)
            assert (code, reason in told, told.count("\n")) == (1, True, 1), told
    assert not (tmp_path / "none").exists()
