"""What the last attempt of a request came to: an SDK that tries again by itself does not say.

Time may be up while it waits to try once more, and a refusal may break off before its explanation has come: the
status that was seen is the truth even so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

__all__ = ["Attempts", "Refused", "last_attempt", "observed"]

_REFUSAL = 1024 * 1024
"""Bytes of a refusal that are read. Some repeat the question."""
_HOPS = 5
"""Redirects that are followed."""
_OF_THE_BODY = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers that speak of a body as it was sent."""


class Refused(Exception):
    """An answer that is not a good one.

    Attributes:
        status, headers: of the answer.
        body: all that came of it.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


_failures: ContextVar[list[Exception]] = ContextVar("llmring_failures")
"""At most one. A list, as it can be emptied: connections keep the context that they are opened in."""


@contextmanager
def observed() -> Iterator[None]:
    """Around a request: `last_attempt` speaks of it until it is over."""
    failures: list[Exception] = []
    token = _failures.set(failures)
    try:
        yield
    finally:
        failures.clear()
        # A coroutine that is garbage ends in another context.
        with suppress(ValueError):
            _failures.reset(token)


def last_attempt() -> Exception | None:
    """The failure of the last attempt of the request that is under way."""
    failures = _failures.get(None)
    return failures[-1] if failures else None


class Attempts:
    """Mixed into an HTTP client, of httpx or httpx2: a request that fails leaves its failure in `last_attempt`."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send, and read a refusal to its end, unless that is far."""
        failures = _failures.get(None)
        if failures is None:
            return await self._send(request, **options)
        try:
            response = await self._send(request, **options)
        except Exception as error:
            failures[:] = [error]
            raise
        if response.is_success:
            failures.clear()
            return response
        words = f"{response.status_code} {response.reason_phrase}".strip()
        if response.next_request is not None:
            words += f": it redirects to {response.next_request.url.host}, which is not asked: the key is not for it"
        failures[:] = [Refused(response.status_code, response.headers, words.encode())]
        body, whole = bytearray(), False
        try:
            await _read(response, body)
            whole = True
        finally:
            await response.aclose()
            if (body or whole) and response.next_request is None:
                failures[:] = [Refused(response.status_code, response.headers, bytes(body))]
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
        return type(response)(response.status_code, headers=headers, content=bytes(body), request=response.request)

    async def _send(self, request: Any, **options: Any) -> Any:
        """Send, and follow redirects within the same server: keys and questions are for no other."""
        options["follow_redirects"] = False
        for _ in range(_HOPS):
            response = await super().send(request, **options)  # type: ignore[misc]
            following = response.next_request
            if following is None or not _same_server(request.url, following.url):
                break
            await response.aclose()
            request = following
        return response


def _same_server(here: Any, there: Any) -> bool:
    """Whether both are one server, or the second is the first over TLS. A port of `None` is the scheme's own."""
    upgraded = (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)
    return here.host == there.host and (upgraded or (here.scheme, here.port) == (there.scheme, there.port))


async def _read(response: Any, body: bytearray) -> None:
    """Read the beginning of an answer, as far as it comes."""
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            body += part
            if len(body) >= _REFUSAL:
                del body[_REFUSAL:]
                return
