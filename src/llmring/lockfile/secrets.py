"""A lockfile holds no secret: what looks like one, and the refusal of a file that holds it.

Keys are known by their shape (`sk-...`, `AIza...`) anywhere in the text, comments included, and by the name under
which they stand (`api_key = "..."`). In headers more names tell of one (`X-Token`), and so does a scheme (`Bearer`). In
a `base_url`, whatever stands before the host is one.
The error names the place, never the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..addresses import without_login
from ..references import KEY_SHAPE, escaped, is_header_value
from .model import Misfit, Place

__all__ = ["refuse_secrets", "secrets_in"]

_NAME = re.compile(
    r".*(?:api|secret|access|private|account|subscription|functions)[_-]?key"
    r"|.*(?:access|auth|api|bearer|session|refresh)[_-]?token|(?:x[_-])?token"
    r"|.*(?:secret|password|passwd|passphrase|authorization|cookie)|credentials?",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(
    r".*(?:token|secret|auth|authorization|cookie|password|passwd|passphrase|credentials?)"
    r"|(?:.*(?:[_.-]|api|app|auth|access))?key",
    re.IGNORECASE,
)
_HEADERS = re.compile(r"(?:.*[_-])?headers", re.IGNORECASE)
_IN_HEADER = re.compile(r"(?:bearer|basic|token|api-?key) +(?!\$$)\S+", re.IGNORECASE)
_VARIABLE = r"(?:[A-Za-z-]+ )?(?:[\w-]+=)?\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})"
_VARIABLES = re.compile(rf"{_VARIABLE}(?:; *{_VARIABLE})*", re.ASCII)
_ADVICE = (
    "A lockfile is shared and holds no secret: put the key in an environment variable and write that variable's "
    'name here, as in api_key_env = "GROQ_API_KEY". If the file has left this machine, revoke the key.'
)


def secrets_in(data: Any) -> list[Place]:
    """Where parsed data holds what looks like a secret, in order; an empty list where it holds none.

    A reference to an environment variable (`"$NAME"`, `"Bearer ${NAME}"`) is no secret.
    """
    return list(_secrets(data, ()))


def refuse_secrets(text: str, data: Any) -> None:
    """Raises `Misfit`, with the place and without the secret, if the text or the data parsed from it holds one."""
    if match := KEY_SHAPE.search(text):
        raise Misfit(f"This looks like an API key or a password. {_ADVICE}", offset=match.start())
    for place in _secrets(data, ()):
        raise Misfit(f"{_written(place)} looks like a secret. {_ADVICE}", place)


def _secrets(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, str):
        if value.strip() and not _VARIABLES.fullmatch(value) and _is_secret(value, place):
            yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _secrets(inner, (*place, index))


def _is_secret(value: str, place: Place) -> bool:
    name, *above = [key for key in reversed(place) if isinstance(key, str)] or [""]
    if above and _HEADERS.fullmatch(above[0]) and (_HEADER_NAME.fullmatch(name) or _IN_HEADER.fullmatch(value)):
        return True
    if name == "base_url" and (login := without_login(value)[1]) is not None and "$" not in login:
        return True
    return bool(_NAME.fullmatch(name) or is_header_value(value) or KEY_SHAPE.search(value))


def _written(place: Place) -> str:
    return ".".join(escaped(key) for key in place if isinstance(key, str)) or "This"
