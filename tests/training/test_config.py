"""Recipes: they are read strictly, and what is wrong with one is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymask.errors import ConfigError
from anymask.training.config import Augmentation, Prompting, Source, Stage, read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def test_recipes_of_the_project_load():
    recipes = sorted(RECIPES.glob("*.toml"))
    assert recipes
    for path in recipes:
        assert read_recipe(path).steps > 0


@pytest.mark.parametrize(
    ("name", "lr", "layer_decay", "drop_path", "batch", "steps", "drops"),
    [
        ("vit_b", 8e-4, 0.6, 0.6, 128, 180_000, (120_000, 173_332)),
        ("vit_l", 4e-4, 0.8, 0.4, 128, 180_000, (120_000, 173_332)),
        ("vit_h", 8e-4, 0.8, 0.4, 256, 90_000, (60_000, 86_666)),
    ],
)
def test_the_papers_recipes_are_the_papers(name, lr, layer_decay, drop_path, batch, steps, drops):
    """Appendix A, training algorithm."""
    recipe = read_recipe(RECIPES / f"sam_{name}.toml")
    assert (recipe.model, recipe.layer_decay, recipe.drop_path) == (name, layer_decay, drop_path)
    assert recipe.stages == (Stage(size=1024, steps=steps, batch=batch, objects=64),)
    assert (recipe.schedule, recipe.drops, recipe.warmup, recipe.lr) == ("step", drops, 250, lr)
    assert (recipe.betas, recipe.weight_decay, recipe.clip, recipe.ema) == ((0.9, 0.999), 0.1, 0.0, 0.0)
    assert recipe.start_encoder.startswith("mae") and recipe.augmentation == Augmentation()
    assert recipe.prompting == Prompting(box=0.5, points=8, refine=True, learn=0, even_sizes=False)


def test_a_source_is_a_share_a_path_or_a_table(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('model = "nano"\n[sources]\na = 1.0\n[[stages]]\nsize = 64\nsteps = 1\nbatch = 1\nobjects = 1\n')
    recipe = read_recipe(path, ["sources.b=labels", "sources.c.options.split=val", "validation.source.path=other"])
    assert recipe.sources["b"] == Source(path="labels") and recipe.sources["c"].options == {"split": "val"}
    assert recipe.validation.source == Source(path="other")
    assert json.loads(json.dumps(recipe.to_dict()))["validation"]["source"]["path"] == "other"


def test_changes_and_wrong_keys(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('model = "nano"\n[sources]\na = 1.0\n[[stages]]\nsize = 64\nsteps = 1\nbatch = 1\nobjects = 1\n')
    assert read_recipe(path, ["lr=1e-5", "sources.b=2.0", "start=lite2"]).sources == {
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
        ("sources.a=[]", "sources.a: expected a number, which is the source's share, a path or a table"),
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
        ("drops=[5]", "goes with drops"),
        ("validation.source.pth=a", "validation.source: unknown key 'pth'; did you mean 'path'"),
    ],
)
def test_values_of_a_wrong_kind_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        read_recipe(RECIPES / "nano.toml", [change])
