"""What a person sets: TOML files, and checks of their keys and values."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError where it is none."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); expected a file in TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def parse_value(text: str) -> Any:
    """A value in TOML's syntax; a bare word is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def refuse_unknown(names: Iterable[str], known: Collection[str], what: str = "key") -> None:
    """Raise ConfigError for the first name that is not known, with the nearest that is."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}"
            raise ConfigError(f"unknown {what} {name!r}; {hint}")


def tables(record: dict[str, Any], key: str, kind: Any) -> list[dict[str, Any]]:
    """The tables of a record that are written [[key]], each for a dataclass.

    Raises ConfigError for anything else, for keys that are no fields, and for fields that are missing.
    """
    found = record.get(key, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise ConfigError(f"{key}: expected tables, each written [[{key}]]")
    fields = dataclasses.fields(kind)
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    for table in found:
        refuse_unknown(table, field_names(kind))
        for name in needed:
            if name not in table:
                raise ConfigError(f"{key}: one has no {name!r}; expected {', '.join(needed)} in each [[{key}]]")
    return found


def table(record: dict[str, Any], key: str, kind: Any) -> Any:
    """The dataclass that the table [key] of a record stands for; lists become tuples where the fields are such.

    Raises ConfigError for anything but a table, for unknown keys and for wrong values, naming the table.
    """
    value = record[key]
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: expected a table, written [{key}], got {value!r}")
    try:
        return build(kind, value)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


def build(kind: Any, record: dict[str, Any]) -> Any:
    """A dataclass from a record; lists become tuples where the fields are such.

    Raises ConfigError for keys that are no fields, for fields that are missing, and what the dataclass raises.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    refuse_unknown(record, fields)
    for name, field in fields.items():
        if name not in record and field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{name!r} is missing")
    return kind(**{name: _as_tuple(value, str(fields[name].type)) for name, value in record.items()})


def _as_tuple(value: Any, annotation: str) -> Any:
    return tuple(value) if isinstance(value, list) and annotation.startswith("tuple") else value


def field_names(kind: Any) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(kind)]


def check_types(config: Any) -> None:
    """Raise ConfigError for a field whose value is of another kind than its annotation says."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not _fits(value, str(field.type)):
            raise ConfigError(f"{field.name}: expected {field.type}, got {value!r}")


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
    "tuple": (tuple,),
}


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value, and each of a list or tuple of one kind, is what an annotation says; one unknown fits all."""
    kind, _, inner = annotation.removesuffix("]").partition("[")
    if kind not in _KINDS:
        return True
    if isinstance(value, bool) and kind != "bool":
        return False
    if not isinstance(value, _KINDS[kind]):
        return False
    if not isinstance(value, (list, tuple)):
        return True
    if kind == "tuple" and not inner.endswith(", ...") and inner:
        each = inner.split(", ")
        return len(each) == len(value) and all(map(_fits, value, each))
    return all(_fits(one, inner.removesuffix(", ...")) for one in value)
