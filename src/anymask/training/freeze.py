"""Parts of a model that stay as they are while the others learn."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from ..errors import ConfigError
from ..model.sam import Sam
from ..settings import refuse_unknown


def freeze(sam: Sam, parts: Sequence[str]) -> None:
    """Take the parameters below some parts out of training.

    Args:
        sam: the model, changed in place.
        parts: dotted names of modules or parameters, such as "image_encoder", "image_encoder.backbone" or
            "image_encoder.pos_embed".

    Raises ConfigError for a part that is not there, and where nothing would be left to learn.
    """
    known = _parts(sam)
    for part in parts:
        # All names of a large model would fill a screen: where none is near, the coarsest say enough.
        refuse_unknown([part], known if part in known or get_close_matches(part, known) else trainable(sam), "part")
    chosen = {name: any(f"{name}.".startswith(f"{part}.") for part in parts) for name, _ in sam.named_parameters()}
    if not any(p.requires_grad and not chosen[name] for name, p in sam.named_parameters()):
        raise ConfigError(f"freeze: {', '.join(parts)}: nothing would be left to learn; leave a part out")
    for name, parameter in sam.named_parameters():
        if chosen[name]:
            parameter.requires_grad_(False)


def trainable(sam: Sam) -> dict[str, tuple[int, int]]:
    """For each part of the model how many of its numbers learn, and how many there are."""
    counts = {}
    for part, module in sam.named_children():
        parameters = list(module.parameters())
        counts[part] = sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)
    return counts


def _parts(sam: Sam) -> set[str]:
    """Every dotted name that has parameters below it, or is one's own."""
    known: set[str] = set()
    for name, _ in sam.named_parameters():
        steps = name.split(".")
        known.update(".".join(steps[: i + 1]) for i in range(len(steps)))
    return known
