"""Whether a request fits into a model's context window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..exceptions import ContextLengthError
from ..schemas import LLMRequest
from .contents import Contents, contents_of
from .counts import TokenCount, measured
from .estimates import Measured, estimate, family_of

__all__ = ["ContextCheck", "Limits", "Window", "check"]


class Limits(NamedTuple):
    """What is known of a model's limits, in tokens.

    Attributes:
        window: of its context; `None` where it is not known.
        source: who says so.
        output: the most that it generates; `None` where it is not known.
    """

    window: int | None = None
    source: str | None = None
    output: int | None = None


@dataclass(frozen=True, slots=True)
class ContextCheck:
    """A request, and the window that it has to fit into. All figures are tokens.

    Attributes:
        count: the request's.
        window: of the model's context; `None` where it is not known, so that nothing can be said.
        source: who says how large the window is.
        room: what is left for the answer, as far as is known.
    """

    count: TokenCount
    window: int | None
    source: str | None
    room: int | None


def check(count: TokenCount, limits: Limits, max_tokens: int | None) -> ContextCheck:
    """Whether a request fits, with the answer that it asks for.

    Args:
        count: its tokens.
        limits: of the model that it was counted for.
        max_tokens: of the answer, if the request says how many.

    Raises:
        ContextLengthError: it does not fit, or leaves no room for such an answer.
    """
    model = count.model.partition(":")[2]
    if limits.window is None:
        return ContextCheck(count, None, None, limits.output)
    shared = family_of(model).shared
    wanted = (max_tokens or 0) if shared else 0
    if count.at_least + wanted > limits.window:
        raise _too_long(count.model, _said(count.tokens, count.at_least, count.exact), limits, wanted)
    left = max(0, limits.window - count.tokens) if shared else limits.output
    room = left if left is None or limits.output is None else min(left, limits.output)
    return ContextCheck(count, limits.window, limits.source, room)


class Window:
    """Refuses a request for the models that certainly cannot take it, by an estimate alone.

    Args:
        limits: of a `provider:model`, as a request has it loaded. It may read files.
    """

    def __init__(self, limits: Callable[[str, LLMRequest], Limits]) -> None:
        self._limits = limits
        self._of: LLMRequest | None = None
        self._contents: Contents
        self._measured: Measured | None = None

    async def refuse(self, reference: str, request: LLMRequest) -> None:
        """Raise where the model's window is too small for the request even by the least that it may have.

        Args:
            reference: the model.
            request: its tools defined, its files read in.

        Raises:
            ContextLengthError: nothing was sent.
        """
        limits = await asyncio.to_thread(self._limits, reference, request)
        if limits.window is None:
            return
        if self._of is not request:
            self._of, self._contents, self._measured = request, contents_of(request), None
        # So most requests are not measured at all. A script of more tokens than characters gets the benefit of it.
        if not self._contents.media and self._contents.characters <= limits.window:
            return
        if self._measured is None:
            self._measured = await measured(self._contents)
        found = estimate(self._measured, family_of(reference.partition(":")[2]))
        if found.at_least > limits.window:
            raise _too_long(reference, _said(found.tokens, found.at_least, exact=False), limits, 0)


def _said(tokens: int, at_least: int, exact: bool) -> str:
    return f"{tokens:,} tokens" if exact else f"about {tokens:,} tokens, at least {at_least:,}"


def _too_long(reference: str, has: str, limits: Limits, wanted: int) -> ContextLengthError:
    provider, _, model = reference.partition(":")
    answer = f", and asks for an answer of up to {wanted:,} (max_tokens)" if wanted else ""
    error = ContextLengthError(
        f"The input does not fit the context window of {reference}, and was not sent: it has {has}{answer}, and the "
        f"window is {limits.window:,} tokens ({limits.source}). Send less, or bind a model with a larger window.",
        provider=provider,
        model=model,
    )
    error.asked = False
    return error
