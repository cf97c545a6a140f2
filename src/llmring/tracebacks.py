"""What an exception shows of the way that it came: nothing of those who had a key in hand.

A traceback holds its frames, and a frame its variables: what writes them down (pytest with -l, Sentry, Rich) writes
down the headers of a request, too. So what leaves llmring leaves without them.
"""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from .exceptions import ProviderError

__all__ = ["bare"]

_Error = TypeVar("_Error", bound=BaseException)

_WITH_KEYS = ("llmring.providers", "llmring.wire", "llmring.credentials", "llmring.lockfile")
"""Our own modules that have keys in hand, or a server's words that repeat them, or a file with one that is none of its
business. All that they call is below them."""
_STRANGERS = frozenset(
    {"openai", "anthropic", "google", "ollama", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "ssl"}
)
"""Packages whose exceptions hold requests."""


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
