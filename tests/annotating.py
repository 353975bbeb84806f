"""`anymask annotate` as a process, for tests and benchmarks of what asks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anymask

CHROMIUM = shutil.which("chromium")
PAGE = Path(anymask.__file__).parent / "annotator" / "page" / "index.html"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process that listens, and the address that it printed."""
    command = [sys.executable, "-m", "anymask", "annotate", *arguments, "--no-browser", "--port", "0"]
    paths = os.pathsep.join([str(Path(anymask.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": paths}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"open (http://\S+)", line)
        assert found, line + process.stderr.read()
        yield process, found[1]
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()
