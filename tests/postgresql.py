"""A PostgreSQL server of the tests' own, on loopback, from Debian's package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def is_installed() -> bool:
    """Whether there is a server to start."""
    return bool(BINARIES)


@contextmanager
def server() -> Iterator[str]:
    """Start a server with a fresh cluster; the URL of its database. It ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="anymask-postgresql-"))
    run: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "cwd": "/"}
    if os.getuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres")
        run |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    port = _free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = [str(BINARIES[-1] / "pg_ctl"), "-D", str(folder / "data"), "-w"]
    try:
        subprocess.run([*control[:3], "init", "-o", "-U anymask -A trust -E UTF8 --locale=C"], **run)
        subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], **run)
        try:
            yield f"postgresql://anymask@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
