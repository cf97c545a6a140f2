"""The same lockfile in the other format, TOML or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from llmring.exceptions import ConfigurationError

from .rendering import toml_key, toml_value

if TYPE_CHECKING:
    from .places import Place

__all__ = ["Converted", "converted"]


class Converted(NamedTuple):
    """A file in the other format.

    Attributes:
        text: all of it.
        data: what it holds.
        changes: in words, what its data holds otherwise than before.
    """

    text: str
    data: dict[str, Any]
    changes: list[str]


def converted(data: Mapping[str, Any], *, to_json: bool) -> Converted:
    """The data of a lockfile, every key of it, as the text of a JSON or a TOML file.

    TOML has no null: a key that holds one is left out, which says the same. JSON has no dates: they become strings.

    Raises:
        ConfigurationError: a value has no counterpart in the other format; the message says which.
    """
    changes: list[str] = []
    new: dict[str, Any] = _to_json(dict(data), (), changes) if to_json else _to_toml(dict(data), (), changes)
    text = json.dumps(new, indent=2, ensure_ascii=False) + "\n" if to_json else _toml(new)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("The file holds half of a surrogate pair, which TOML cannot say") from None
    return Converted(text, new, changes)


def _to_json(value: Any, place: Place, changes: list[str]) -> Any:
    match value:
        case dict():
            return {key: _to_json(inner, (*place, key), changes) for key, inner in value.items()}
        case list():
            return [_to_json(inner, (*place, index), changes) for index, inner in enumerate(value)]
        case datetime() | date() | time():
            changes.append(f"{_written(place)} is a date or a time; in JSON it is a string")
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise ConfigurationError(f"{_written(place)} is {value}, which JSON cannot say. Take it out first")
        case _:
            return value


def _to_toml(value: Any, place: Place, changes: list[str]) -> Any:
    match value:
        case dict():
            changes += [f"{_written((*place, key))} is null and is left out" for key in value if value[key] is None]
            return {key: _to_toml(it, (*place, key), changes) for key, it in value.items() if it is not None}
        case list():
            return [_to_toml(inner, (*place, index), changes) for index, inner in enumerate(value)]
        case None:
            raise ConfigurationError(f"{_written(place)} is null, which a TOML list cannot hold. Take it out first")
        case _:
            return value


def _toml(data: dict[str, Any]) -> str:
    return "\n".join("\n".join(section) + "\n" for section in _sections((), data))


def _sections(place: tuple[str, ...], table: dict[str, Any]) -> Iterator[list[str]]:
    """The lines of a table and of those below it, section by section. What lies in an array of tables is inline."""
    pairs = {key: value for key, value in table.items() if not (isinstance(value, dict) or _is_tables(value))}
    head = [f"[{_dotted(place)}]"] if place else []
    if pairs or len(table) == 0:
        yield head + _pairs(pairs)
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _sections((*place, key), value)
        elif _is_tables(value):
            yield from ([f"[[{_dotted((*place, key))}]]", *_pairs(element)] for element in value)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(it, dict) for it in value)


def _pairs(table: dict[str, Any]) -> list[str]:
    return [f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items()]


def _dotted(place: tuple[str, ...]) -> str:
    return ".".join(map(toml_key, place))


def _written(place: Place) -> str:
    return ".".join(map(str, place))
