"""What a training run needs to know: a recipe, read from TOML and changed by key=value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ConfigError
from ..settings import build, check_types, parse_value, read_toml, refuse_unknown, table, tables
from .clip_prompts import MIN_AREA
from .lora import Lora

Schedule = Literal["cosine", "step", "constant"]


@dataclass(frozen=True)
class Source:
    """Labelled images to train on."""

    share: float = 1.0
    """share of the views, relative to the other sources"""
    path: str = ""
    """file or folder below the data's root, or anywhere; empty for a folder of the source's name"""
    format: str = "auto"
    """one of the formats that `open_data` knows, or "images" for a folder without labels"""
    images: str = ""
    """folder of the images, where they do not lie with the labels"""
    options: dict[str, Any] = field(default_factory=dict)
    """what else the reader of the format takes, such as split = "val" """

    def __post_init__(self) -> None:
        check_types(self)
        if self.share < 0:
            raise ConfigError(f"share: expected 0 or more, got {self.share}")


@dataclass(frozen=True)
class Stage:
    """A part of the run at one input size."""

    size: int
    """side of the model frame, in pixels"""
    steps: int
    """optimiser steps"""
    batch: int
    """images per step, in all processes together"""
    objects: int
    """objects per image"""
    spread: float = 0.0
    """share of an ambiguous prompt's loss that all three masks bear alike, and not the best one alone"""
    iou_weight: float = 1.0
    """weight of the predicted IoU's error beside the mask's loss"""

    def __post_init__(self) -> None:
        check_types(self)
        if min(self.steps, self.batch, self.objects) < 1 or self.size < 32 or self.size % 32:
            raise ConfigError(f"stage: expected positive counts and a size that is a multiple of 32, got {self}")


@dataclass(frozen=True)
class Prompting:
    """The prompts of an object in one step; by default the paper's eleven rounds (appendix A)."""

    box: float = 0.5
    """share of the first prompts that are a box; the others are a click"""
    box_single: bool = False
    """whether a box trains the mask for unambiguous prompts too, and not the three alone"""
    even_sizes: bool = False
    """draw objects of each size as often, however many there are of it, and not all objects alike"""
    centre: float = 0.0
    """share of the clicks that lie farthest from the edge, as in the evaluation, and not anywhere"""
    text: float = 0.0
    """share of the first prompts that are CLIP's vector of the object instead, of objects that have one (D.5)"""
    points: int = 8
    """clicks after the first prompt"""
    fewer: bool = False
    """draw the number of those clicks anew for each step, from none to `points`"""
    refine: bool = True
    """two more rounds without a new prompt, one at random and one last"""
    learn: int = 0
    """rounds that are learned from: the first, the last and others drawn at random; 0 for all"""

    def __post_init__(self) -> None:
        check_types(self)
        shares = (self.box, self.centre, self.text)
        if not all(0 <= share <= 1 for share in shares) or self.points < 0 or self.learn < 0 or self.learn == 1:
            raise ConfigError("expected box, centre and text from 0 to 1, points not negative, learn 0 or at least 2")

    @property
    def most_learned(self) -> int:
        """Most rounds of one step that are learned from."""
        rounds = 1 + self.points + 2 * self.refine
        return min(self.learn or rounds, rounds)


@dataclass(frozen=True)
class Augmentation:
    """How an image is changed before it is learned from; by default not at all, as in the paper."""

    jitter: tuple[float, float] = (1.0, 1.0)
    """range of the factor by which the image is enlarged or made smaller in the frame; (0.1, 2.0) in the paper, for
    the first stages of its data engine"""
    flip: bool = False
    """mirror half of the images"""
    colour: float = 0.0
    """strength of changes of brightness, contrast and colour; 1 is usual"""
    paste: float = 0.0
    """share of the images onto which an object of another one is pasted"""

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.jitter[0] <= self.jitter[1] or self.colour < 0 or not 0 <= self.paste <= 1:
            raise ConfigError("expected a jitter from low to high, colour not negative, paste from 0 to 1")


