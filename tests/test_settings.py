"""Settings: what is unknown or of a wrong kind is refused with a hint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from anymask.errors import ConfigError
from anymask.settings import check_types, field_names, parse_value, read_toml, refuse_unknown, tables


@dataclass
class Plan:
    """One field of each kind."""

    steps: int = 3
    rate: float = 0.5
    name: str = ""
    fast: bool = False
    shares: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    clicks: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    mode: Literal["a", "b"] = "a"


def test_what_fits_is_let_through():
    check_types(Plan())
    check_types(Plan(4, 1, "x", True, {"a": 0.5}, {"a": [1]}, ["x"], (1, 2), ("nano",)))
    check_types(Plan(rate=0.25, mode=3))  # a kind that it does not know


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 1.5, "int"),
        ("steps", "3", "int"),
        ("steps", True, "int"),
        ("steps", None, "int"),
        ("rate", "0.5", "float"),
        ("rate", False, "float"),
        ("name", 3, "str"),
        ("fast", 1, "bool"),
        ("fast", "yes", "bool"),
        ("shares", [0.5], r"dict\[str, float\]"),
        ("options", "size", r"dict\[str, Any\]"),
        ("names", "abc", r"list\[str\]"),
        ("names", ["a", 2], r"list\[str\]"),
        ("names", ("a",), r"list\[str\]"),
        ("clicks", 3, r"tuple\[int, \.\.\.\]"),
        ("clicks", [1, 3], r"tuple\[int, \.\.\.\]"),
        ("clicks", (1, 2.5), r"tuple\[int, \.\.\.\]"),
        ("clicks", (1, True), r"tuple\[int, \.\.\.\]"),
        ("models", "nano", r"tuple\[str, \.\.\.\]"),
        ("models", ("nano", 2), r"tuple\[str, \.\.\.\]"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(name, value, expected):
    with pytest.raises(ConfigError, match=rf"^{name}: expected {expected}, got "):
        check_types(Plan(**{name: value}))


def test_unknown_names_get_a_hint():
    known = {"clicks": 1, "sampling": 2}
    refuse_unknown(["clicks", "sampling"], known)
    refuse_unknown([], known)
    with pytest.raises(ConfigError, match=r"^unknown key 'click'; did you mean 'clicks'\?$"):
        refuse_unknown(["sampling", "click"], known)
    with pytest.raises(ConfigError, match=r"^unknown option 'zzz'; expected one of clicks, sampling$"):
        refuse_unknown(["zzz"], known, "option")


def test_field_names():
    assert field_names(Plan)[:3] == field_names(Plan())[:3] == ["steps", "rate", "name"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"3"', "3"),
        ("lite2", "lite2"),
        ("runs/a b.pth", "runs/a b.pth"),
        ("", ""),
    ],
)
def test_a_value_is_toml_or_a_bare_word(text, value):
    assert parse_value(text) == value and type(parse_value(text)) is type(value)


def test_toml_files(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('steps = 3\n[[stages]]\nname = "é"\n', encoding="utf-8")
    assert read_toml(path) == {"steps": 3, "stages": [{"name": "é"}]}
    path.write_text("steps = \n")
    with pytest.raises(ConfigError, match=r"plan\.toml: not TOML: .*line 1"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"plan\.toml: cannot be read .*expected a file in TOML"):
        read_toml(path)
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        read_toml(tmp_path / "none.toml")


def test_tables_are_for_a_dataclass():
    @dataclass
    class Step:
        size: int
        name: str = ""

    assert tables({"steps": [{"size": 1}, {"size": 2, "name": "x"}]}, "steps", Step) == [
        {"size": 1},
        {"size": 2, "name": "x"},
    ]
    assert tables({}, "steps", Step) == []
    for wrong, message in (
        ({"size": 1}, r"steps: expected tables, each written \[\[steps\]\]"),
        ([1], "expected tables"),
        ([{"sise": 1}], "did you mean 'size'"),
        ([{"name": "x"}], r"steps: one has no 'size'; expected size in each \[\[steps\]\]"),
    ):
        with pytest.raises(ConfigError, match=message):
            tables({"steps": wrong}, "steps", Step)
