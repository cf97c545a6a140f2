"""What does not fit in the data of a lockfile, and the checks of a value's kind that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .places import Place

__all__ = ["Misfit", "OtherVersion", "checked", "kind", "optional"]

_T = TypeVar("_T")
_KINDS: dict[type, str] = {
    dict: "a table",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Misfit(Exception):
    """Something in the data that does not fit; whoever holds the text says on which line.

    Attributes:
        place: where in the data.
        offset: where in the text, if that is already known.
    """

    def __init__(self, message: str, place: Place = (), *, offset: int | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.offset = offset


class OtherVersion(Misfit):
    """The version of a format that this release does not read."""


def checked(value: Any, wanted: type[_T], name: str, place: Place) -> _T:
    """The value, if it is of the wanted kind; else raises a `Misfit` that calls it by the name."""
    if not isinstance(value, wanted):
        raise Misfit(f"{name} must be {_KINDS[wanted]}, not {kind(value)}", place)
    return value


def optional(value: Any, wanted: type[_T], name: str, place: Place) -> _T | None:
    """As `checked`, where `None` will do as well."""
    return None if value is None else checked(value, wanted, name, place)


def kind(value: Any) -> str:
    """What a value is, in words, as TOML and JSON have them: `"a table"`."""
    return _KINDS.get(type(value), "a date or a time")
