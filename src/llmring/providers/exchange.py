"""One request of ours on its way through an SDK.

The SDK's method is called as anyone would call it, but with next to nothing to send. The HTTP client underneath is
ours, and sends the body that was rendered: it need not be walked, copied and encoded once more. Where an SDK has no
raw stream in public, the client also keeps the answer for us and gives the SDK an empty one. Address, key and headers
stay the SDK's, and outside an exchange the client is as any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing, suppress
from contextvars import ContextVar, Token
from typing import Any, ClassVar
from weakref import ref

import httpx2

from .base import HTTPResponse
from .errors import Refused
from .unpacking import ENCODINGS, PackedBodyError, unpacked

__all__ = ["Exchange", "Exchanging", "keep_at_home", "under_way"]

_SOONER = 0.9
"""The part of the time left after which a wait ends here: whoever keeps the time knows not what was waited for."""
_REFUSAL = 1024 * 1024
"""Bytes of a refusal that are read. Some repeat the question."""
_HOPS = 5
"""Redirects that are followed."""
_REPEATS = (307, 308)
"""Redirects that repeat a request as it was (RFC 9110, 15.4). Of a POST, the others make a GET without its body."""
_KEYS = frozenset({"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key"})
_EVERYBODYS = frozenset({"accept", "accept-encoding", "connection", "content-type", "host", "user-agent"})
_OF_THE_BODY = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers that speak of a body as it was sent."""


class Exchange:
    """The body to send in place of the SDK's, as an async context around the SDK's call.

    A refusal ends it in `Refused`, with what the SDK makes of it as its cause.

    Args:
        body: JSON.
        until: when the answer must have begun, in the loop's time; `None` waits forever.
        keep: whether to keep the answer from the SDK.

    Attributes:
        response: the answer that was kept.
        refused: what came instead of a good answer.
        sent: whether the SDK has sent through our client.
    """

    __slots__ = ("__weakref__", "_token", "_until", "body", "keep", "refused", "response", "sent")

    def __init__(self, body: bytes, until: float | None, *, keep: bool = False) -> None:
        self.body = body
        self.response: HTTPResponse | None = None
        self.refused: Refused | None = None
        self.sent = False
        self.keep = keep
        self._until = until

    async def __aenter__(self) -> Exchange:
        self._token: Token[ref[Exchange] | None] = _current.set(ref(self))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        # A coroutine that is garbage ends in another context.
        with suppress(ValueError):
            _current.reset(self._token)
        if kind is not None and self.response is not None:
            await self.response.aclose()
        if isinstance(error, Exception) and self.refused is not None:
            raise self.refused from error
        if not self.sent and (error is None or _is_answered(error)):
            raise RuntimeError(
                "this version of the SDK does not send through the HTTP client that it is given. Install an earlier one"
            ) from None

    def request(self, theirs: Any, url: Any) -> httpx2.Request:
        """The SDK's request with our body, as httpx2 has it, to the same URL."""
        self.sent = True
        headers = httpx2.Headers(theirs.headers.raw)
        headers["content-length"] = str(len(self.body))
        headers["accept-encoding"] = ENCODINGS
        timeout: dict[str, float | None] = dict.fromkeys(("connect", "read", "write", "pool"))
        if self._until is not None:
            # Only the wait for a free connection ends here, to be told from silence.
            timeout["pool"] = max(0.0, _SOONER * (self._until - asyncio.get_running_loop().time()))
        extensions = {**theirs.extensions, "timeout": timeout}
        return httpx2.Request(theirs.method, url, headers=headers, content=self.body, extensions=extensions)

    async def words(self, response: Any) -> bytes:
        """What a refusal says, as far as it comes, and comes in time: its status is the truth even so."""
        body = bytearray()
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(None if self._until is None else now + _SOONER * (self._until - now)):
                async with aclosing(unpacked(response)) as parts:  # type: ignore[type-var]
                    async for part in parts:
                        body += part
                        if len(body) >= _REFUSAL:
                            break
        except (TimeoutError, PackedBodyError, httpx2.HTTPError):
            body = body or bytearray(f"{response.status_code} {response.reason_phrase}".strip().encode())
        finally:
            await response.aclose()
            # The socket is closed in the loop's next step.
            await asyncio.sleep(0)
        return bytes(body[:_REFUSAL])


