"""Who travels: one thin adapter for each official SDK, found by name and imported on first use; and what others write.

**A vendor that speaks a known format** is data, a `Dialect`:

    llmring.register("acme", Dialect(
        "acme", sdk="openai", base_url="https://api.acme.example/v1", key_variables=["ACME_API_KEY"],
        chat=ChatDialect(max_tokens="max_completion_tokens"),
        words=[Words("no_model", words=["we serve no model"])],
    ))

**One of another format** is a class, derived from `HTTPProvider`, or from `Provider` where there is an SDK for it:

    class Acme(HTTPProvider):
        dialect = Dialect("acme", base_url="https://api.acme.example", key_variables=["ACME_API_KEY"])

        def path(self, call):                # where a request is posted
            return "/v1/answers"

        def render(self, call):              # the body, as what JSON knows: call.request, call.model, call.stream
            return {"model": call.model, "turns": [...]}

        def decoder(self, call):             # what reads the answer: a Decoder of yours
            return AcmeDecoder(f"{self.name}:{call.model}")

What a class may say and do is on `Provider`: `sdk`, `dialect`, `client`, `render`, `decoder`, `send`, `close`. The base
gives the key (argument, environment, keyring), errors, timeouts, retries and the circuit breaker, and keeps the key out
of whatever is shown.

A `Decoder` says how bytes become events (`frames`: `SSEFrames`, `NamedSSEFrames`, `LineFrames`), and makes chunks of
them: `feed` of one event, `feed_answer` of an answer that was not streamed. It builds calls with `self.calls`
(`ToolCalls`), says usage with `usage_of`, and raises `WireError` for what the provider says has failed.

**Where they are known**: `LLMRing.register_provider(name, it)` in one service, `llmring.register(name, it)` in all of a
process, and the entry-point group `llmring.providers` for whoever installs a package. `[providers.X] sdk = "acme"` in
a lockfile means such a kind, too.

**Without a service** and a lockfile, any of them, a built-in one too, is asked by itself:

    async with make_provider("groq") as provider:      # or make_provider(Acme), make_provider(Dialect(...))
        response = await provider.chat(request)
        async for chunk in provider.stream(request):
            ...

Importing this imports next to nothing: each name is loaded when it is first used, and no SDK by any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from ..credentials import reveal
    from ..dialects import ChatDialect, Dialect, Words
    from ..schemas import StreamChunk
    from ..wire.base import Decoder
    from ..wire.calls import ToolCalls
    from ..wire.errors import CannotCarry, WireError, read_error
    from ..wire.framing import LineFrames, SSEFrames
    from ..wire.media import Media, of_part
    from ..wire.named_events import NamedSSEFrames
    from ..wire.told_calls import ToldCalls, reader_of, request_in_words
    from ..wire.turns import (
        arguments_of,
        call_ids,
        json_instruction,
        kept_of,
        plain_text,
        schema_instruction,
        schema_of,
    )
    from ..wire.values import as_list, merge_params, present, text, usage_of
    from .alone import make_provider
    from .base import Call, HTTPResponse, Provider
    from .config import ProviderConfig
    from .errors import Refused
    from .http import HTTPProvider
    from .kinds import register, unregister
    from .limits import output_limit
    from .listing import ListedModel

__all__ = [
    "Call",
    "CannotCarry",
    "ChatDialect",
    "Decoder",
    "Dialect",
    "HTTPProvider",
    "HTTPResponse",
    "LineFrames",
    "ListedModel",
    "Media",
    "NamedSSEFrames",
    "Provider",
    "ProviderConfig",
    "Refused",
    "SSEFrames",
    "StreamChunk",
    "ToldCalls",
    "ToolCalls",
    "WireError",
    "Words",
    "arguments_of",
    "as_list",
    "call_ids",
    "json_instruction",
    "kept_of",
    "make_provider",
    "merge_params",
    "of_part",
    "output_limit",
    "plain_text",
    "present",
    "read_error",
    "reader_of",
    "register",
    "request_in_words",
    "reveal",
    "schema_instruction",
    "schema_of",
    "text",
    "unregister",
    "usage_of",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            ".credentials": ("reveal",),
            ".dialects": ("ChatDialect", "Dialect", "Words"),
            ".schemas": ("StreamChunk",),
            ".wire.base": ("Decoder",),
            ".wire.calls": ("ToolCalls",),
            ".wire.errors": ("CannotCarry", "WireError", "read_error"),
            ".wire.framing": ("LineFrames", "SSEFrames"),
            ".wire.media": ("Media", "of_part"),
            ".wire.named_events": ("NamedSSEFrames",),
            ".wire.told_calls": ("ToldCalls", "reader_of", "request_in_words"),
            ".wire.turns": (
                *("arguments_of", "call_ids", "json_instruction", "kept_of"),
                *("plain_text", "schema_instruction", "schema_of"),
            ),
            ".wire.values": ("as_list", "merge_params", "present", "text", "usage_of"),
            "alone": ("make_provider",),
            "base": ("Call", "HTTPResponse", "Provider"),
            "config": ("ProviderConfig",),
            "errors": ("Refused",),
            "http": ("HTTPProvider",),
            "kinds": ("register", "unregister"),
            "limits": ("output_limit",),
            "listing": ("ListedModel",),
        },
        later=(
            "base",
            "counting",
            "creation",
            "describing",
            "endpoints",
            "environment",
            "errors",
            "kinds",
            "listing",
            "reading",
            "registry",
        ),
    )
