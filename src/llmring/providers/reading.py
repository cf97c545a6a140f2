"""What a provider says of its models at its own endpoint, read by the `capabilities` of `vendors.json`.

A row's `ask` are the requests, each with what is read of its answer. A reading is a path of keys (`"meta/n_ctx"`; a `*`
stands for any letters of one), or a table with the path `at` and what is asked of the value there. Of several, the
first that says anything counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Any

from ..vendors import BUILT_IN, FACTS, SDKS, of_vendors

__all__ = ["ListedModel", "entries", "entry_of", "facts_in", "row_of", "window_in"]

_NAMES = ("id", "name", "key", "model")
"""What listings call the name of a model."""
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LISTED = 64
"""Items of a list, and letters of one, that are kept: what is longer is no list of words."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as its provider lists it. What the listing does not say is `None`.

    Attributes:
        name: as in `provider:name`.
        context_window, max_output_tokens: tokens.
        retires: the announced day on which it ends.
    """

    name: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    retires: date | None = None


@lru_cache(maxsize=256)
def row_of(name: str, sdk: str, address: str | None) -> Mapping[str, Any]:
    """How a provider says what its models can do: by the host that is asked, else by its name, else by its SDK.

    Args:
        name: as in `provider:model`.
        sdk: what speaks to it, as pip knows it.
        address: where it is.
    """
    rows: Mapping[str, Mapping[str, Any]] = of_vendors("capabilities")
    for vendor, row in rows.items():
        if not BUILT_IN[vendor].local and BUILT_IN[vendor].is_at(address):
            return row
    if name in rows and name not in SDKS:
        return rows[name]
    speaks = next((it for it in SDKS if SDKS[it].package == sdk), "")
    row = rows.get(speaks, {})
    return {**row, "ask": _any_host()} if row.get("any_host") else row


@cache
def _any_host() -> Sequence[Mapping[str, Any]]:
    """What is asked of a host that nobody knows: its list, of which is read what any vendor's list says."""
    facts: dict[str, list[Any]] = {}
    for row in of_vendors("capabilities").values():
        for ask in row.get("ask", ()):
            if ask.get("path") == "models":
                for name, readings in ask["facts"].items():
                    facts.setdefault(name, []).extend(_several(readings))
    return [{"path": "models", "list": "data", "facts": facts}]


def entries(answer: Any, ask: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models of a listing, those that are tables. An answer that is a list by itself is one."""
    listed = answer if isinstance(answer, list) else _at(answer, ask.get("list", "data"))
    return [it for it in listed if isinstance(it, Mapping)] if isinstance(listed, list) else []


def entry_of(answer: Any, ask: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """What an answer says of a model: its entry in a listing, or all of an answer that is about one."""
    if "list" not in ask:
        return answer if isinstance(answer, Mapping) else None
    found = entries(answer, ask)
    # A variant (`:nitro`) that is not listed by itself is the same model.
    for wanted in dict.fromkeys((model, model.rpartition(":")[0])):
        for entry in found:
            if wanted and wanted in [*(entry.get(key) for key in _NAMES), *_several(entry.get("aliases") or ())]:
                return entry
    # A server of one model answers to any name.
    return found[0] if ask.get("alone") and len(found) == 1 else None


def facts_in(entry: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that an entry says, by name; what it does not say, or says in another form, is left out.

    Args:
        entry: what is said of one model.
        facts: by name, the readings of a row.
    """
    found = {}
    for name, readings in facts.items():
        values = (_kept(_read(entry, reading), FACTS[name]) for reading in _several(readings))
        if (value := next((it for it in values if it is not None), None)) is not None:
            found[name] = value
    return found


def window_in(params: Mapping[str, Any], row: Mapping[str, Any]) -> int | None:
    """The context window that a request itself has its model loaded with; `None` where it does not, or cannot.

    Args:
        params: its `extra_params`.
        row: of its provider.
    """
    return _kept(_at(params, row["window_at"]), int) if "window_at" in row else None


def _several(readings: Any) -> Sequence[Any]:
    return readings if isinstance(readings, list | tuple) else [readings]


def _kept(value: Any, kind: type) -> Any:
    """The value, if it is of its kind."""
    if kind is int:
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
    if kind is list and isinstance(value, list | tuple):
        return tuple(it for it in value[:_LISTED] if isinstance(it, str) and it.isprintable() and len(it) <= _LISTED)
    return value if kind is bool and isinstance(value, bool) else None


def _read(entry: Mapping[str, Any], reading: str | Mapping[str, Any]) -> Any:
    if isinstance(reading, str):
        return _at(entry, reading)
    value = _at(entry, reading["at"])
    if value is None:
        return None
    if "keys" in reading:
        inner = reading["keys"]
        has = isinstance(value, Mapping)
        return [it for it in _EFFORTS if isinstance(value.get(it), Mapping) and value[it].get(inner)] if has else None
    if "match" in reading:
        found = re.search(reading["match"], value, re.MULTILINE) if isinstance(value, str) else None
        return int(found[1]) if found else None
    said = value in _several(reading["is"]) if "is" in reading else _has(value, reading["has"])
    return said if said or not reading.get("only") else None


def _has(value: Any, words: Any) -> bool | None:
    """Whether a list holds one of the words; `None` of what is no list."""
    return any(word in value for word in _several(words)) if isinstance(value, list) else None


def _at(value: Any, path: str) -> Any:
    """What stands at a path."""
    for key in path.split("/"):
        if not isinstance(value, Mapping):
            return None
        value = next(_under(value, key), None)
    return value


def _under(table: Mapping[str, Any], key: str) -> Iterator[Any]:
    if "*" not in key:
        yield table.get(key)
        return
    yield from (value for it, value in table.items() if isinstance(it, str) and fnmatchcase(it, key))
