"""One request of ours on its way through an SDK.

The SDK's method is called as anyone would call it, but with next to nothing to send. The HTTP client underneath is
ours, and sends the body that was rendered: it need not be walked, copied and encoded once more. Where an SDK has no
raw stream in public, the client also keeps the answer for us and gives the SDK an empty one. Address, key, headers and
retries stay the SDK's, and outside an exchange the client is as any other.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any
from weakref import ref

import httpx2

from .attempts import Attempts
from .base import HTTPResponse

__all__ = ["Exchange", "Exchanging", "under_way"]


class Exchange:
    """The body to send in place of the SDK's, as an async context around the SDK's call.

    Args:
        body: JSON.
        timeout: seconds to wait for a free connection.
        keep: whether to keep the answer from the SDK.

    Attributes:
        response: the answer that was kept.
        sent: whether the SDK has sent through our client.
    """

    __slots__ = ("__weakref__", "_keep", "_timeout", "_token", "body", "response", "sent")

    def __init__(self, body: bytes, timeout: float | None, *, keep: bool = False) -> None:
        self.body = body
        self.response: HTTPResponse | None = None
        self.sent = False
        self._keep = keep
        self._timeout = timeout

    async def __aenter__(self) -> Exchange:
        self._token: Token[ref[Exchange] | None] = _current.set(ref(self))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A coroutine that is garbage ends in another context.
        with suppress(ValueError):
            _current.reset(self._token)
        if kind is not None and self.response is not None:
            await self.response.aclose()
        if kind is None and not self.sent:
            raise RuntimeError(
                "this version of the SDK does not send through the HTTP client that it is given. Install an earlier one"
            )

    def request(self, theirs: Any, url: Any) -> httpx2.Request:
        """The SDK's request with our body, as httpx2 has it, to the same URL."""
        self.sent = True
        headers = httpx2.Headers(theirs.headers.raw)
        headers["content-length"] = str(len(self.body))
        timeout: dict[str, float | None] = dict.fromkeys(("connect", "read", "write", "pool"))
        if self._timeout is not None:
            # Time is kept above. Only the wait for a free connection ends here, to be told from silence.
            timeout["pool"] = 0.9 * self._timeout
        extensions = {**theirs.extensions, "timeout": timeout}
        return httpx2.Request(theirs.method, url, headers=headers, content=self.body, extensions=extensions)

    def answer(self, response: Any, request: Any) -> Any:
        """What the SDK gets to see of an answer."""
        if not self._keep or not response.is_success:
            return response
        self.response = response
        return type(response)(200, content=b"", request=request)


_current: ContextVar[ref[Exchange] | None] = ContextVar("llmring_exchange", default=None)
"""Weakly, as a connection that is opened in an exchange keeps its context for as long as it lives."""


def under_way() -> Exchange | None:
    """The exchange that a request now made belongs to."""
    reference = _current.get()
    return reference() if reference is not None else None


class Exchanging(Attempts):
    """Mixed into an HTTP client: it takes part in the exchange that is under way, if one is."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send, in an exchange what is to be sent in place of this."""
        if (exchange := under_way()) is None:
            return await super().send(request, **options)
        if exchange._keep:
            options["stream"] = True
        return exchange.answer(await self.carry(exchange, request, **options), request)

    async def carry(self, exchange: Exchange, request: Any, **options: Any) -> Any:
        """Send the request of an exchange."""
        return await super().send(exchange.request(request, request.url), **options)
