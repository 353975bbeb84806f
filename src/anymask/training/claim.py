"""Folders of what is made once for a run and kept: each says what made it, so that nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import make_folder, write_json

MANIFEST = "manifest.json"
"""file that says what made a folder"""


def claim(folder: Path, about: dict[str, Any], others: str) -> None:
    """Write what made a folder, or check that it is what is there.

    Raises ConfigError where it is not: the folder then holds `others`.
    """
    path = make_folder(folder) / MANIFEST
    if not path.exists():
        write_json(path, about, indent=2)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != about:
        raise ConfigError(f"{folder}: holds {others}; remove it, or name another folder")
