"""What people call things: the labels that the packaged text detector learned, with their other names."""

from __future__ import annotations

from pathlib import Path

from ...errors import ConfigError
from ...settings import read_toml

GROUPS = ("coco", "garments", "street")
"""parts of the packaged vocabulary, by what the labels are of"""


def vocabulary(path: str | Path = "", group: str = "") -> dict[str, list[str]]:
    """Label to all its names, its own first; of the package, or of a TOML file of one's own.

    The file holds lists of other names by label, in tables or without; `group` asks for those of one table alone.
    Raises ConfigError for anything else.
    """
    path = path or Path(__file__).with_name("vocabulary.toml")
    found: dict[str, list[str]] = {}
    for key, value in read_toml(path).items():
        for label, others in (value if isinstance(value, dict) else {key: value}).items():
            if not isinstance(others, list) or not all(isinstance(name, str) for name in others):
                raise ConfigError(f"{path}: {label}: expected a list of other names, got {others!r}")
            if group in ("", key):
                found[label] = [label.replace("-", " "), *others]
    return found
