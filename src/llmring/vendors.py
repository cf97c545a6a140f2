"""What is known of vendors and of models, as the data files of the package have it, each row with where it is from.

A file is read when something in it is first asked for. They are written by hand, and `tests/test_data.py` says what may
stand in them. A row of `vendors.json` is a `Dialect`, and what the catalogue knows of the vendor beside it. One that
names its `sdk` is a provider that needs no declaration: four SDKs, and the vendors and servers that one of them speaks
to.
`[providers.NAME]` in a lockfile overrides any field of it.
"""

from __future__ import annotations

import json  # and not pydantic's parser: importing that takes longer than all of this, and Tab waits for it
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pkgutil import get_data
from typing import Any, TypeVar

from .dialects import Dialect

__all__ = ["ALSO_CALLED", "BUILT_IN", "FACTS", "SDKS", "VENDORS", "also_called", "load", "of_vendors"]

_Value = TypeVar("_Value")

_OTHERS = ("prices", "capabilities", "counting", "files", "batch")
"""Parts of a row that are none of a dialect's."""

FACTS: Mapping[str, type] = {
    "streaming": bool,
    "tools": bool,
    "parallel_tools": bool,
    "images": bool,
    "documents": bool,
    "audio": bool,
    "structured_output": bool,
    "reasoning": bool,
    "reasoning_efforts": list,
    "context_window": int,
    "max_output_tokens": int,
    "refused_parameters": list,
}
"""What may be said of a model, wherever that is said, and of which kind it is; lists are of text. What each means, says
`capabilities.Capabilities`."""


@cache
def load(name: str) -> Mapping[str, Any]:
    """What a file says; nobody may change it.

    Args:
        name: its path below the package (`"vendors.json"`).
    """
    # Not by its path: the package may lie in a zip file.
    loaded: Mapping[str, Any] = json.loads(get_data("llmring", name) or b"{}")
    return loaded


def of_vendors(section: str, file: str = "vendors.json") -> Mapping[str, Any]:
    """One section of a file, by vendor; those that have none are left out.

    Args:
        section: of `vendors.json`: `"prices"`, how it is found on price lists, `"capabilities"`, where it says what its
        models can do, `"counting"`, where it counts tokens, `"files"`, where it keeps files, `"batch"`, how it takes
        batches, or a field of a `Dialect` as it is written. Of `catalog/models.json`: `"roles"`, `"limits"`,
        `"abilities"`, `"retired"`.
        file: which one.
    """
    return {name: row[section] for name, row in load(file).items() if section in row}


@cache
def also_called() -> Mapping[str, str]:
    """What people call the vendors, too: their names here by the others."""
    return {other: name for name, others in of_vendors("also_called").items() for other in others}


class _Table(Mapping[str, _Value]):
    """A table whose names are read when one is first asked for, and each row when it is first looked up."""

    def __init__(self, names: Callable[[], Iterable[str]], row: Callable[[str], _Value]) -> None:
        self._names = cache(lambda: dict.fromkeys(names()))
        self._row = cache(row)

    def __getitem__(self, name: str) -> _Value:
        if name not in self._names():
            raise KeyError(name)
        return self._row(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


@cache
def _dialect(name: str) -> Dialect:
    row = load("vendors.json")[name]
    return Dialect.from_data(name, {key: value for key, value in row.items() if key not in _OTHERS})


def _reached() -> list[str]:
    return [name for name, row in load("vendors.json").items() if "sdk" in row]


def _sdks() -> list[str]:
    return [name for name, row in load("vendors.json").items() if row.get("sdk") == name]


VENDORS: Mapping[str, Dialect] = _Table(lambda: load("vendors.json"), _dialect)
"""All that are known, those too of which there are only ways and words."""

BUILT_IN: Mapping[str, Dialect] = _Table(_reached, _dialect)
"""Providers that need no declaration, by the name that `provider:model` begins with."""

SDKS: Mapping[str, Dialect] = _Table(_sdks, _dialect)
"""Those that have an SDK of their own; what `sdk` in a lockfile may name."""

ALSO_CALLED: Mapping[str, str] = _Table(also_called, lambda name: also_called()[name])
"""What people call them, too."""
