"""The processes beside a run: what Ctrl-C does to them, and that none is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys

from anymask.processes import processes

KILLED = """
import os, signal
from anymask.processes import processes
with processes(1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_ctrl_c_leaves_them_at_what_they_are_doing():
    with processes(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_they_end_with_a_run_that_is_killed():
    """The output stays open as long as a process lives that could write to it."""
    result = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, timeout=120)
    assert result.returncode == -signal.SIGKILL and int(result.stdout) > 0


def test_they_need_no_model():
    """Each process imports this module first, and torch takes seconds."""
    code = "import sys, anymask.processes; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
