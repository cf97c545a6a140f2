"""One request of ours on its way through an SDK, and what the SDKs' HTTP clients send over.

The SDK gives the address, the key, the headers and its own exceptions; the body is ours, rendered, and the answer is
read as it comes. Two SDKs post bytes in public (`PostingProvider`). The others are called as anyone would call them,
with next to nothing to send, on an HTTP client that has ours sent in its place and keeps the answer (`Swapping`).
What is asked outside an exchange travels as by any client.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any, ClassVar, TypeAlias

import httpx2

from .. import concealment
from ..credentials import reveal
from ..unpacking import ENCODINGS, PackedBodyError, unpacked
from . import errors
from .base import Call, HTTPResponse, Provider
from .config import ProviderConfig
from .transport import http_options, is_same_server, keep_at_home

__all__ = ["Carrier", "Exchange", "Exchanges", "PostingProvider", "Swapping"]

_OURS = "llmring"
"""The extension of a request that holds its exchange."""
_SOONER = 0.9
"""The part of the time left after which a wait ends here: whoever keeps the time knows not what was waited for."""
_REFUSAL = 1024 * 1024
"""Bytes of a refusal that are read. Some repeat the question."""
_HOPS = 5
"""Redirects that are followed."""
_REPEATS = (307, 308)
"""Redirects that repeat a request as it was (RFC 9110, 15.4). Of a POST, the others make a GET without its body."""
_SET = {b"accept-encoding", b"connection", b"content-length"}
"""Headers that are ours to say."""

Exchanges: TypeAlias = "dict[asyncio.Task[Any] | None, Exchange]"
"""Those under way, by the task that called the SDK."""


class Exchange:
    """A request of ours, as an async context around the SDK's call.

    It is given to the SDK as the content to send. A `Carrier` knows it; to any other HTTP client it is empty. A refusal
    ends it in `Refused`, with what the SDK makes of it as its cause.

    Args:
        body: JSON.
        until: when the answer must have begun, in the loop's time; `None` waits forever.
        among: where a `Swapping` client looks for it.

    Attributes:
        response: the answer.
        refused: what came instead of a good one.
        sent: whether the SDK has sent through our client.
    """

    def __init__(self, body: bytes, until: float | None, among: Exchanges | None = None) -> None:
        self.body = body
        self.response: httpx2.Response | None = None
        self.refused: errors.Refused | None = None
        self.sent = False
        self._until = until
        self._among = {} if among is None else among

    async def __aiter__(self) -> AsyncIterator[bytes]:
        return
        yield b""

    async def __aenter__(self) -> Exchange:
        self._task = asyncio.current_task()
        self._among[self._task] = self
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        # Of the task that entered: a coroutine that is garbage ends in another.
        self._among.pop(self._task, None)
        if kind is not None and self.response is not None:
            await self.response.aclose()
        if isinstance(error, Exception) and self.refused is not None:
            raise self.refused from error
        if (not self.sent and (error is None or _is_answered(error))) or (error is None and self.response is None):
            raise RuntimeError(
                "this version of the SDK does not send through the HTTP client that it is given. Install an earlier one"
            ) from None

    @property
    def answer(self) -> HTTPResponse:
        """The answer, which there is where the exchange has ended well."""
        assert self.response is not None
        return self.response

    def request(
        self, method: str, url: Any, headers: Any, extensions: Mapping[str, Any] | None = None, **more: Any
    ) -> httpx2.Request:
        """The request to send: to the SDK's URL, with its headers and our body."""
        given = headers.raw if isinstance(headers, httpx2.Headers) else httpx2.Headers(headers).raw
        names = {name.lower() for name, _ in given}
        url = httpx2.URL(url)
        raw = [(b"Host", url.netloc)] if b"host" not in names else []
        raw += given if names.isdisjoint(_SET) else [it for it in given if it[0].lower() not in _SET]
        raw += [
            (b"Accept-Encoding", ENCODINGS.encode()),
            (b"Connection", b"keep-alive"),
            (b"Content-Length", b"%d" % len(self.body)),
        ]
        timeout: dict[str, float | None] = dict.fromkeys(("connect", "read", "write", "pool"))
        if self._until is not None:
            # Only the wait for a free connection ends here, to be told from silence.
            timeout["pool"] = max(0.0, _SOONER * (self._until - asyncio.get_running_loop().time()))
        return httpx2.Request(
            method,
            url,
            headers=raw,
            stream=httpx2.ByteStream(self.body),
            extensions={**(extensions or {}), "timeout": timeout, _OURS: self},
            **more,
        )

    async def words(self, response: httpx2.Response) -> bytes:
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


class _Sendable(DefaultCookiePolicy):
    """Keeps no cookie that cannot be sent back: every later request to its server would fail with it."""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        return super().set_ok(cookie, request) and f"{cookie.name}{cookie.value}".isascii()


