"""Prices, models and their ends of the tests' own, in the place of what the installed packages say today.

`recorded.json` was taken from `genai-prices` and the SDKs in November 2026, all ends to come put off by sixty years.
What a package says tomorrow changes nothing here; tests marked `latest` look at the installed ones.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from llmring.catalog import records

__all__ = ["forget", "in_place", "installed", "use"]

in_place: set[str] = set()
"""Packages whose installed files are read all the same: those that a test has put in place."""

_CLAUSES: Any = {
    "equals": types.ClauseEquals,
    "starts_with": types.ClauseStartsWith,
    "ends_with": types.ClauseEndsWith,
    "contains": types.ClauseContains,
    "regex": types.ClauseRegex,
}
_read = records._text


def use() -> None:
    """Have the catalogue read what is recorded."""
    set_custom_snapshot(_snapshot())
    vars(records)["_text"] = _text
    forget()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Have it read what is installed."""
    set_custom_snapshot(None)
    vars(records)["_text"] = _read
    forget()
    yield
    use()


def forget() -> None:
    """Forget what was read of the SDKs' files."""
    records.announced_ends.cache_clear()
    records.listed_models.cache_clear()


@cache
def _recorded() -> Any:
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"), parse_float=Decimal)


@cache
def _snapshot() -> DataSnapshot:
    return DataSnapshot(
        [
            types.Provider(
                id=name, name=name, api_pattern=it["api_pattern"], models=[_model(**m) for m in it["models"]]
            )
            for name, it in _recorded()["prices"].items()
        ],
        from_auto_update=False,
    )


def _model(id: str, prices: dict[str, Any], match: Any = None, **more: Any) -> types.ModelInfo:
    by_kind: Any = {kind: _price(it) for kind, it in prices.items()}
    return types.ModelInfo(id=id, match=_clause(match or {"equals": id}), prices=types.ModelPrice(**by_kind), **more)


def _clause(clause: dict[str, Any]) -> Any:
    ((kind, it),) = clause.items()
    if kind == "or":
        return types.ClauseOr(or_=[_clause(one) for one in it])
    if kind == "and":
        return types.ClauseAnd(and_=[_clause(one) for one in it])
    return _CLAUSES[kind](it)


def _price(price: Any) -> Any:
    if not isinstance(price, dict):
        return Decimal(price)
    tiers = [types.Tier(start=start, price=Decimal(it)) for start, it in price["tiers"]]
    return types.TieredPrices(base=Decimal(price["base"]), tiers=tiers)


def _text(package: str, file: str) -> str:
    """A file of an SDK as it would be, did the SDK know what is recorded."""
    if package in in_place:
        return _read(package, file)
    ends = _recorded()["ends"].get(package, {})
    if file == "_data/deprecated_models.py":
        days = {name: date.fromisoformat(day) for name, day in ends.items()}
        return f"DEPRECATED_MODELS = { {name: f'{day:%B} {day.day}th, {day.year}' for name, day in days.items()} }"
    names = "".join(f'    "{name}",\n' for name in _recorded()["listed"].get(package, ()))
    notes = "".join(f'- "{name}": Announced shutdown date: {day}.\n' for name, day in ends.items())
    return f'Model = Literal[\n{names}]\n"""{notes}"""\n'
