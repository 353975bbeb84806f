"""CLIP's towers: the same vectors as transformers gives, from a local folder or its own download, with toy weights."""

from __future__ import annotations

import json
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

from anymask.errors import CheckpointError, DownloadError, ModelError, PromptError
from anymask.model.text import clip
from anymask.model.text.clip import ClipTowers, download_clip

transformers = pytest.importorskip("transformers")

WORDS = ["a</w>", "dog</w>", "cat</w>", "the</w>", "red</w>", "car</w>"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A CLIP with two layers a tower, patches of 8 pixels, and a vocabulary of letters and a few words."""
    path = tmp_path_factory.mktemp("clip")
    letters = [chr(n) for n in range(97, 123)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *WORDS, "<|startoftext|>", "<|endoftext|>"]
    pairs, made = [], set()
    for word in WORDS:
        parts = [*word.removesuffix("</w>")]
        parts[-1] += "</w>"
        while len(parts) > 1:
            joined = parts[0] + parts[1]
            if joined not in made:
                made.add(joined)
                pairs.append(f"{parts[0]} {parts[1]}")
                if joined not in tokens:
                    tokens.insert(-2, joined)
            parts = [joined, *parts[2:]]
    (path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n")
    (path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, "pad_token": "<|endoftext|>"})
    )
    text = {"vocab_size": len(tokens), "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 16}
    text |= {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    model = transformers.CLIPModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(path)
    return path


@pytest.fixture()
def towers(folder):
    return ClipTowers(folder)


@torch.no_grad()
def test_texts_are_the_vectors_that_clip_gives_alone_or_beside_longer_ones(towers, folder):
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    texts = ["dog", "the red car", "A  Dog"]
    found = towers.texts(texts)
    assert found.shape == (3, 12) and torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
    for text, vector in zip(texts, found, strict=True):
        expected = model.get_text_features(**tokenizer([text], return_tensors="pt"))
        expected = getattr(expected, "pooler_output", expected)
        assert torch.allclose(vector, torch.nn.functional.normalize(expected, dim=-1)[0], atol=1e-5)
        assert torch.allclose(towers.texts([text])[0], vector, atol=1e-5)


def test_tokens_begin_and_end_as_clip_wants_and_none_is_cut_off(towers):
    start, end = towers._tokenizer.convert_tokens_to_ids(["<|startoftext|>", "<|endoftext|>"])
    [ids] = towers._tokenizer(["the red car"])["input_ids"]
    assert ids[0] == start and ids[-1] == end and len(ids) == 5, "a token a word that is known"
    with pytest.raises(PromptError, match="18 tokens, CLIP reads 16; shorten 'dog dog"):
        towers.texts(["dog " * 16])
    assert len(towers.texts(["dog " * 14])) == 1


@torch.no_grad()
def test_crops_are_the_vectors_that_clip_gives(towers, folder):
    rng = np.random.default_rng(0)
    crop = np.array(
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((32, 32), Image.Resampling.BILINEAR)
    )
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    pixels = (crop / 255 - np.array(clip.MEAN)) / np.array(clip.STD)
    expected = model.get_image_features(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
    expected = torch.nn.functional.normalize(getattr(expected, "pooler_output", expected), dim=-1)
    assert torch.allclose(towers.crops([crop])[0], expected[0], atol=1e-5)


def test_with_a_mask_the_last_layer_looks_at_the_object_alone(towers):
    """Pixels off the mask change the vector less: through the layers before the last one only."""
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (32, 32, 3), np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[:16, :16] = True
    everything = np.ones((32, 32), bool)
    whole = towers.crops([crop], [everything])
    assert torch.allclose(whole, towers.crops([crop]), atol=1e-5), "a mask of all pixels changes nothing"
    assert not torch.allclose(towers.crops([crop], [mask]), whole, atol=1e-3)
    both = towers.crops([crop, crop[::-1].copy()], [mask, everything])
    assert torch.allclose(both[0], towers.crops([crop], [mask])[0], atol=1e-5), "each crop has its own"
    assert torch.allclose(towers.crops([crop]), whole, atol=1e-5), "and nothing of it stays"


def test_what_is_no_clip_is_told_in_a_line(tmp_path, folder, home, monkeypatch):
    with pytest.raises(CheckpointError, match="holds no CLIP"):
        ClipTowers(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="fetch it with: anymask models download clip_vit_b_32"):
        ClipTowers("clip_vit_b_32")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="is no CLIP; expected model_type clip"):
        ClipTowers(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(CheckpointError, match="is no whole CLIP"):
        ClipTowers(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'anymask\[clip\]'"):
        ClipTowers(folder)


class Hub(SimpleHTTPRequestHandler):
    """The parts of the hub's interface that a snapshot takes: what there is, and each file."""

    def do_GET(self):
        files = sorted(path.name for path in self.folder.iterdir())
        if "/tree/" in self.path:
            listed = [
                {"type": "file", "path": name, "size": (self.folder / name).stat().st_size, "oid": "0" * 40}
                for name in files
            ]
            self._answer(json.dumps(listed).encode(), "application/json")
        elif "/api/models/" in self.path:
            body = json.dumps(
                {"id": "toy", "sha": "0" * 40, "siblings": [{"rfilename": name} for name in files], "private": False}
            ).encode()
            self._answer(body, "application/json")
        else:
            self._file(True)

    def do_HEAD(self):
        self._file(False)

    def _file(self, whole):
        path = self.folder / self.path.rsplit("/", 1)[-1]
        if not path.exists():
            self.send_error(404)
            return
        self._answer(path.read_bytes(), "application/octet-stream", whole)

    def _answer(self, body, kind, whole=True):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{len(body)}"')
        self.end_headers()
        if whole:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_clip_by_name_is_fetched_once_and_then_found(folder, home, monkeypatch):
    handler = type("ToyHub", (Hub,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        path = download_clip("clip_vit_b_32")
    finally:
        server.shutdown()
        server.server_close()
    assert torch.equal(ClipTowers("clip_vit_b_32").texts(["dog"]), ClipTowers(folder).texts(["dog"]))
    assert path == home / "clip_vit_b_32"
    with pytest.raises(DownloadError, match=r"clip_vit_b_16: cannot be fetched from openai/.* by hand"):
        download_clip("clip_vit_b_16")
