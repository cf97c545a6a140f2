"""What goes wrong with recordings, and the errors that a recording holds."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from .. import exceptions
from ..exceptions import ConfigurationError, ProviderError

__all__ = ["RecordingError", "RecordingMissError", "error_of", "table_of"]


class RecordingError(ConfigurationError):
    """A recording that cannot be read, or must not be written.

    What to do: mend the file or the line that the message names, or record it anew.
    """


class RecordingMissError(RecordingError):
    """What was asked was never recorded, or has been replayed already.

    What to do: the message shows the nearest recording; record what is missing by `LLMRING_RECORD=missing`.
    """


_KINDS: Mapping[str, type[ProviderError]] = {
    name: kind
    for name in exceptions.__all__
    if isinstance(kind := getattr(exceptions, name), type) and issubclass(kind, ProviderError)
}
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "status_code": int,
    "retry_after": (int, float),
    "parameter": str,
    "by_header": bool,
    "out_of_credit": bool,
    "asked": bool,
}
"""What is kept of an error beside its words. Not the id of the request: it is a header's, and of no use any more."""


def table_of(error: ProviderError) -> dict[str, Any]:
    """An error as a recording has it."""
    kind = next(it.__name__ for it in type(error).__mro__ if it.__name__ in _KINDS)
    table: dict[str, Any] = {"type": kind, "message": str(error.args[0] if error.args else error)}
    for name in _FIELDS:
        value = getattr(error, name, None)
        if value is not None and value is not getattr(type(error), name, None):
            table[name] = value
    return table


def _is_odd(value: object) -> bool:
    return isinstance(value, int | float) and not 0 <= value < inf


def error_of(table: Mapping[str, Any], reference: str) -> ProviderError:
    """The error that a recording holds.

    Raises:
        ValueError: it holds none of ours; the message says what is wrong.
    """
    kind = _KINDS.get(str(table.get("type")))
    message = table.get("message")
    if kind is None or not isinstance(message, str):
        raise ValueError("its error has no `type` that is one of llmring's, or no `message`")
    provider, _, model = reference.partition(":")
    error = kind(message, provider=provider, model=model or None)
    for name, of in _FIELDS.items():
        value = table.get(name)
        if value is None:
            continue
        if not isinstance(value, of) or (isinstance(value, bool) and of is not bool) or _is_odd(value):
            raise ValueError(f"the `{name}` of its error is of another kind")
        setattr(error, name, value)
    return error
