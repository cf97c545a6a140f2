"""A request's tokens: counted by its provider where it can, else estimated, with why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from ..providers import counting
from .contents import Contents, contents_of
from .estimates import Measured, estimate, family_of
from .tokenizers import Tokenizers, Unavailable

if TYPE_CHECKING:
    from ..providers.base import Call, Provider

__all__ = ["TokenCount", "TokenCounter", "measured"]

_AT_ONCE = 20_000
"""Characters that are measured on the event loop."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens a request's input has.

    Attributes:
        model: the `provider:model` that it was counted for.
        tokens: all of the input, tools and system messages included.
        exact: whether the provider has counted them; else it is an estimate.
        source: whose count it is: `"provider"`, or an estimate by `"tiktoken"` or by its `"characters"`.
        at_least, at_most: between which the provider's count is, nearly always; `None` where nobody can say how many
            more there are, as with documents by address. Of an exact one, its `tokens`.
        reason: why it is an estimate; `None` where it is none.
    """

    model: str
    tokens: int
    exact: bool
    source: Literal["provider", "tiktoken", "characters"]
    at_least: int
    at_most: int | None
    reason: str | None = None


class TokenCounter:
    """Counts the tokens of requests; for the life of a service."""

    def __init__(self) -> None:
        self._tokenizers = Tokenizers()
        self._missing: WeakKeyDictionary[Provider, str] = WeakKeyDictionary()

    async def count(self, provider: Provider, call: Call) -> TokenCount:
        """How many tokens a request's input has.

        Args:
            provider, call: who is asked, and for what.

        Raises:
            ProviderError: as the request itself would.
        """
        model, contents = f"{provider.name}:{call.model}", contents_of(call.request)
        try:
            if (why := self._missing.get(provider)) is not None:
                raise counting.Uncounted(why)
            tokens = await counting.count(provider, call, media=bool(contents.media))
        except counting.Uncounted as uncounted:
            if isinstance(uncounted, counting.Missing):
                self._missing[provider] = str(uncounted)
            reason = f"{provider.name} {uncounted}"
        else:
            return TokenCount(model, tokens, True, "provider", tokens, tokens)
        family, by_tokenizer = family_of(call.model), None
        found = await measured(contents)
        if family.tokenizer:
            try:
                by_tokenizer = await self._by_tokenizer(contents, call)
            except Unavailable as unavailable:
                reason += f"; {unavailable}" * bool(unavailable.args)
        guess = estimate(found, family, by_tokenizer)
        source: Literal["tiktoken", "characters"] = "characters" if by_tokenizer is None else "tiktoken"
        return TokenCount(model, guess.tokens, False, source, guess.at_least, guess.at_most, reason)

    async def _by_tokenizer(self, contents: Contents, call: Call) -> tuple[int, int, int]:
        texts = [*contents.texts, *contents.tools, contents.form]
        found = await self._tokenizers.count(call.model, texts, call.timeout)
        said, tools = len(contents.texts), len(contents.tools)
        return sum(found[:said]), sum(found[said : said + tools]), found[-1]


async def measured(contents: Contents) -> Measured:
    """The contents, measured; in a thread where there is much of them."""
    if contents.characters <= _AT_ONCE:
        return Measured.of(contents)
    return await asyncio.to_thread(Measured.of, contents)
