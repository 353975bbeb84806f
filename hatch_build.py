"""Puts the page of the annotator into wheels and source packages, built by Node where it is not there yet."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src", "anymask", "annotator", "page", "index.html")


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page, except for an editable install, where `make web` does when it is wanted."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from PyPI, where the machine has none."""
        build = self._build()
        return [] if build is None or build.node_folder() else [build.NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; a source package brings it along."""
        if version != "editable" and not Path(self.root, PAGE).is_file():
            build = self._build()
            if build is not None:
                build.run("run build")

    def _build(self) -> Any:
        script = Path(self.root, "web", "build.py")
        if not script.is_file():
            return None
        spec = spec_from_file_location("build_page", script)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
