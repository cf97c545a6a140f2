"""A lockfile holds no secret: what looks like one, and the refusal of a file that holds it.

Keys are known by their shape (`sk-...`, `AIza...`) anywhere in the text, comments included, and by the name
under which they stand (`api_key = "..."`, an `authorization` header). The error names the place, never the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .places import Misfit, Place

__all__ = ["refuse_secrets", "secrets_in", "shown"]

_SHAPE = re.compile(
    r"(?<![\w-])(?:"
    r"(?:sk|csk|xai|pplx|nvapi)-[\w-]{20,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek, Cerebras, xAI, ...
    r"|AIza[\w-]{30,}|AQ\.[\w-]{30,}"  # Google
    r"|(?:gsk|hf|fw|r8|tgp_v1|ghp|github_pat)_\w{20,}"  # Groq, Hugging Face, Fireworks, Replicate, Together, GitHub
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"  # AWS
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}"  # a JSON web token
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^\s/@:\"'$]+:[^\s/@\"'$]+@"  # a password in an address
    r"|[?&](?:api[-_]?key|key|token|access[-_]token)=[\w.~-]{8,}"  # a key in a query
)
_NAME = re.compile(
    r"(?:.*[_.-])?(?:api[_-]?key|secret[_-]?key|access[_-]?key|private[_-]?key|access[_-]?token|auth[_-]?token"
    r"|api[_-]?token|bearer[_-]?token|client[_-]?secret|password|passwd|authorization)|token|secret|credentials?|cookie",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"(?:\w+ )?(?:\$\w+|\$\{\w+\})")
_ADVICE = (
    "A lockfile is shared and holds no secret: put the key in an environment variable and write that variable's "
    'name here, as in api_key_env = "GROQ_API_KEY". If the file has left this machine, revoke the key.'
)


def secrets_in(data: Any) -> list[Place]:
    """Where parsed data holds what looks like a secret, in order; an empty list where it holds none.

    A reference to an environment variable (`"$NAME"`, `"Bearer ${NAME}"`) is no secret.
    """
    return list(_secrets(data, (), named=False))


def refuse_secrets(text: str, data: Any) -> None:
    """Raises `Misfit`, with the place and without the secret, if the text or the data parsed from it holds one."""
    if match := _SHAPE.search(text):
        raise Misfit(f"This looks like an API key or a password. {_ADVICE}", offset=match.start())
    for place in _secrets(data, (), named=False):
        raise Misfit(f"{_written(place)} looks like a secret. {_ADVICE}", place)


def shown(value: object) -> str:
    """A value as a message quotes it: shortened, and never a key."""
    text = str(value)
    if _SHAPE.search(text):
        return "(a secret, not shown)"
    return f'"{text}"' if len(text) <= 80 else f'"{text[:77]}..."'


def _secrets(value: Any, place: Place, *, named: bool) -> Iterator[Place]:
    if isinstance(value, str):
        if (named and value.strip() and not _VARIABLE.fullmatch(value)) or _SHAPE.search(value):
            yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, (*place, key), named=_NAME.fullmatch(str(key)) is not None)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _secrets(inner, (*place, index), named=named)


def _written(place: Place) -> str:
    return ".".join(str(key) for key in place if isinstance(key, str)) or "This"