def _is_answered(error: BaseException) -> bool:
    """Whether an SDK's exception is about an answer that it got."""
    return isinstance(getattr(error, "status_code", getattr(error, "code", None)), int)


_current: ContextVar[ref[Exchange] | None] = ContextVar("llmring_exchange", default=None)
"""Weakly, as a connection that is opened in an exchange keeps its context for as long as it lives."""


def under_way() -> Exchange | None:
    """The exchange that a request now made belongs to."""
    reference = _current.get()
    return reference() if reference is not None else None


class Exchanging:
    """Mixed into an HTTP client: it takes part in the exchange that is under way, if one is."""

    response: ClassVar[Any] = httpx2.Response
    """The kind of response that the SDK takes."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send, in an exchange what is to be sent in place of this."""
        exchange = under_way()
        if exchange is None:
            return await super().send(request, **options)  # type: ignore[misc]
        answer = await self._follow(exchange.request(request, self.url(request)))
        if answer.is_success:
            if not exchange.keep:
                return answer
            exchange.response = answer
            return self.response(200, content=b"", request=request)
        body = await exchange.words(answer)
        exchange.refused = Refused(answer.status_code, answer.headers, body, *_redirect(answer))
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_BODY]
        return self.response(answer.status_code, headers=headers, content=body, request=request)

    def url(self, request: Any) -> Any:
        """Where the SDK's request goes, as httpx2 has it."""
        return request.url

    async def carry(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send the request of an exchange."""
        response: httpx2.Response = await super().send(request, **options)  # type: ignore[misc]
        return response

    async def _follow(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and follow redirects that repeat the request to the same server: key and question are for no other."""
        for hop in range(_HOPS + 1):
            response = await self.carry(request, stream=True, follow_redirects=False)
            following = response.next_request
            if following is None or hop == _HOPS or _forbids(response, following) is not None:
                break
            await response.aclose()
            request = following
        return response


def keep_at_home(http: Any, address: str, headers: Iterable[str]) -> None:
    """Let redirects that are followed outside an exchange carry none of our headers to another server.

    The HTTP libraries leave out `Authorization` there, and no other: neither Google's key nor what a lockfile adds.

    Args:
        http: the client, of httpx or httpx2.
        address: of the provider.
        headers: the names of those that are sent with every request; what everybody's requests have may go anywhere.
    """
    home = httpx2.URL(address)
    ours = {name.lower() for name in headers} | _KEYS
    ours -= {name for name in ours if name in _EVERYBODYS or name.startswith("x-stainless-")}

    async def leave_out(request: Any) -> None:
        if not _same_server(home, request.url):
            for name in ours & {name.lower() for name in request.headers}:
                del request.headers[name]

    http.event_hooks = {**http.event_hooks, "request": [*http.event_hooks["request"], leave_out]}


def _redirect(response: httpx2.Response) -> tuple[str, str] | tuple[()]:
    """Where an answer redirects to, and why that was not followed."""
    following = response.next_request
    if following is None:
        return ()
    return str(following.url), _forbids(response, following) or f"it is one of more than {_HOPS}"


def _forbids(response: httpx2.Response, following: httpx2.Request) -> str | None:
    """What keeps a redirect from being followed."""
    if response.status_code not in _REPEATS:
        return "it would ask by a GET, without the request's body"
    return None if _same_server(response.request.url, following.url) else "the key is for no other server"


def _same_server(here: Any, there: Any) -> bool:
    """Whether both are one server, or the second is the first over TLS. A port of `None` is the scheme's own."""
    upgraded = (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)
    return here.host == there.host and (upgraded or (here.scheme, here.port) == (there.scheme, there.port))
