"""The decoder in parts: its manifest, its numbers, and that it is made once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anymask import Prompt
from anymask.errors import ModelError
from anymask.export import browser
from anymask.export.browser import browser_decoder, embedding_layout, pack_embedding, unpack_embedding, write_parts
from anymask.files import sha256
from anymask.model.checkpoint import weights_hash
from anymask.model.sam import ImageEmbedding, Sam
from anymask.offline import import_onnxruntime
from anymask.task.frame import ImageFrame
from anymask.task.prompts import PromptBatch


@pytest.fixture(scope="module")
def parts(light: Sam) -> Path:
    return browser_decoder(light)


@pytest.fixture(scope="module")
def embedding(light: Sam) -> ImageEmbedding:
    """As it comes out of bytes."""
    frame = light.frame(300, 417)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return unpack_embedding(pack_embedding(light.encode(pixels)), light, frame)


class Page:
    """Runs the parts as a page does: by the manifest, tensors going from graph to graph by name."""

    def __init__(self, folder: Path, packed: bytes) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.tensors = {}
        for tensor in self.manifest["embedding"]:
            size = 2 * int(np.prod(tensor["shape"]))
            values = np.frombuffer(packed[:size], "<f2").astype(np.float32)
            self.tensors[tensor["name"]], packed = values.reshape(tensor["shape"]), packed[size:]
        assert not packed
        self.run("prepare")

    def run(self, name: str, **more: np.ndarray) -> list[np.ndarray]:
        graph = self.manifest["graphs"][name]
        self.tensors |= more
        session = import_onnxruntime().InferenceSession(self.folder / graph["file"])
        found = session.run(graph["outputs"], {key: self.tensors[key] for key in graph["inputs"]})
        self.tensors |= dict(zip(graph["outputs"], found, strict=True))
        return found


def prompts(sam: Sam, masks: bool) -> list[Prompt]:
    rng, size = np.random.default_rng(0), sam.config.mask_size
    found = [Prompt(rng.uniform(0, 300, (3, 2)), [1, 0, 1]), Prompt([[20, 30]]), Prompt([[9, 9]], box=[5, 6, 300, 200])]
    return [replace(found[0], mask=rng.normal(size=(size, size)) * 4), *found[1:]] if masks else found


def inputs(batch: PromptBatch) -> dict[str, np.ndarray]:
    found = {"coords": batch.coords, "labels": batch.labels, "present": batch.present}
    if batch.masks is not None:
        found |= {"masks": batch.masks, "has_mask": batch.has_mask}
    return {key: value[0].numpy() for key, value in found.items()}


@pytest.mark.parametrize("masks", [False, True])
@torch.no_grad()
def test_a_page_gets_the_answers_of_the_model(light, parts, embedding, masks):
    batch = PromptBatch.pad(prompts(light, masks), embedding.frames[0], light.config.mask_size)
    logits, iou = (answer[0] for answer in light.decode_all(embedding, batch))
    page = Page(parts, pack_embedding(embedding))
    found, _, weights = page.run("answer_masks" if masks else "answer", **inputs(batch))
    np.testing.assert_allclose(found, iou, atol=1e-5)
    np.testing.assert_allclose(page.run("upscale")[0], logits, atol=2e-3 * float(logits.std()))
    some = page.run("upscale", weights=weights[:, 1:3])[0]
    np.testing.assert_allclose(some, logits[:, 1:3], atol=2e-3 * float(logits.std()))


@pytest.mark.parametrize("shape", [(300, 417), (417, 300), (64, 64), (3, 500), (63, 64), (56, 64), (55, 64)])
@torch.no_grad()
def test_masks_of_the_image_alone_are_the_same_at_full_size(light, parts, embedding, shape):
    page, frame = Page(parts, pack_embedding(embedding)), light.frame(*shape)
    page.run("answer", **inputs(PromptBatch.pad(prompts(light, False), frame, light.config.mask_size)))
    whole = torch.from_numpy(page.run("upscale")[0])
    part = torch.from_numpy(page.run("upscale_image", resized=np.array(frame.resized, np.int64))[0])
    assert whole.shape == part.shape
    torch.testing.assert_close(frame.masks_to_original(part), frame.masks_to_original(whole))
    if min(frame.resized) < 40:
        assert (part[..., -1, -1] == -20).all(), "where the frame is padding there is no mask"


def test_the_manifest(light, parts):
    manifest = json.loads((parts / "manifest.json").read_text())
    expected = {"format": 1, "model": "test_tiny_light", "weights": light.weights_hash, "precision": "float32"}
    assert manifest | expected == manifest
    assert (manifest["frame"], manifest["mask_size"], manifest["mask_threshold"]) == (64, 32, 0.0)
    graphs = manifest["graphs"]
    assert graphs["prepare"]["inputs"] == ["features"]
    assert graphs["answer"]["inputs"] == [*graphs["prepare"]["outputs"], "coords", "labels", "present"]
    assert graphs["answer_masks"]["inputs"] == ["features", "coords", "labels", "present", "masks", "has_mask"]
    assert graphs["answer"]["outputs"] == graphs["answer_masks"]["outputs"] == ["iou", "cells", "weights"]
    assert graphs["upscale"]["inputs"] == ["cells", "weights", "fine0", "fine1"]
    assert graphs["upscale_image"]["inputs"] == ["cells", "weights", "fine0", "fine1", "resized"]
    for graph in graphs.values():
        file = parts / graph["file"]
        assert (sha256(file).hexdigest(), file.stat().st_size) == (graph["sha256"], graph["bytes"])
    assert {path.name for path in parts.iterdir()} == {"manifest.json", *(graph["file"] for graph in graphs.values())}


def test_it_is_made_once_for_the_same_weights(light, parts, monkeypatch):
    made = []
    monkeypatch.setattr(browser, "write_parts", lambda sam, folder, precision: made.append(precision) or 1 / 0)
    assert browser_decoder(light) == parts
    same = Sam(light.config)
    same.load_state_dict(light.state_dict())
    assert browser_decoder(same.eval()) == parts and same.weights_hash == light.weights_hash
    assert not made
    with pytest.raises(ZeroDivisionError):
        browser_decoder(light, "int8")
    assert made == ["int8"]


def test_what_fails_leaves_nothing(light, cache, monkeypatch):
    other = Sam(light.config).eval()

    def fail(sam, folder, precision):
        (folder / "answer.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(browser, "write_parts", fail)
    with pytest.raises(KeyboardInterrupt):
        browser_decoder(other)
    folder = cache / "models" / f"{other.config.name}-{weights_hash(other)}"
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []

    def succeed(sam, folder, precision):
        (folder / "manifest.json").write_text("{}")

    monkeypatch.setattr(browser, "write_parts", succeed)
    assert (browser_decoder(other) / "manifest.json").is_file()


@torch.no_grad()
def test_embeddings_as_bytes(light, vit):
    for sam in (light, vit):
        made = sam.encode(torch.randn(1, 3, 64, 64))
        packed = pack_embedding(made)
        assert len(packed) == 2 * sum(int(np.prod(tensor["shape"])) for tensor in embedding_layout(sam))
        frame = ImageFrame(30, 40, 64)
        found = unpack_embedding(packed, sam, frame)
        assert (found.frames, found.model, found.weights) == ((frame,), sam.config.name, sam.weights_hash)
        for mine, its in zip((found.features, *found.fine), (made.features, *made.fine), strict=True):
            assert torch.equal(mine, its.half().float())
        with pytest.raises(ModelError, match=f"embedding of {len(packed) - 2} bytes; one of {sam.config.name} has"):
            unpack_embedding(packed[2:], sam, frame)


@pytest.mark.slow
@torch.no_grad()
def test_a_vit_has_the_same_parts(vit, tmp_path):
    write_parts(vit, tmp_path, "float16")
    made = vit.encode(torch.randn(1, 3, 64, 64))
    batch = PromptBatch.pad(prompts(vit, False), vit.frame(300, 417), vit.config.mask_size)
    page = Page(tmp_path, pack_embedding(made))
    page.run("answer", **inputs(batch))
    logits = vit.decode_all(made, batch)[0][0]
    assert float((torch.from_numpy(page.run("upscale")[0]) - logits).norm() / logits.norm()) < 0.01
