"""A comparison of two lockfiles in figures: what each change does to the price of tokens and to the window."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..figures import percent, price, tokens
from ..known import known_of

if TYPE_CHECKING:
    from ...catalog import ModelInfo
    from ...lockfile import Binding, Lockfile
    from .comparing import AliasChange, Comparison, ProfileChange, SettingChange

__all__ = ["FIGURES", "Move", "Priced", "as_data", "details", "key_of_place", "price_changes", "setting_values"]

FIGURES: Mapping[str, tuple[str, Callable[..., str]]] = {
    "input": ("input_price", price),
    "output": ("output_price", price),
    "window": ("context_window", tokens),
}
"""What is compared, by the word for it: the field of what is known of a model, and how it is written."""


@dataclass(frozen=True, slots=True)
class Move:
    """A value on its way, and what there is to say of that. `None` on a side where there was, or is, none."""

    before: str | None
    after: str | None
    note: str = ""

    def __str__(self) -> str:
        moves = None not in (self.before, self.after) and self.before != self.after
        text = f"{self.before} → {self.after}" if moves else str(self.before if self.after is None else self.after)
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True, slots=True)
class Priced:
    """A changed alias, with what is known of the models that served it and that serve it now."""

    change: AliasChange
    before: ModelInfo | None
    after: ModelInfo | None

    @property
    def model(self) -> Move:
        """The model that serves."""
        before, after = (binding.models[0] if binding else None for binding in (self.change.before, self.change.after))
        return Move(before, after)

    def figure(self, name: str) -> Move:
        """One of `FIGURES`, for a million tokens or in tokens; one that is not known says so."""
        field, form = FIGURES[name]
        old, new = (getattr(info, field) if info is not None else None for info in (self.before, self.after))
        before, after = (_shown(info, field, form) for info in (self.before, self.after))
        return Move(before, after, "same" if old is not None and old == new else percent(old, new))


def price_changes(profile: ProfileChange, before: Lockfile | None, after: Lockfile) -> list[Priced]:
    """A profile's changes, each in figures.

    Args:
        profile: what changed in it.
        before, after: the two files, which say where their providers are.
    """
    return [
        Priced(change, _serving(change.before, before), _serving(change.after, after)) for change in profile.aliases
    ]


def details(change: AliasChange) -> Iterator[tuple[str, Move]]:
    """What changed of a binding besides the model that serves: the stand-bys, and each param by its name."""
    old, new = _parts(change.before), _parts(change.after)
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield name, Move(old.get(name, "none"), new.get(name, "none"))


def setting_values(change: SettingChange) -> Move:
    """A setting's values as JSON."""
    before, after = (None if value is None else _json(value) for value in (change.before, change.after))
    return Move(before, after)


def key_of_place(place: tuple[str, ...]) -> str:
    """`providers.groq.base_url`: the keys as TOML writes them with dots."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key) for key in place)


def as_data(comparison: Comparison, before: Lockfile | None, after: Lockfile) -> dict[str, Any]:
    """The comparison for `--json`."""
    return {
        "profiles": [
            {
                "name": profile.name,
                "change": profile.kind,
                "aliases": [_alias_data(priced) for priced in price_changes(profile, before, after)],
            }
            for profile in comparison.profiles
        ],
        "settings": [
            {"place": list(it.place), "change": it.kind, "before": it.before, "after": it.after}
            for it in comparison.settings
        ],
    }


def _alias_data(priced: Priced) -> dict[str, Any]:
    change = priced.change
    data: dict[str, Any] = {"alias": change.alias, "change": change.kind}
    for side, binding in (("before", change.before), ("after", change.after)):
        data[side] = binding and {"models": list(binding.models), "params": dict(binding.params)}
    for field, _ in FIGURES.values():
        old, new = (getattr(info, field) if info is not None else None for info in (priced.before, priced.after))
        share = round(100 * (new - old) / old, 4) if old and new is not None else None
        data[field] = {"before": old, "after": new, "percent": share}
    return data


def _serving(binding: Binding | None, lockfile: Lockfile | None) -> ModelInfo | None:
    return known_of(binding.models[0], lockfile) if binding is not None else None


def _shown(info: ModelInfo | None, field: str, form: Callable[..., str]) -> str | None:
    if info is None:
        return None
    is_price = field != "context_window"
    return form(getattr(info, field), unknown="no price" if is_price and info.own_host else "unknown")


def _parts(binding: Binding | None) -> dict[str, str]:
    if binding is None:
        return {}
    parts = {"stand-bys": ", ".join(binding.models[1:])} if binding.models[1:] else {}
    parts |= {name: _json(value) for name, value in binding.params.items()}
    parts |= {name: _json(value) for name, value in binding.extra.items()}
    return parts | ({"constraints": _json(binding.constraints)} if binding.constraints is not None else {})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
