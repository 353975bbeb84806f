"""What all tests share: where the data packs lie, and how many threads a worker may use."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers get that of the process that starts them
    os.environ["ANYMASK_CACHE"] = tempfile.mkdtemp(prefix="anymask-tests-")
    atexit.register(shutil.rmtree, os.environ["ANYMASK_CACHE"], ignore_errors=True)
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; threads on top would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the data packs, with `train` and `val` in it; the test is skipped where there is none.

    It is $ANYMASK_SHARED_DATA, or else shared/data beside the checkout.
    """
    folder = Path(os.environ.get("ANYMASK_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data packs in {folder}; set ANYMASK_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of the example photos."""
    return ROOT / "examples" / "photos"


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Each test draws the same random numbers, whichever ran before it."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for weights, and no mirror or proxy."""
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANYMASK_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "home"
