"""What is known of vendors and of models, as the data files of the package have it, each row with where it is from.

A file is read when something in it is first asked for. They are written by hand, and `tests/test_data.py` says what may
stand in them. A provider that needs no declaration is a row of `vendors.json`: four SDKs, and the vendors and servers
that one of them speaks to. `[providers.NAME]` in a lockfile overrides any field of it.
"""

from __future__ import annotations

import json  # and not pydantic's parser: importing that takes longer than all of this, and Tab waits for it
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import Any, TypeVar

__all__ = ["ALSO_CALLED", "BUILT_IN", "SDKS", "BuiltIn", "also_called", "load", "of_vendors"]

_Value = TypeVar("_Value")


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
        section: of `vendors.json`: `"provider"`, how it is reached; `"chat"`, its ways of Chat Completions; `"prices"`,
            how it is found on price lists; `"parameters"`, its words for those of a request; `"words"`, what its words
            mean; `"statuses"`, which statuses they stand for. Of `catalog/models.json`: `"roles"`, `"limits"`,
            `"retired"`.
        file: which one.
    """
    return {name: row[section] for name, row in load(file).items() if section in row}


@cache
def also_called() -> Mapping[str, str]:
    """What people call the vendors, too: their names here by the others."""
    return {other: name for name, row in of_vendors("provider").items() for other in row.get("also_called", ())}


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A provider that needs no declaration.

    Attributes:
        package: the SDK's own package, as pip knows it.
        module, adapter: where its adapter is.
        key_variables, address_variables: the environment variables that may hold the key and the base URL.
        header_variable: the one that holds headers, a line each, which the SDK sends with every request.
        needs_key: whether it is of any use without a key.
        base_url: where it is; `None` where that is the SDK's own knowledge, or the environment's.
        home: where the SDK goes if it is told nothing; `None` for what is no SDK.
        address_path: what follows the value of an address variable.
        port, cloud: for an address that names no scheme (`addresses.completed`); `None` where it needs one.
        hosts: further hosts that are the vendor's own, with all that is below them.
        local: whether it is a server of one's own, with models that nobody bills for.
        start, fetch: the command that starts such a server, and the one that gets it a model, whose name follows.
        lists_to_all: whether it lists its models to anybody, so that the listing proves no key.
    """

    package: str
    module: str
    adapter: str
    key_variables: tuple[str, ...] = ()
    address_variables: tuple[str, ...] = ()
    header_variable: str | None = None
    needs_key: bool = True
    base_url: str | None = None
    home: str | None = None
    address_path: str = ""
    port: int | None = None
    cloud: str = ""
    hosts: tuple[str, ...] = ()
    local: bool = False
    start: str = ""
    fetch: str = ""
    lists_to_all: bool = False


class _Table(Mapping[str, _Value]):
    """A table that is read when something is first looked up in it."""

    def __init__(self, read: Callable[[], Mapping[str, _Value]]) -> None:
        self._read = cache(read)

    def __getitem__(self, name: str) -> _Value:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def _built_in() -> dict[str, BuiltIn]:
    rows = of_vendors("provider")
    return {name: _row(row, row.get("sdk", name), rows[row.get("sdk", name)]) for name, row in rows.items()}


def _row(row: Mapping[str, Any], module: str, sdk: Mapping[str, Any]) -> BuiltIn:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    for others in ("source", "also_called", "sdk"):
        fields.pop(others, None)
    return BuiltIn(**{**fields, "package": sdk["package"], "module": module, "adapter": sdk["adapter"]})


BUILT_IN: Mapping[str, BuiltIn] = _Table(_built_in)
"""By the name that `provider:model` begins with."""

SDKS: Mapping[str, BuiltIn] = _Table(lambda: {name: it for name, it in BUILT_IN.items() if it.module == name})
"""Those that have an SDK of their own; what `sdk` in a lockfile may name."""

ALSO_CALLED: Mapping[str, str] = _Table(also_called)
"""What people call them, too."""
