"""Adapter of the `anthropic` SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anthropic

from ..wire.anthropic import MessagesDecoder, render_request
from ..wire.base import Decoder
from .base import Call, ProviderConfig
from .limits import output_limit
from .posting import PostingProvider

__all__ = ["AnthropicProvider"]


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
        limit = output_limit(call, self.name)
        return render_request(call.request, call.model, stream=call.stream, max_tokens=limit, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        return MessagesDecoder(f"{self.name}:{call.model}")
