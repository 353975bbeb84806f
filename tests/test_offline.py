"""No library that anymask runs on speaks to anybody."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anymask import offline

WATCH = """
import os, socket
def refuse(host, *arguments, **named):
    with open(os.environ["ASKED"], "a") as file:
        file.write(f"{host}\\n")
    raise OSError("no network")
socket.getaddrinfo = socket.create_connection = refuse
"""
"""imported by every process that begins"""

USE = """
import sys
import numpy as np
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.predictor import SamPredictor
predictor = SamPredictor(Sam(MODELS["test_tiny_light"].config).eval(), sys.argv[1])
predictor.set_image(np.zeros((40, 60, 3), np.uint8))
print(type(predictor.runtime).__name__)
"""


@pytest.mark.parametrize(("runtime", "name"), [("openvino", "OpenVinoRuntime"), ("onnx", "OnnxRuntime")])
def test_a_runtime_asks_for_no_address(runtime, name, tmp_path, monkeypatch):
    """From nothing: the graphs are made, and no file of the libraries' own is left in the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    for variable, value in (("HOME", home), ("PYTHONPATH", tmp_path), ("ASKED", tmp_path / "asked")):
        monkeypatch.setenv(variable, str(value))
    monkeypatch.setenv("ANYMASK_CACHE", str(tmp_path / "cache"))
    for variable in ("CI", "BUILD_ID"):
        monkeypatch.delenv(variable, raising=False)
    done = subprocess.run([sys.executable, "-c", USE, runtime], capture_output=True, text=True)
    assert done.stdout == f"{name}\n", done.stderr
    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()
    assert not (home / "intel").exists()


def test_the_events_of_onnx_runtime_are_turned_off(monkeypatch):
    """It speaks to the network, if it does, beneath Python."""
    called = []
    monkeypatch.setattr("onnxruntime.disable_telemetry_events", lambda: called.append(1))
    offline.import_onnxruntime.cache_clear()
    offline.import_onnxruntime()
    assert called
