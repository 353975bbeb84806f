"""All protocols by name, and their options checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, cast

from ..errors import ConfigError
from ..settings import field_names, refuse_unknown
from .boxes import Boxes
from .detections import Detections
from .edges import Edges
from .fairness import Fairness
from .interactive import Interactive
from .points import Points
from .proposals import Proposals
from .protocol import EvaluationProtocol
from .text import Text

PROTOCOLS: dict[str, type[EvaluationProtocol]] = {
    each.name: each for each in (Points, Interactive, Boxes, Detections, Edges, Proposals, Text, Fairness)
}


def make_protocol(name: str, options: Mapping[str, Any]) -> EvaluationProtocol:
    """A protocol with its options. Raises ConfigError for an unknown name or option, or a value of the wrong kind."""
    refuse_unknown([name], PROTOCOLS, "protocol")
    kind = PROTOCOLS[name]
    try:
        refuse_unknown(options, field_names(kind), "option")
        missing = [
            each.name for each in fields(cast(Any, kind)) if each.default is MISSING and each.name not in options
        ]
        if missing:
            raise ConfigError(f"option {missing[0]!r} is missing; give it under options")
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in options.items()})
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{name}: {error}") from None
