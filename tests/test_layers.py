"""The tree keeps its layers: imports go down only, and each file says in one sentence what it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "anymask"
PAPER_MAP = ROOT / "docs" / "paper_map.md"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"errors"},
    {"files", "settings", "processes", "offline"},
    {"journal", "figures"},
    {"task"},
    {"model", "dataset"},
    {"runtime"},
    {"predict"},
    {"training", "evaluation", "export"},
    {"data_engine"},
    {"annotator"},
    {"cli"},
    {"__init__", "__main__"},
]
"""the parts of the package, from the bottom up; those on one layer do not know each other"""
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

UNWANTED_NAMES = {"utils", "util", "common", "legacy"}
UNWANTED_PACKAGES = {"torchvision", "timm"}


def imported_modules(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and dotted name, as a tuple, of all that a module of `package` imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = start + (tuple(node.module.split(".")) if node.module else ())
            for alias in node.names:
                yield node.lineno, (*module, alias.name)


def part_of(module: tuple[str, ...]) -> str:
    """The part of the package that `module`, anymask.something, belongs to; a name of the package itself is its top."""
    return module[1] if len(module) > 1 and module[1] in LEVEL else "__init__"


def import_faults(source: str, path: str) -> list[str]:
    """What is wrong with the imports of a file, `path` being its place in the package, such as "task/rle.py"."""
    place = Path(path)
    part = place.parts[0].removesuffix(".py")
    if part not in LEVEL:
        return [f"{path}: {part} has no layer; give it one in LAYERS"]
    faults = []
    for line, module in imported_modules(ast.parse(source), ("anymask", *place.parts[:-1])):
        if module[0] in UNWANTED_PACKAGES:
            faults.append(f"{path}:{line}: imports {module[0]}")
        elif module[0] == "anymask" and module[1:] != ("__version__",):  # the version may be told anywhere
            other = part_of(module)
            if other != part and LEVEL[other] >= LEVEL[part]:
                faults.append(f"{path}:{line}: {part} imports {other}, which is not below it")
    return faults


def name_faults(path: str) -> list[str]:
    """What is wrong with the names of a file and of the folders it is in."""
    names = Path(path).with_suffix("").parts
    return [f"{path}: say what is in {name}" for name in names if name in UNWANTED_NAMES or re.search(r"_v\d+$", name)]


def docstring_faults(source: str, path: str) -> list[str]:
    """What is wrong with the sentence that a file opens with."""
    paragraph = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].replace("\n", " ")
    if not paragraph:
        return [f"{path}: opens with no docstring"]
    if not paragraph.endswith(".") or re.search(r"[.!?] +[A-Z]", paragraph):
        return [f"{path}: opens with something other than one sentence: {paragraph!r}"]
    return []


def test_package_is_found() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_file_keeps_the_rules(file: Path) -> None:
    source, path = file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).as_posix()
    assert import_faults(source, path) + name_faults(path) + docstring_faults(source, path) == []


def test_paper_map_names_what_exists() -> None:
    paths = re.findall(r"`([\w/]+\.py)`", PAPER_MAP.read_text(encoding="utf-8"))
    assert len(paths) > 20
    assert [path for path in paths if not (PACKAGE / path).is_file()] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("errors.py", "from .files import replacing"),
        ("task/rle.py", "from ..model.sam import Sam"),
        ("task/rle.py", "import anymask.model.sam"),
        ("task/rle.py", "from .. import model"),
        ("task/rle.py", "from anymask import load_model"),
        ("model/sam.py", "from ..dataset.sa1b import Sample"),
        ("model/text/clip.py", "from ...dataset import sa1b"),
        ("model/sam.py", "def load():\n    from ..training import loop"),
        ("model/sam.py", "if TYPE_CHECKING:\n    from ..predict.predictor import SamPredictor"),
        ("runtime/kept.py", "from ..predict import predictor"),
        ("training/loop.py", "from ..evaluation import interactive"),
        ("model/vit.py", "import torchvision.transforms"),
        ("model/vit.py", "from timm.layers import DropPath"),
        ("extras/thing.py", "import math"),
    ],
)
def test_checker_sees_a_bad_import(path: str, source: str) -> None:
    assert len(import_faults(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("task/rle.py", "import numpy as np\nfrom .boxes import box_area\nfrom ..errors import DataError"),
        ("task/rle.py", "from .. import errors, files"),
        ("predict/automask/generator.py", "from .grid import points\nfrom ..predictor import SamPredictor"),
        ("cli/segment.py", "from ..predict import predictor\nfrom ..training.loop import train"),
        ("cli/main.py", "from .. import __version__"),
        ("__init__.py", "from .cli import main"),
    ],
)
def test_checker_lets_a_good_import_pass(path: str, source: str) -> None:
    assert import_faults(source, path) == []


def test_checker_sees_bad_names() -> None:
    assert name_faults("utils.py") and name_faults("task/common/rle.py") and name_faults("model/sam_v2.py")
    assert not name_faults("task/rle.py")


@pytest.mark.parametrize("source", ["", "import math", '"""No full stop"""', '"""One thing. And another."""'])
def test_checker_sees_a_bad_docstring(source: str) -> None:
    assert docstring_faults(source, "task/rle.py")


def test_checker_lets_a_good_docstring_pass() -> None:
    assert not docstring_faults(
        '"""Boxes, as in Tan & Le 2019: N×4,\nin pixels.\n\nMore. And more."""', "task/boxes.py"
    )