class Carrier(httpx2.AsyncClient):
    """An HTTP client that sends our requests, and anybody else's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cookies.jar.set_policy(_Sendable())
        self._last: tuple[str, httpx2.URL] | None = None

    def build_request(self, method: str, url: Any, **options: Any) -> httpx2.Request:
        """As any client does it; that of an exchange has what the SDK gives, and nothing is walked through twice."""
        exchange = options.get("content")
        if not isinstance(exchange, Exchange):
            return super().build_request(method, url, **options)
        more = {name: options.get(name) for name in ("params", "extensions")}
        if isinstance(url, str):
            # As a rule all requests go to one address, and to read it takes longer than most else.
            if self._last is None or self._last[0] != url:
                self._last = url, httpx2.URL(url)
            url = self._last[1]
        return exchange.request(method, url, options.get("headers"), cookies=self.cookies, **more)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """As any client does it; in an exchange the answer is its own, and a refusal is read as far as it is wanted."""
        exchange: Exchange | None = request.extensions.pop(_OURS, None)
        if exchange is None:
            return await super().send(request, **options)
        exchange.sent = True
        options |= {"stream": True, "follow_redirects": False}
        answer = await super().send(request, **options)
        for _ in range(_HOPS):
            # Only what repeats the request to the same server: key and question are for no other.
            following = answer.next_request
            if following is None or _forbids(answer, following) is not None:
                break
            await answer.aclose()
            answer = await super().send(following, **options)
        if answer.is_success:
            exchange.response = answer
            return answer
        body = await exchange.words(answer)
        exchange.refused = errors.Refused(answer.status_code, answer.headers, body, *_redirect(answer))
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in concealment.OF_THE_BODY]
        return httpx2.Response(answer.status_code, headers=headers, content=body, request=request)


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
    return None if is_same_server(response.request.url, following.url) else "the key is for no other server"


class Swapping:
    """Mixed into the HTTP client under an SDK that posts no bytes of ours, and gives no answer as it comes.

    Attributes:
        carrier: sends in place of it.
        exchanges: those under way.
    """

    response: ClassVar[Any] = httpx2.Response
    """The kind of response that the SDK takes."""
    carrier: Carrier
    exchanges: Exchanges

    async def send(self, request: Any, **options: Any) -> Any:
        """Send, in an exchange our body in place of this one, and give the SDK an empty answer."""
        exchange = self.exchanges.get(asyncio.current_task())
        if exchange is None:
            return await super().send(request, **options)  # type: ignore[misc]
        answer = await self.carrier.send(self.swapped(exchange, request))
        if answer.is_success:
            return self.response(200, content=b"", request=request)
        headers = answer.headers.multi_items()
        return self.response(answer.status_code, headers=headers, content=answer.content, request=request)

    def swapped(self, exchange: Exchange, request: Any) -> httpx2.Request:
        """What is sent in place of the SDK's request."""
        return exchange.request(request.method, request.url, request.headers, cookies=self.carrier.cookies)


class PostingProvider(Provider):
    """An adapter of an SDK that posts bytes in public.

    Args:
        config: how to reach the provider.
        make: makes the SDK's client.
        stream: the SDK's class for streams; none of them is made.
        headers: to be sent with every request, unless the config has others.
    """

    def __init__(
        self,
        config: ProviderConfig,
        make: Callable[..., Any],
        stream: Any,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config)
        ways = http_options(config.limits, config.address or config.base_url)
        self.client = make(
            # Without one, the SDK would take the environment's, which is not for whatever host this is.
            api_key=reveal(config.key) or "none",
            base_url=config.base_url,
            default_headers={**(headers or {}), **config.sent_headers},
            timeout=config.timeout,
            max_retries=config.max_retries,
            http_client=Carrier(**ways, follow_redirects=True),
        )
        keep_at_home(ways["transport"], str(self.client.base_url), self.client.default_headers)
        self._stream = stream
        self._address: tuple[httpx2.URL, str, str] | None = None

    @property
    @abstractmethod
    def wire(self) -> str:
        """What requests are sent in, as `counting.endpoint_of` takes it."""

    @property
    @abstractmethod
    def path(self) -> str:
        """Where requests are posted, below the base URL."""

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Post the rendered body, and give the answer as it comes."""
        base, path = self.client.base_url, self.path
        if self._address is None or self._address[0] is not base or self._address[1] != path:
            # The SDK would put it together anew for each request.
            self._address = base, path, str(base.copy_with(raw_path=base.raw_path + path.lstrip("/").encode()))
        return await self._post(self._address[2], call, body)

    async def send_count(self, call: Call, body: bytes, path: str) -> HTTPResponse:
        """Post what is to be counted, to that path below the base URL."""
        return await self._post(str(self.client.base_url.join(f".{path}")), call, body)

    async def _post(self, path: str, call: Call, body: bytes) -> HTTPResponse:
        async with Exchange(body, call.until) as exchange:
            await self.client.post(
                path,
                cast_to=httpx2.Response,
                content=exchange,
                options={"timeout": call.timeout, "max_retries": 0},
                stream=True,
                stream_cls=self._stream,
            )
        return exchange.answer

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.close()
