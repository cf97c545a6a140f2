"""Adapter of the `anthropic` SDK."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import anthropic

from ..catalog.records import max_output_tokens
from ..wire.anthropic import MessagesDecoder, render_request
from ..wire.base import Decoder
from .base import Call, ProviderConfig
from .posting import PostingProvider

__all__ = ["AnthropicProvider"]

logger = logging.getLogger("llmring")

_MAX_TOKENS_UNKNOWN = 4096


class _Elsewhere(anthropic.AsyncAnthropic):
    """The SDK's client for a host that is not Anthropic's: the environment's headers are not for it."""

    def __init__(self, *, default_headers: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(default_headers=default_headers, **options)
        self._custom_headers = default_headers or {}


class AnthropicProvider(PostingProvider):
    """Anthropic's Messages API."""

    sdk = "anthropic"
    path, wire = "/v1/messages", "anthropic"

    def __init__(self, config: ProviderConfig) -> None:
        make = anthropic.AsyncAnthropic if config.name == self.sdk else _Elsewhere
        super().__init__(config, make, anthropic.AsyncStream[object])

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        known = max_output_tokens(call.model)
        asked = call.request
        if known is None and asked.max_tokens is None and "max_tokens" not in asked.extra_params:
            logger.info(
                "%s:%s: sending max_tokens=%d, as this model's own limit is not known; set max_tokens for more",
                *(self.name, call.model, _MAX_TOKENS_UNKNOWN),
            )
        return render_request(
            asked,
            call.model,
            stream=call.stream,
            max_tokens=known or _MAX_TOKENS_UNKNOWN,
            issuer=self.issuer,
        )

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        return MessagesDecoder(f"{self.name}:{call.model}")