@dataclass(frozen=True)
class Validation:
    """How the run is judged while it goes on; see `loop.train`."""

    every: int = 0
    """steps between two validations; 0 for none"""
    share: float = 0.1
    """share of each source's images that are held out for it, where `source` names none"""
    source: Source | None = None
    """labelled images that are not among those to train on, written as a source of the recipe"""
    images: int = 100
    """most images that are looked at"""
    metric: str = "1 click"
    """which figure tells the best weights: "1 click", "3 clicks" or "box", each a mean IoU"""
    patience: int = 0
    """validations without a better figure after which the run stops; 0 to go on to the end"""

    def __post_init__(self) -> None:
        check_types(self)
        if self.source is not None:
            object.__setattr__(self, "source", _source("validation.source", self.source))
        refuse_unknown([self.metric], ("1 click", "3 clicks", "box"), "metric")
        if min(self.every, self.patience) < 0 or self.images < 1 or not 0 < self.share < 1:
            raise ConfigError("expected every, patience not negative, images at least 1, share between 0 and 1")


@dataclass(frozen=True)
class Teacher:
    """The model that a light one learns from (distillation)."""

    model: str
    """checkpoint of the teacher"""
    features: float = 1.0
    """weight of the squared distance between the embeddings"""
    masks: float = 0.0
    """weight of the loss of the masks that the teacher's frozen decoder makes of the student's embedding"""

    def __post_init__(self) -> None:
        check_types(self)
        if min(self.features, self.masks) < 0 or self.features + self.masks == 0:
            raise ConfigError("teacher: expected weights that are not negative, one of them above 0")


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    model: str
    """name of the architecture in the registry"""
    sources: dict[str, Source]
    """name of each source to its share or to a table"""
    stages: tuple[Stage, ...]
    """one after another"""
    prompting: Prompting = Prompting()
    """the prompts of each object"""
    augmentation: Augmentation = Augmentation()
    """changes of the images"""
    validation: Validation = Validation()
    """judging while training"""
    lora: Lora | None = None
    """adapters in the place of whole weights"""
    teacher: Teacher | None = None
    """the model to distil"""
    images: int = 0
    """most images that each source gives, drawn by the seed; 0 for all"""
    start: str = ""
    """a checkpoint's path, the name of a model inside the package, "lite2" for ImageNet weights in a light encoder,
    or empty for random weights"""
    start_encoder: str = ""
    """path of MAE weights for a ViT encoder, which the paper starts from"""
    text_tower: str = ""
    """folder or name of the CLIP whose vectors of objects are prompts; see prompting.text"""
    text_crops: int = 4
    """crops of each object that have a vector"""
    text_min_area: int = MIN_AREA
    """pixels of a mask beyond which it has vectors"""
    freeze: tuple[str, ...] = ()
    """parts that stay as they are, such as "image_encoder" """
    memory: str = ""
    """fit the run into memory: "auto" for what is free on the device, or a size such as "16 GB"; see `presets`"""
    cached: bool = False
    """embed each image once and keep it on disk; the encoder must be frozen and the images unchanged"""
    lr: float = 6e-4
    """peak learning rate"""
    betas: tuple[float, float] = (0.9, 0.999)
    """of AdamW"""
    encoder_lr: float = 1.0
    """learning rate of a light encoder's backbone, relative to `lr`"""
    layer_decay: float = 1.0
    """factor of the learning rate from one block of a ViT encoder to the one before it"""
    weight_decay: float = 0.05
    """decoupled weight decay, on matrices alone"""
    drop_path: float = 0.0
    """rate of drop path in the last block of a ViT encoder"""
    warmup: int = 100
    """steps of linear warm-up"""
    schedule: Schedule = "cosine"
    """how the learning rate comes down"""
    drops: tuple[int, ...] = ()
    """steps at which the schedule "step" divides the learning rate by ten"""
    decay: int = 0
    """last steps over which the schedule "constant" comes down"""
    clip: float = 1.0
    """largest norm of the gradient; 0 for no limit"""
    accumulate: int = 1
    """parts into which each process divides its images of a step, one after another"""
    checkpointing: bool = False
    """compute activations twice rather than keep them: less memory, more time"""
    compile: bool = False
    """compile the decoder; it takes a minute or two for each stage"""
    ema: float = 0.0
    """decay of the moving average of the weights, which is what is validated and saved; 0 for none"""
    bf16: bool = True
    """compute in bfloat16 where that is safe"""
    seed: int = 0
    """of everything that is drawn"""
    workers: int = 1
    """processes that prepare images"""
    save_every: int = 100
    """steps between checkpoints"""
    log_every: int = 10
    """steps between lines of the log"""
    tensorboard: bool = False
    """log for TensorBoard too"""
    check: bool = True
    """check all labels before the first step"""

    def __post_init__(self) -> None:
        check_types(self)
        sources = {name: _source(f"sources.{name}", value) for name, value in self.sources.items()}
        object.__setattr__(self, "sources", sources)
        if not self.stages:
            raise ConfigError("stages: expected at least one, written [[stages]]")
        if not sources or not sum(source.share for source in sources.values()):
            raise ConfigError("sources: expected at least one with a share above 0")
        refuse_unknown([self.schedule], get_args(Schedule), "schedule")
        if (self.schedule == "step") != bool(self.drops) or (self.decay and self.schedule != "constant"):
            raise ConfigError('schedule: "step" goes with drops, and decay with "constant"')
        for name in ("lr", "encoder_lr", "layer_decay"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("save_every", "log_every", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("workers", "warmup", "seed", "images", "clip", "weight_decay", "decay"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for name in ("ema", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected 0 or more and less than 1, got {getattr(self, name)}")
        if self.teacher and self.memory:
            raise ConfigError("memory: cannot be fitted with a teacher; leave it out, and set batch or accumulate")
        if self.unlabelled and not self.teacher:
            raise ConfigError('sources: format = "images" is for learning from a [teacher]; name one, or give labels')
        if bool(self.text_tower) != bool(self.prompting.text):
            raise ConfigError(
                "text_tower: goes with prompting.text, the share of objects that are prompted so; set both"
            )
        if self.text_tower and (self.cached or self.teacher or self.augmentation.paste):
            raise ConfigError("text_tower: goes with no cached embeddings, no teacher and no augmentation.paste")
        if self.text_crops < 1 or self.text_min_area < 0:
            raise ConfigError("text_tower: expected text_crops at least 1 and text_min_area not negative")
        plain = dataclasses.replace(self.augmentation, flip=False) == Augmentation()
        if self.cached and not (plain and "image_encoder" in self.freeze):
            raise ConfigError('cached: needs freeze = ["image_encoder"] and no [augmentation] but flip')
        if self.cached and self.lora and "image_encoder" in self.lora.parts:
            raise ConfigError('cached: needs an encoder that stays as it is; set lora.parts = ["mask_decoder"]')

    @property
    def unlabelled(self) -> bool:
        """Whether some of the images have no labels."""
        return any(source.format == "images" for source in self.sources.values())

    def at_once(self, stage: Stage, processes: int = 1) -> int:
        """Images of a stage that a process takes at once. Raises ConfigError where they do not divide so."""
        images, rest = divmod(stage.batch, processes * self.accumulate)
        if rest:
            raise ConfigError(
                f"batch: {stage.batch} images do not divide into {processes} processes of {self.accumulate} parts "
                "each; change batch or accumulate"
            )
        return images

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return dataclasses.asdict(self)


def _source(name: str, value: Any) -> Source:
    if isinstance(value, Source):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = {"share": float(value)}
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: expected a number, which is the source's share, a path or a table, got {value!r}")
    try:
        source: Source = build(Source, value)
        return source
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


TABLES = {
    "prompting": Prompting,
    "augmentation": Augmentation,
    "validation": Validation,
    "lora": Lora,
    "teacher": Teacher,
}


def read_recipe(path: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a TOML recipe and apply changes such as "lr=1e-4" or "sources.coco=0.5" (values in TOML's syntax).

    Raises ConfigError for a missing file, broken TOML, an unknown key or a wrong value.
    """
    record = read_toml(path)
    for change in changes:
        apply_change(record, change)
    try:
        made = {key: table(record, key, kind) for key, kind in TABLES.items() if key in record}
        stages = tuple(Stage(**stage) for stage in tables(record, "stages", Stage))
        recipe: Recipe = build(Recipe, {**record, **made, "stages": stages})
        return recipe
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def apply_change(record: dict[str, Any], change: str) -> None:
    """Set a value of a record by "key=value", or "table.key=value". Raises ConfigError for anything else."""
    key, separator, value = change.partition("=")
    if not separator:
        raise ConfigError(f"{change!r}: expected key=value")
    *parents, last = key.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
        if not isinstance(record, dict):
            raise ConfigError(f"{change!r}: {parent} holds no further keys")
    record[last] = parse_value(value)
