"""The state of a run on disk: written whole, tied to its recipe, and gone on with exactly."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from ..errors import ConfigError
from ..files import replacing

INDIFFERENT = {"workers", "save_every", "log_every", "tensorboard", "check", "validate_every"}
"""keys of a recipe that change no result; they may differ when a run goes on"""

State = dict[str, Any]


class Identified(Protocol):
    """A recipe, of whatever kind of run."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready record."""


def path_in(out: Path) -> Path:
    """Where the state of the run in a folder lies."""
    return out / "state.pt"


def identity(recipe: Identified) -> str:
    """The recipe without what changes no result; a state belongs to it."""
    return json.dumps({k: v for k, v in recipe.to_dict().items() if k not in INDIFFERENT}, sort_keys=True)


def gather(task: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Weights and optimiser, whole, on the CPU of the main process, however they are spread. All processes call it."""
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return {
        "model": get_model_state_dict(task, options=whole),
        "optimizer": get_optimizer_state_dict(task, optimizer, options=whole),
    }


def restore(state: State, task: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Undo `gather`. All processes call it, each with the whole state.

    The optimiser knows nothing of a weight that had no gradient yet, such as those of mask prompts without clicks.
    """
    set_model_state_dict(task, state["model"], options=StateDictOptions(full_state_dict=True))
    known = StateDictOptions(full_state_dict=True, strict=False)
    set_optimizer_state_dict(task, optimizer, state["optimizer"], options=known)


def save(state: State, recipe: Identified, out: Path) -> None:
    """Write a state."""
    with replacing(path_in(out)) as temporary:
        torch.save({**state, "recipe": identity(recipe)}, temporary)


def load(recipe: Identified, out: Path) -> State | None:
    """The state that a folder holds, or None. Raises ConfigError where it is broken or another recipe's."""
    path = path_in(out)
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); remove it to begin anew") from None
    if differing := _differing(json.loads(state["recipe"]), json.loads(identity(recipe))):
        raise ConfigError(
            f"{out}: holds the state of another recipe, with {differing}; name a new folder, or give the same recipe"
        )
    return state


def _differing(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What is another thing in two recipes, or nothing."""
    keys = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
    return ", ".join(f"{key} = {json.dumps(there.get(key))} and not {json.dumps(here.get(key))}" for key in keys)
