"""`anymask export`: what it prints, and errors in one line."""

from __future__ import annotations

import json

import pytest

from anymask.cli import export
from anymask.export import write


@pytest.fixture()
def written(toy, tmp_path, anymask):
    """A toy model exported, with the parts for a browser and the comparison."""
    return anymask("export", toy, "-o", tmp_path / "out", "--parts", "--verify", "--precision", "float16")


@pytest.mark.slow
def test_a_model_is_written_and_compared(written, tmp_path, anymask, toy):
    assert written.code == 0, written.err
    assert "encoder" in written.out and "decoder.onnx" in written.out
    assert "differences from PyTorch on 5 photos" in written.out and "all in one batch" in written.out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["precision"] == "float16"
    parts = json.loads((tmp_path / "out" / "parts" / "manifest.json").read_text())
    assert parts["precision"] == "float16" and set(parts["graphs"]) >= {"prepare", "answer", "answer_masks", "upscale"}
    again = anymask("export", toy, "-o", tmp_path / "out")
    assert again.code == 1 and again.err.count("\n") == 1
    assert "out: is there and not empty; name another folder with -o, or remove it" in again.err


def test_what_is_too_far_off_ends_with_1(toy, tmp_path, anymask, monkeypatch, photo):
    from anymask.export import verify

    far = verify.Difference("box", 1.0, 0.5, share=0.5)
    monkeypatch.setattr(write, "export_model", lambda *arguments: {"files": {}})
    monkeypatch.setattr(verify, "verify", lambda *arguments: [far])
    found = anymask("export", toy, "-o", tmp_path / "out", "--photos", photo)
    assert found.code == 1 and "of the spread" in found.out
    assert found.err.startswith(f"anymask: {tmp_path / 'out'}: box: logits differ by 0.5 of their spread")


def test_errors_are_one_line(toy, tmp_path, anymask, monkeypatch):
    out = tmp_path / "out"
    unknown = anymask("export", "vit_z", "-o", out)
    assert unknown.code == 1 and "model 'vit_z' is not known" in unknown.err
    (tmp_path / "empty").mkdir()
    empty = anymask("export", toy, "-o", out, "--photos", tmp_path / "empty")
    assert f"--photos {tmp_path / 'empty'}: no photos there; name a folder with some, or one photo" in empty.err
    monkeypatch.setattr(export, "EXAMPLES", tmp_path / "gone")
    assert f"--photos {tmp_path / 'gone'}: no photos there" in anymask("export", toy, "-o", out, "--verify").err
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    missing = anymask("export", toy, "-o", out)
    assert missing.err.strip().endswith("pip install 'anymask[onnx]'")
    assert all(found.err.count("\n") == 1 for found in (unknown, empty, missing))
    assert anymask("export", toy, "-o", out, "--format", "tflite").code == 2
    assert not out.exists()
