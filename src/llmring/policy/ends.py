"""Ends of an answer after which the next model may be asked, as `move_on` has it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..exceptions import ContextLengthError, ProviderResponseError
from ..lockfile.policy import MOVES

if TYPE_CHECKING:
    from ..exceptions import ProviderError
    from ..lockfile.policy import Move
    from ..schemas import LLMResponse

__all__ = ["left", "moves_on"]


def moves_on(error: BaseException, moves: Collection[Move]) -> bool:
    """Whether a failure, which would be the caller's to see, leads to the next model."""
    if isinstance(error, ContextLengthError):
        return "context_length" in moves
    return isinstance(error, ProviderResponseError) and error.filtered and "content_filter" in moves


def left(response: LLMResponse, moves: Collection[Move]) -> ProviderError | None:
    """Why a whole answer is left for the next model's; `None` where it stays."""
    move: Move | None = None
    if response.finish_reason == "content_filter":
        move = "content_filter"
    elif not (response.content.strip() or response.tool_calls or response.parts):
        move = "empty"
    if move is None or move not in moves:
        return None
    provider, _, model = response.model.partition(":")
    return ProviderResponseError(
        f"The answer of {response.model} was left for the next model's: {MOVES[move]} ({move}).",
        provider=provider,
        model=model,
        partial=response,
    )
