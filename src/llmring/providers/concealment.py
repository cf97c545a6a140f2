"""What may be shown of what came from outside, or went there: servers repeat what they were sent, the key too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..addresses import shown

__all__ = ["SHORTEST", "copied", "without"]

SHORTEST = 8
"""What is shorter is no secret, and may be a word that messages use."""
_OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that speak of a body as it was sent."""
_PUBLIC = frozenset({"accept", "accept-encoding", "content-type", "content-length", "host", "user-agent"})
"""Headers of a request that hold no secret."""
_DEEPEST = 10
"""Exceptions below one another, and tables in tables."""


def without(secrets: Iterable[str], text: str) -> str:
    """The text with these secrets taken out."""
    for secret in secrets:
        text = text.replace(secret, "[key]") if len(secret) >= SHORTEST else text
    return text


def copied(error: BaseException, secrets: Sequence[str], depth: int = _DEEPEST) -> BaseException:
    """A copy of an exception of an SDK, or of the network, that may be kept: of its class, with its words and values.

    It has no frames, its request no header but those that everybody sends, and nothing of it is still open.

    Args:
        error: as it was raised; it stays as it is.
        secrets: what is taken out of its words.
        depth: how many of those that it came of are copied, too.
    """
    made = _made(error, secrets)
    if depth:
        if error.__cause__ is not None:
            made.__cause__ = copied(error.__cause__, secrets, depth - 1)
        elif error.__context__ is not None and not error.__suppress_context__:
            made.__context__ = copied(error.__context__, secrets, depth - 1)
    return made


def _made(error: BaseException, secrets: Sequence[str]) -> BaseException:
    kind = type(error)
    words = [_plain(it, secrets) for it in error.args]
    if isinstance(error, BaseExceptionGroup):
        return error.derive([copied(it, secrets, 1) for it in error.exceptions])
    try:
        made: BaseException = kind(*words) if kind.__module__ == "builtins" else kind.__new__(kind, *words)
        made.args = tuple(words)
        vars(made).update({name: _plain(it, secrets) for name, it in vars(error).items()})
        str(made)
    except Exception:  # whatever a class asks of those who make it
        return Exception(without(secrets, f"{kind.__name__}: {error}"))
    return made


def _plain(value: Any, secrets: Sequence[str], depth: int = _DEEPEST) -> Any:
    """A value that an exception holds, as far as it is one that can be written down; `None` in the place of others."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return without(secrets, value)
    if isinstance(value, bytes):
        return without(secrets, value.decode(errors="replace")).encode()
    if isinstance(value, dict) and depth:
        return {_plain(k, secrets, 0): _plain(it, secrets, depth - 1) for k, it in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [_plain(it, secrets, depth - 1) for it in value]
    # By names, as the SDKs ride httpx and httpx2 alike.
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("httpx", "httpx2"):
        if kind.__name__ == "Request":
            return _request(value, secrets)
        if kind.__name__ == "Response":
            return _response(value, secrets)
    return None


def _request(value: Any, secrets: Sequence[str]) -> Any:
    headers = [(name, without(secrets, it)) for name, it in value.headers.multi_items() if name.lower() in _PUBLIC]
    return type(value)(value.method, shown(without(secrets, str(value.url))), headers=headers)


def _response(value: Any, secrets: Sequence[str]) -> Any:
    headers = value.headers.multi_items()
    try:
        content = _plain(value.content, secrets)
    except Exception:  # it has not been read
        content = b""
    request = getattr(value, "_request", None)
    return type(value)(
        value.status_code,
        headers=[(name, without(secrets, it)) for name, it in headers if name.lower() not in _OF_THE_BODY],
        content=content,
        request=_request(request, secrets) if request is not None else None,
    )
