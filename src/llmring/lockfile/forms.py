"""The form of a value in a lockfile, and the `Misfit` that says which one it should have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import ConfigurationError
from ..references import shown, split_reference
from .model import Misfit

if TYPE_CHECKING:
    from .model import Place

__all__ = ["checked", "kind", "line", "optional", "reference"]

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


def kind(value: Any) -> str:
    """What a value is, in words, as TOML and JSON have them: `"a table"`."""
    return _KINDS.get(type(value), "a date or a time")


def checked(value: Any, wanted: type[_T], name: str, place: Place) -> _T:
    """The value, if it is of the wanted kind; else raises a `Misfit` that calls it by the name."""
    if not isinstance(value, wanted):
        raise Misfit(f"{name} must be {_KINDS[wanted]}, not {kind(value)}", place)
    return value


def optional(value: Any, wanted: type[_T], name: str, place: Place) -> _T | None:
    """The same of a value that may be left out; `null` leaves it out, too."""
    """The same of a value that may be left out; `null` leaves it out, too."""
    return None if value is None else checked(value, wanted, name, place)


def reference(value: Any, place: Place) -> str:
    """A `provider:model`."""
    model = checked(value, str, "A model", place)
    try:
        split_reference(model)
    except ConfigurationError as error:
        raise Misfit(str(error), place) from None
    return model


def line(value: Any, name: str, place: Place) -> str | None:
    """A string that goes to a terminal and over the wire as it is, if it is given."""
    if (text := optional(value, str, name, place)) is not None and not text.isprintable():
        raise Misfit(f"{name} holds a character that cannot be seen: {shown(text)}. Take it out", place)
    return text
