"""Embeddings on disk: the same answers, no second encoding, a limit, and files that are broken or cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from reference import fill_with_noise

from anymask.errors import ConfigError
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.embedding_cache import EmbeddingCache
from anymask.predict.predictor import SamPredictor
from anymask.runtime.torch_runtime import TorchRuntime

PHOTOS = [np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8) for seed in range(4)]


class Counting(TorchRuntime):
    """Counts the images that it embeds."""

    count = 0

    def encode(self, pixels):
        self.count += 1
        return super().encode(pixels)


@pytest.fixture(params=["test_tiny", "test_tiny_light"])
def runtime(request):
    sam = Sam(MODELS[request.param].config)
    fill_with_noise(sam)
    return Counting(sam.eval())


def ask(predictor):
    return predictor.predict([[20, 20]], [1], return_logits=True)[0]


def test_an_image_is_embedded_once_with_the_same_answers(runtime, tmp_path):
    plain = SamPredictor(runtime.sam, runtime)
    plain.set_image(PHOTOS[0])
    answers = []
    for _ in range(2):
        predictor = SamPredictor(runtime.sam, runtime, cache=EmbeddingCache(tmp_path))
        predictor.set_image(PHOTOS[0])
        answers.append(ask(predictor))
        assert predictor.frame == plain.frame
        assert [each.shape for each in predictor.embedding.fine] == [each.shape for each in plain.embedding.fine]
    assert runtime.count == 2, "by the plain predictor, and by the first of the others"
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(answers[0], ask(plain), atol=0.1)


def test_other_pixels_weights_or_precision_are_another_embedding(runtime, tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.embed(PHOTOS[0], runtime)
    cache.embed(PHOTOS[1], runtime)
    cache.embed(PHOTOS[0].reshape(60, 40, 3), runtime)
    other = Counting(Sam(runtime.sam.config).eval())
    cache.embed(PHOTOS[0], other)
    fast = Counting(runtime.sam, "fast")
    cache.embed(PHOTOS[0], fast)
    assert (runtime.count, other.count, fast.count) == (3, 1, 1)


def test_training_makes_the_embeddings_stale(runtime, tmp_path):
    cache = EmbeddingCache(tmp_path)
    before = cache.embed(PHOTOS[0], runtime)
    runtime.sam.train()
    fill_with_noise(runtime.sam, seed=1)
    runtime.sam.eval()
    assert not (cache.embed(PHOTOS[0], runtime).features == before.features).all()


def test_the_one_unused_for_longest_goes_first(runtime, tmp_path):
    unlimited = EmbeddingCache(tmp_path)
    for age, photo in enumerate(PHOTOS[:3]):
        known = set(tmp_path.iterdir())
        unlimited.embed(photo, runtime)
        (new,) = set(tmp_path.iterdir()) - known
        os.utime(new, (age, age))
    size = new.stat().st_size
    unlimited.embed(PHOTOS[0], runtime)  # used again
    EmbeddingCache(tmp_path, limit=3 * size).embed(PHOTOS[3], runtime)
    assert len(list(tmp_path.iterdir())) == 3
    count = runtime.count
    for photo in (PHOTOS[0], PHOTOS[2], PHOTOS[3]):
        unlimited.embed(photo, runtime)
    assert runtime.count == count
    unlimited.embed(PHOTOS[1], runtime)
    assert runtime.count == count + 1


def test_a_broken_file_is_made_again(runtime, tmp_path):
    cache = EmbeddingCache(tmp_path)
    first = cache.embed(PHOTOS[0], runtime)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    again = cache.embed(PHOTOS[0], runtime)
    assert (again.features == first.features).all() and runtime.count == 2
    cache.embed(PHOTOS[0], runtime)
    assert runtime.count == 2


def test_a_folder_that_cannot_be_written_is_no_error(runtime, tmp_path):
    file = tmp_path / "file"
    file.touch()
    cache = EmbeddingCache(file / "folder")
    assert cache.embed(PHOTOS[0], runtime).features.isfinite().all()


def test_by_default_it_lies_in_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYMASK_CACHE", str(tmp_path))
    assert EmbeddingCache().folder == Path(tmp_path) / "embeddings"
    with pytest.raises(ConfigError, match="limit: expected at least 1 byte, got 0"):
        EmbeddingCache(limit=0)
