"""Embeddings on disk: made once, of one encoder, and as good to learn from as the encoder itself."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from anymask.errors import AnymaskError, ConfigError, DataError, ImageError, OutputError
from anymask.model.checkpoint import open_model
from anymask.model.registry import entry
from anymask.model.sam import Sam
from anymask.training import cached
from anymask.training.cached import CachedViews, embed_all, read_embedding
from anymask.training.config import Augmentation, Prompting, Recipe, Stage
from anymask.training.loop import train
from anymask.training.sources import Sources
from anymask.training.task import preprocessed
from anymask.training.views import Views

HALF = 5e-4
"""how far losses may be apart, relative to their size: half precision rounds an embedding by up to that, 2⁻¹¹"""


@pytest.fixture()
def sam():
    torch.manual_seed(0)
    return Sam(entry("test_tiny_light").config).eval()


@pytest.fixture()
def sources(shapes, recipe):
    return Sources(shapes, recipe.sources)


@pytest.fixture()
def decoder_only(recipe):
    return replace(
        recipe,
        stages=(Stage(size=64, steps=4, batch=2, objects=2), Stage(size=96, steps=2, batch=1, objects=2)),
        freeze=("image_encoder",),
        augmentation=Augmentation(flip=True),
        prompting=Prompting(points=2, refine=True, box_single=True),
    )


def losses(folder):
    with (folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("model", ["test_tiny_light", "test_tiny"])
def test_a_run_on_the_cache_has_the_losses_of_one_without(shapes, decoder_only, tmp_path, model):
    recipe = replace(decoder_only, model=model)
    plain = train(recipe, shapes, tmp_path / "plain")
    quick = train(replace(recipe, cached=True), shapes, tmp_path / "cached")

    assert losses(tmp_path / "cached") == pytest.approx(losses(tmp_path / "plain"), rel=4 * HALF), "rounding adds up"
    assert losses(tmp_path / "cached") != losses(tmp_path / "plain")
    a, b = open_model(plain).state_dict(), open_model(quick).state_dict()
    encoder = [name for name in a if name.startswith("image_encoder.")]
    assert encoder and all(torch.equal(a[name], b[name]) for name in encoder)


def test_a_run_that_was_stopped_embeds_nothing_anew(shapes, decoder_only, tmp_path, train_until, monkeypatch):
    recipe = replace(decoder_only, cached=True, bf16=True, save_every=2, stages=decoder_only.stages[:1])
    whole = train(recipe, shapes, tmp_path / "whole")
    train_until(recipe, shapes, tmp_path / "parts", 3)
    monkeypatch.setattr(cached, "_embed", None)
    parts = train(recipe, shapes, tmp_path / "parts")
    a, b = open_model(whole).state_dict(), open_model(parts).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_views_are_those_of_the_images(sam, sources, tmp_path):
    settings = (sources, 64, 32, 2, Augmentation(flip=True), 30, 5)
    embed_all(sam, sources.samples["shapes"], 64, tmp_path, mirrored=True)
    views = CachedViews(*settings, folder=tmp_path)
    plain = Views(*settings)
    for i in range(30):
        for name in ("masks", "boxes", "centres"):
            assert torch.equal(getattr(views[i], name), getattr(plain[i], name))
        embedding = views[i].pixels
        with torch.no_grad():
            wanted = sam.encode(preprocessed(sam, [plain[i].pixels], 64))
        assert embedding.features.dtype == torch.float16
        for a, b in zip((embedding.features, *embedding.fine), (wanted.features, *wanted.fine), strict=True):
            torch.testing.assert_close(a.float(), b, atol=1e-3, rtol=1e-3)


def test_what_is_there_stays_and_what_is_missing_is_made(sam, sources, tmp_path):
    samples = sources.samples["shapes"]
    told = []
    sam.train()
    embed_all(sam, samples[:4], 64, tmp_path, report=lambda *counts: told.append(counts))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)] and sam.training
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    embed_all(sam, samples[:4] + samples[2:6], 64, tmp_path)
    assert len(times) == 4 and len(list(tmp_path.glob("*.safetensors"))) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    embed_all(sam, samples[:6], 64, tmp_path, mirrored=True)
    assert len(list(tmp_path.glob("*.safetensors"))) == 12
    there, mirrored = (read_embedding(tmp_path, samples[0], flip).features for flip in (False, True))
    assert not torch.equal(there, mirrored)


def test_an_image_that_moves_keeps_its_embedding_and_one_that_changes_does_not(sam, sources, tmp_path):
    first, second = sources.samples["shapes"][:2]
    cache = tmp_path / "cache"
    embed_all(sam, [first], 64, cache)
    moved = shutil.copy(first.image_path, tmp_path / "moved.png")
    assert read_embedding(cache, replace(first, given_path=tmp_path / "moved.png")).features.shape == (1, 16, 8, 8)
    shutil.copy(second.image_path, moved)
    with pytest.raises(DataError, match=r"moved\.png is missing or damaged"):
        read_embedding(cache, replace(first, given_path=tmp_path / "moved.png"))


def test_a_cache_of_another_encoder_or_size_is_refused(sam, sources, tmp_path):
    samples = sources.samples["shapes"][:1]
    embed_all(sam, samples, 64, tmp_path)
    with torch.no_grad():
        sam.mask_decoder.iou_token.weight += 1
    embed_all(sam, samples, 64, tmp_path)  # the decoder has no part in it
    with pytest.raises(ConfigError, match="another encoder or size"):
        embed_all(sam, samples, 96, tmp_path)
    with torch.no_grad():
        sam.image_encoder.neck[0].weight += 1
    with pytest.raises(ConfigError, match="another encoder or size"):
        embed_all(sam, samples, 64, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match="another encoder or size"):
        embed_all(sam, samples, 64, tmp_path)


def test_embedding_that_is_cut_off_leaves_whole_files_alone(sam, sources, tmp_path, monkeypatch):
    samples = sources.samples["shapes"]
    encode = sam.encode

    def stop_at_third(pixels):
        if len(list(tmp_path.glob("*.safetensors"))) == 2:
            raise KeyboardInterrupt
        return encode(pixels)

    monkeypatch.setattr(sam, "encode", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        embed_all(sam, samples, 64, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors", ".safetensors"]
    assert json.loads((tmp_path / "manifest.json").read_text())["size"] == 64
    monkeypatch.setattr(sam, "encode", encode)
    embed_all(sam, samples, 64, tmp_path)
    assert all(read_embedding(tmp_path, sample).features.isfinite().all() for sample in samples)


def test_faults_are_named(sam, sources, tmp_path, monkeypatch):
    sample = sources.samples["shapes"][0]
    embed_all(sam, [sample], 64, tmp_path)
    next(tmp_path.glob("*.safetensors")).write_bytes(b"cut")
    with pytest.raises(DataError, match="missing or damaged"):
        read_embedding(tmp_path, sample)
    views = CachedViews(sources, 64, 32, 2, Augmentation(), 1, 0, folder=tmp_path / "empty")
    assert isinstance(views[0], AnymaskError)  # as `batches` expects it of a worker
    with pytest.raises(ImageError, match=r"gone\.png: cannot be read"):
        embed_all(sam, [replace(sample, given_path=tmp_path / "gone.png")], 64, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match="12 more embeddings take"):
        embed_all(sam, sources.samples["shapes"], 64, tmp_path / "full")


def test_an_image_without_an_object_is_passed_over(sam, sources, tmp_path):
    views = CachedViews(sources, 64, 32, 2, Augmentation(), 1, 0, folder=tmp_path)
    sample = replace(sources.samples["shapes"][0], read=lambda: {"image": {}, "annotations": []})
    object.__setattr__(sample, "record", {"image": {"file_name": "a", "height": 64, "width": 96}, "annotations": []})
    assert views.make(sample, None, np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    "change",
    [{"freeze": ()}, {"augmentation": Augmentation(colour=0.5)}, {"augmentation": Augmentation(jitter=(1, 2))}],
)
def test_a_recipe_that_cannot_be_cached_is_refused(change):
    settings = {"model": "nano", "sources": {"a": 1.0}, "stages": (Stage(64, 1, 1, 1),), "freeze": ("image_encoder",)}
    Recipe(**settings, cached=True)
    with pytest.raises(ConfigError, match="cached: needs"):
        Recipe(**{**settings, **change}, cached=True)
