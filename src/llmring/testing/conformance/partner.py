"""The other provider: one of Chat Completions, which stands by, and to which a turn is handed over. It needs no SDK."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...providers.base import Call, Provider, ProviderConfig
from ...providers.http import HTTPProvider
from ...wire.base import Decoder
from ...wire.openai_chat import ChatDecoder, render_request

__all__ = ["PARTNER", "partner"]

PARTNER = "partner"
"""Its name, as in `provider:model`."""


class _Partner(HTTPProvider):
    def path(self, call: Call) -> str:
        return "/chat/completions"

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")


def partner(url: str) -> Callable[[ProviderConfig], Provider]:
    """What makes the provider, at a practice server."""
    return lambda config: _Partner(replace(config, base_url=f"{url}/v1"))
