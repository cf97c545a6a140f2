"""The other provider: one of Chat Completions, which stands by, and to which a turn is handed over. It needs no SDK."""

from __future__ import annotations

from typing import Any

from ...providers.base import Call
from ...providers.http import HTTPProvider
from ...wire.base import Decoder
from ...wire.openai_chat import ChatDecoder, render_request

__all__ = ["PARTNER", "Partner"]

PARTNER = "partner"
"""Its name, as in `provider:model`."""


class Partner(HTTPProvider):
    """The other provider."""

    def path(self, call: Call) -> str:
        return "/chat/completions"

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")
