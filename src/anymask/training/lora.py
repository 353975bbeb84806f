"""Low-rank adapters on the attention of a model whose own weights stay (LoRA; Hu et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from ..model import two_way, vit
from ..model.sam import Sam
from ..settings import check_types, refuse_unknown

PARTS = ("image_encoder", "mask_decoder")
"""the parts of a model that may have attention"""
TARGETS = ("q", "k", "v", "out")
"""the projections that may be adapted"""
PROJECTIONS: dict[type[nn.Module], dict[str, tuple[str, ...]]] = {
    vit.Attention: {"qkv": ("q", "k", "v")},
    two_way.Attention: {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "out_proj": ("out",)},
}
"""kind of attention to its linear layers, and what each projects to, one after another along its output"""


@dataclass(frozen=True)
class Lora:
    """Adapters in the place of whole weights."""

    rank: int = 8
    """rank of the change of each projection"""
    alpha: float = 16.0
    """the change is scaled by alpha / rank, so that the learning rate need not follow the rank"""
    parts: tuple[str, ...] = PARTS
    """the parts of the model that are adapted, and frozen otherwise"""

    def __post_init__(self) -> None:
        check_types(self)
        if self.rank < 1 or self.alpha <= 0 or not self.parts:
            raise ConfigError(f"expected rank at least 1, alpha above 0 and some parts, got {self}")
        refuse_unknown(self.parts, PARTS, "part for adapters")


class AdaptedLinear(nn.Linear):
    """A linear layer to which low-rank changes of its outputs, or of slices of them, are added.

    Weight and bias keep their names. Beside them stand `lora_a`, rank×in, and `lora_b`, out×rank, by the name of what
    they project to; `lora_b` starts at zero, so that the layer starts as it was.
    """

    def __init__(
        self, base: nn.Linear, outputs: Sequence[str], targets: Sequence[str], rank: int, alpha: float
    ) -> None:
        """Take over a layer.

        Args:
            base: the layer; the weights are shared with it.
            outputs: what it projects to, in equal slices of its outputs.
            targets: those of them that get adapters.
            rank: of each change.
            alpha: see `Lora`.
        """
        super().__init__(base.in_features, base.out_features, base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.outputs = tuple(outputs)
        self.scale = alpha / rank
        width = base.out_features // len(outputs)
        self.lora_a = nn.ParameterDict()
        self.lora_b = nn.ParameterDict()
        for name in targets:
            down = base.weight.new_empty(rank, base.in_features)
            self.lora_a[name] = nn.Parameter(nn.init.normal_(down, std=base.in_features**-0.5))
            self.lora_b[name] = nn.Parameter(base.weight.new_zeros(width, rank))

    def forward(self, x: Tensor) -> Tensor:
        down, up = self._factors()
        return F.linear(x, self.weight, self.bias) + self.scale * F.linear(F.linear(x, down), up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer of the same function; it is frozen where this one's own weights are."""
        down, up = self._factors()
        plain = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        plain.weight = nn.Parameter(self.weight + self.scale * (up @ down), self.weight.requires_grad)
        plain.bias = self.bias
        return plain.train(self.training)

    def _factors(self) -> tuple[Tensor, Tensor]:
        """All adapters as one, (rank·A)×in and out×(rank·A) for A of them, the latter with a block for each."""
        chosen = [name for name in self.outputs if name in self.lora_a]
        none = self.weight.new_zeros(self.out_features // len(self.outputs), 0)
        up = [self.lora_b[name] if name in chosen else none for name in self.outputs]
        return torch.cat([self.lora_a[name] for name in chosen]), torch.block_diag(*up)


def add_lora(sam: Sam, settings: Lora, targets: Sequence[str] = TARGETS) -> None:
    """Put adapters on the attention of a model, in place, and freeze all else of the parts that get some.

    In a ViT encoder the queries, keys and values of each block are adapted, in the mask decoder each projection of
    each attention. A light encoder has no attention: it gets no adapters and is not frozen either. The outputs stay
    as they are until the adapters are trained.

    Args:
        sam: a model without adapters.
        settings: rank, scale and parts.
        targets: some of "q", "k", "v" and "out", the latter of the decoder alone.

    Raises ConfigError for unknown targets, where no part has attention, and for a model that has adapters already.
    """
    refuse_unknown(targets, TARGETS, "projection")
    if any(_adapted(sam)):
        raise ConfigError("lora: the model has adapters already; merge them first")
    places = [place for part in settings.parts for place in _places(sam, part, targets)]
    if not places:
        raise ConfigError(
            f"lora: {', '.join(settings.parts)} of {sam.config.name}: nothing there to adapt ({', '.join(targets)} of "
            "attention); expected mask_decoder among the parts"
        )
    for part in {place.path.split(".")[0] for place in places}:
        sam.get_submodule(part).requires_grad_(False)
    for place in places:
        layer = AdaptedLinear(place.layer, place.outputs, place.targets, settings.rank, settings.alpha)
        _put(sam, place.path, layer)


def merge_lora(sam: Sam) -> None:
    """Fold the adapters into the weights, in place: the outputs stay, and the model is a plain one again.

    What was frozen stays frozen. A model without adapters is left as it is.
    """
    for path, layer in list(_adapted(sam)):
        _put(sam, path, layer.merged())
        sam.weights_hash = ""


class _Place(NamedTuple):
    """A linear layer that adapters may be put on."""

    path: str
    layer: nn.Linear
    outputs: tuple[str, ...]
    targets: list[str]


def _places(sam: Sam, part: str, targets: Sequence[str]) -> Iterator[_Place]:
    """The layers of a part whose outputs have some of the targets among them."""
    for path, module in sam.get_submodule(part).named_modules(prefix=part):
        for name, outputs in PROJECTIONS.get(type(module), {}).items():
            chosen = [output for output in outputs if output in targets]
            if chosen:
                yield _Place(f"{path}.{name}", getattr(module, name), outputs, chosen)


def _adapted(sam: Sam) -> Iterator[tuple[str, AdaptedLinear]]:
    for path, module in sam.named_modules():
        if isinstance(module, AdaptedLinear):
            yield path, module


def _put(sam: Sam, path: str, layer: nn.Linear) -> None:
    parent, _, name = path.rpartition(".")
    setattr(sam.get_submodule(parent), name, layer)
