"""Recipes: they are read strictly, and what is wrong with one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from anymask.errors import ConfigError
from anymask.training.config import Source, read_recipe


def test_recipes_of_the_project_load():
    recipes = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        assert read_recipe(path).steps > 0


def test_changes_and_wrong_keys(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('model = "nano"\n[sources]\na = 1.0\n[[stages]]\nsize = 64\nsteps = 1\nbatch = 1\nobjects = 1\n')
    assert read_recipe(path, ["lr=1e-5", "sources.b=2.0", "start=lite0"]).sources == {
        "a": Source(1.0),
        "b": Source(2.0),
    }
    for change, message in (
        ("learning=1", "unknown key"),
        ("sed=1", "did you mean 'seed'"),
        ("lr", "expected key=value"),
        ("lr=-1", "lr: expected a number above 0"),
        ("model.x=1", "no further keys"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_recipe(path, [change])
    path.write_text("model = ")
    with pytest.raises(ConfigError, match=r"r\.toml"):
        read_recipe(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sources=coco", "sources: expected dict"),
        ("sources.a=x", "sources.a: expected a number"),
        ("warmup=a", "warmup: expected int"),
        ("lr=fast", "lr: expected float"),
        ("save_every=0", "at least 1"),
        ("model=3", "model: expected str"),
        ("stages=3", r"written \[\[stages\]\]"),
        ("bf16=1", "bf16: expected bool"),
        ("prompting.box=2", "prompting: expected box"),
        ("prompting.boxes=2", "prompting: unknown key 'boxes'; did you mean 'box'"),
        ("augmentation.jitter=[2.0]", "augmentation: jitter: expected tuple"),
        ("augmentation.jitter=[2.0, 1.0]", "low to high"),
        ("validation.metric=clicks", "unknown metric 'clicks'; did you mean '3 clicks'"),
        ("lora.rank=0", "lora: expected rank at least 1"),
        ("schedule=linear", "unknown schedule 'linear'"),
        ("sources.a.share=-1", "sources.a: share: expected 0 or more"),
        ("sources.a.weight=1", "sources.a: unknown key 'weight'"),
        ("teacher.features=1.0", "teacher: 'model' is missing"),
        ("cached=true", "needs freeze"),
    ],
)
def test_values_of_a_wrong_kind_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        read_recipe(Path(__file__).parents[2] / "recipes" / "nano.toml", [change])
