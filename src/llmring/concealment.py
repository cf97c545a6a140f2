"""What may be shown of what came from outside, or went there, and of the way that an exception came.

Servers repeat what they were sent, the key too. A traceback holds its frames, and a frame its variables: what writes
them down (pytest with -l, Sentry, Rich) writes down the headers of a request, too. So what leaves llmring leaves
without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from .addresses import shown
from .credentials import PUBLIC
from .exceptions import ProviderError

__all__ = ["OF_THE_BODY", "SHORTEST", "bare", "clean", "copied", "without"]

_Error = TypeVar("_Error", bound=BaseException)

_WITH_KEYS = (
    *("llmring.answer", "llmring.providers", "llmring.wire", "llmring.credentials", "llmring.lockfile"),
    "llmring.files",
)
"""Our own modules that have keys in hand, or a server's words that repeat them, or a file with one that is none of its
business. All that they call is below them."""
_STRANGERS = frozenset(
    {"openai", "anthropic", "google", "ollama", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "ssl"}
)
"""Packages whose exceptions hold requests."""

SHORTEST = 8
"""What is shorter is no secret, and may be a word that messages use."""
OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that speak of a body as it was sent."""
_DEEPEST = 10
"""Exceptions below one another, and tables in tables."""


def bare(error: _Error) -> _Error:
    """The same exception, to be raised or kept: without frames that may hold a key, and exceptions that may.

    Its traceback ends where it enters a module that has keys in hand. Of what it came of, only what is neither an SDK's
    nor the network's stays; a `ProviderError` says that in `original`.
    """
    below: list[BaseException] = [error]
    seen: set[int] = set()
    while below:
        one = below.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _entered(one.__traceback__)
        says_it_itself = isinstance(one, ProviderError)
        if one.__cause__ is not None and (says_it_itself or _is_strange(one.__cause__)):
            one.__cause__ = None
        if one.__context__ is not None and (says_it_itself or one.__suppress_context__ or _is_strange(one.__context__)):
            one.__context__ = None
        if isinstance(one, ProviderError):
            below += one.attempts
            if one.original is not None:
                below.append(one.original)
        if isinstance(one, BaseExceptionGroup):
            below += one.exceptions
        below += [it for it in (one.__cause__, one.__context__) if it is not None]
    return error


def _entered(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback up to where it enters a module that has keys in hand; `None` where it begins there."""
    if traceback is None or _has_keys(traceback):
        return None
    last = traceback
    while last.tb_next is not None:
        if _has_keys(last.tb_next):
            last.tb_next = None
        else:
            last = last.tb_next
    return traceback


def _has_keys(traceback: TracebackType) -> bool:
    return str(traceback.tb_frame.f_globals.get("__name__", "")).startswith(_WITH_KEYS)


def _is_strange(error: BaseException) -> bool:
    module = type(error).__module__
    return module.startswith(_WITH_KEYS) or module.partition(".")[0] in _STRANGERS


def without(secrets: Iterable[str], text: str) -> str:
    """The text with these secrets taken out."""
    for secret in secrets:
        text = text.replace(secret, "[key]") if len(secret) >= SHORTEST else text
    return text


def clean(error: BaseException, secrets: Sequence[str]) -> None:
    """Take these secrets out of what an error of ours says, and holds."""
    error.args = tuple(_cleaned(secrets, arg) for arg in error.args)
    vars(error).update({name: _cleaned(secrets, value) for name, value in vars(error).items()})
    if isinstance(error, ProviderError) and error.original is not None:
        error.original = copied(error.original, secrets)


def _cleaned(secrets: Sequence[str], value: Any) -> Any:
    """A value that an exception holds; what is parsed of an answer becomes words if it holds a secret."""
    if isinstance(value, str):
        return without(secrets, value)
    if isinstance(value, dict | list | bytes) and any(secret in repr(value) for secret in secrets):
        return without(secrets, repr(value))
    return value


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
    headers = [(name, without(secrets, it)) for name, it in value.headers.multi_items() if name.lower() in PUBLIC]
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
        headers=[(name, without(secrets, it)) for name, it in headers if name.lower() not in OF_THE_BODY],
        content=content,
        request=_request(request, secrets) if request is not None else None,
    )
