"""Several processes: two of them on the CPU give the losses and the weights of one."""

from __future__ import annotations

import csv
import dataclasses
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anymask.errors import ConfigError
from anymask.model.checkpoint import open_model
from anymask.training.config import Augmentation, Prompting, Stage, Validation
from anymask.training.distributed import open_processes
from anymask.training.loop import train
from anymask.training.lora import Lora

pytest.importorskip("accelerate")

PLAIN = {"prompting": Prompting(points=2, fewer=True, learn=3, centre=0.5), "augmentation": Augmentation(paste=0.5)}
CHANGES = {
    "ddp": PLAIN,
    "adapters": {**PLAIN, "model": "test_tiny", "lora": Lora(rank=2), "ema": 0.9, "accumulate": 2},
    "fsdp": {**PLAIN, "ema": 0.9},
}


def validate(sam, samples, step):
    return {"1 click": float(sum(value.double().sum() for value in sam.state_dict().values()))}


def job(path):
    """What one process does."""
    torch.set_num_threads(1)
    recipe, data, out = pickle.loads(Path(path).read_bytes())
    train(recipe, data, out, validate=validate, report=stop)


def stop(step, _):
    """End the main process where the test wants it."""
    if str(step) == os.environ.get("STOP_AT"):
        raise SystemExit("stopped as planned")


def launch(path, environment):
    """Run a job in two processes, as `accelerate launch` would; their standard error, or nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = os.path.dirname(__file__)
    code = f"import sys; sys.path.insert(0, {here!r}); import test_distributed as t; t.job({str(path)!r})"
    processes = []
    for rank in ("0", "1"):
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
        own = {"RANK": rank, "LOCAL_RANK": rank, "ACCELERATE_USE_CPU": "true"}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", code],
                env={**os.environ, **shared, **own, **environment},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    errors = [process.communicate()[1] for process in processes]
    return "" if not any(process.returncode for process in processes) else "\n".join(errors)


def losses(out):
    with (out / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHANGES)
def test_two_processes_give_what_one_gives(kind, shapes, recipe, tmp_path):
    stages = (Stage(size=64, steps=4, batch=4, objects=2), Stage(size=96, steps=2, batch=4, objects=1))
    recipe = dataclasses.replace(
        recipe, stages=stages, save_every=3, validation=Validation(every=3, share=0.3), **CHANGES[kind]
    )
    torch.set_num_threads(1)
    alone = train(recipe, shapes, tmp_path / "alone", validate=validate)
    path = tmp_path / "job.pickle"
    path.write_bytes(pickle.dumps((recipe, shapes, tmp_path / "two")))
    environment = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"} if kind == "fsdp" else {}
    assert "as planned" in launch(path, {**environment, "STOP_AT": "5"})
    error = launch(path, environment)  # goes on from step 3
    assert not error, error
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "alone"), rel=1e-4)
    a, b = (open_model(folder / alone.name).state_dict() for folder in (tmp_path / "alone", tmp_path / "two"))
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, atol=2e-4, rtol=1e-3, msg=name)


def test_one_process_needs_no_accelerate(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert open_processes("cpu").count == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="need accelerate"):
        open_processes("cpu")
