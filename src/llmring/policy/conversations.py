"""Which conversation a request is of, and which model has served it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import to_json

if TYPE_CHECKING:
    from ..schemas import LLMRequest

__all__ = ["Here", "Places", "conversation_of", "value_of"]

_MOST = 4096
"""Conversations that a process remembers."""


class Places(Protocol):
    """Remembers for some time which model a conversation is with."""

    async def get(self, key: str, requests: Mapping[str, LLMRequest], seconds: float) -> str | None:
        """The `provider:model` that was kept under a key last, while its time lasts.

        Args:
            key: tells nothing of what was said.
            requests: what each of those who may serve would be asked, in order: the first may be kept at once, where
                nobody is.
            seconds: for how long then.
        """

    def keep(self, key: str, model: str, seconds: float) -> None:
        """Remember it, from now on. It may take effect a moment later."""


class Here:
    """Remembers it in this process, for as many conversations as fit; who has not come for longest is forgotten first.

    Args:
        most: how many that are.
        clock: seconds, ever increasing.
    """

    def __init__(self, most: int = _MOST, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._of: dict[str, tuple[str, float]] = {}

    async def get(self, key: str, requests: Mapping[str, LLMRequest], seconds: float) -> str | None:
        """See `Places`."""
        model, until = self._of.get(key, (None, 0.0))
        return model if self._clock() < until else None

    def keep(self, key: str, model: str, seconds: float) -> None:
        """See `Places`."""
        # Loops in other threads may be at it, too: each step leaves it whole.
        self._of.pop(key, None)
        self._of[key] = model, self._clock() + seconds
        while len(self._of) > self._most:
            try:
                self._of.pop(next(iter(self._of)), None)
            except (StopIteration, RuntimeError):
                return


def value_of(metadata: Mapping[str, Any], key: str) -> str | None:
    """A value of a request's metadata as text that is the same everywhere; `None` where there is none."""
    value = metadata.get(key)
    if value is None or isinstance(value, str):
        return value
    return _said(value)


def conversation_of(request: LLMRequest) -> str:
    """What tells a request's conversation from others: `metadata["conversation"]`, else what it began with.

    That is all up to the first turn of the user, which stays the same in every request of the conversation. Only a
    digest of it is given.
    """
    if (named := value_of(request.metadata, "conversation")) is not None:
        return f"named:{named}"
    first = next((at for at, it in enumerate(request.messages) if it.role == "user"), len(request.messages) - 1)
    digest = sha256()
    for message in request.messages[: first + 1]:
        content = message.content if isinstance(message.content, str) else _said(message.content)
        digest.update(f"{message.role} {len(content)} {content}".encode(errors="surrogatepass"))
    return f"began:{digest.hexdigest()[:32]}"


def _said(value: Any) -> str:
    """A value as JSON; what JSON cannot say, a file's path among them, by its own words."""
    for say in (_as_json, repr):
        with suppress(ValueError, RecursionError):  # bytes and half characters that are no text, a number without end
            return say(value)
    return type(value).__name__


def _as_json(value: Any) -> str:
    if isinstance(value, int | float):
        return str(value)
    return to_json(value, fallback=str, inf_nan_mode="constants", serialize_unknown=True).decode()
