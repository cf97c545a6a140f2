"""What all that is asked travels over: connections of our own, or a proxy where the environment names one."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

import httpx2

from ..credentials import PUBLIC
from ..unpacking import ENCODINGS
from .bounded import MOST, cut
from .environment import CERTIFICATES, Proxies, Proxy
from .pool import Transport

__all__ = ["AT_HOME", "http_options", "is_same_server", "keep_at_home", "trust"]

AT_HOME: Final[ContextVar[bool]] = ContextVar("llmring_at_home", default=False)
"""Whether what is sent goes to the provider alone: a redirect to another server would take a file's content there."""

_KEYS = frozenset({"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key"})


def http_options(limits: dict[str, int | None], address: str | None) -> dict[str, Any]:
    """What an `httpx2.AsyncClient` takes to travel this way.

    The environment is read here, once, and not by the client, which would refuse all hosts for the sake of one: a
    proxy that cannot be used, or certificates that have gone, are of no concern to a server that needs neither.

    Args:
        limits: as `httpx2.Limits` takes them.
        address: of the provider. What certificates are checked against, which takes long, is loaded now unless this is
            asked in the clear; then only where a redirect leads to TLS.
    """
    bounds, find = httpx2.Limits(**limits), cache(trust)
    if not (address or "").lower().startswith("http:"):
        find()
    return {"limits": bounds, "transport": _Routed(bounds, Proxies(), find), "trust_env": False}


class _Routed(httpx2.AsyncBaseTransport):
    """To each host by way of the proxy that is for it, or by none.

    Args:
        limits: of each way's pool.
        proxies: which is for whom.
        trust: gives what certificates are checked against.

    Attributes:
        home, ours: the provider's address, and the names of headers that are for no other server.
    """

    def __init__(self, limits: httpx2.Limits, proxies: Proxies, trust: Callable[[], ssl.SSLContext]) -> None:
        self.home: httpx2.URL | None = None
        self.ours: frozenset[str] = frozenset()
        self._limits = limits
        self._proxies = proxies
        self._trust = trust
        self._ways: dict[tuple[Proxy | None, str], httpx2.AsyncBaseTransport] = {}

    def handle_async_request(self, request: httpx2.Request) -> Coroutine[Any, Any, httpx2.Response]:
        """Send, and give the answer with its body still to be read."""
        if self.home is not None and not is_same_server(self.home, request.url):
            if AT_HOME.get():
                raise httpx2.RequestError(f"it redirects to {request.url.host}, and files go to no other server")
            for name in self.ours & {name.lower() for name in request.headers}:
                del request.headers[name]
        proxy = self._proxies.of(str(request.url)) if self._proxies else None
        scheme = request.url.scheme
        way = self._ways.get((proxy, scheme))
        if way is None:
            way = self._ways[proxy, scheme] = self._way(proxy, scheme)
        if (most := MOST.get()) is None:
            return way.handle_async_request(request)
        request.headers["Accept-Encoding"] = ENCODINGS
        return cut(way.handle_async_request(request), most)

    def _way(self, proxy: Proxy | None, scheme: str) -> httpx2.AsyncBaseTransport:
        if proxy is None:
            return Transport(self._limits, None if scheme == "http" else self._trust())
        if proxy.obstacle:
            raise httpx2.ProxyError(proxy.obstacle)
        return httpx2.AsyncHTTPTransport(verify=self._trust(), limits=self._limits, proxy=proxy.url)

    async def aclose(self) -> None:
        """Close all connections."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()


def keep_at_home(transport: _Routed, address: str, headers: Iterable[str]) -> None:
    """Let no other server have headers of ours, to which a redirect may lead that is followed outside an exchange.

    The HTTP libraries leave out `Authorization` there, and no other: neither Google's key nor what a lockfile adds.

    Args:
        transport: all that is asked goes over it.
        address: of the provider.
        headers: the names of those that are sent with every request; what everybody's requests have may go anywhere.
    """
    ours = {name.lower() for name in headers} | _KEYS
    transport.ours = frozenset(it for it in ours if it not in PUBLIC and not it.startswith("x-stainless-"))
    transport.home = httpx2.URL(address)


def is_same_server(here: httpx2.URL, there: httpx2.URL) -> bool:
    """Whether both are one server, or the second is the first over TLS. A port of `None` is the scheme's own."""
    if here.raw_host != there.raw_host:
        return False
    one, other = (here.raw_scheme, here.port), (there.raw_scheme, there.port)
    return one == other or (one, other) == ((b"http", None), (b"https", None))


def trust() -> ssl.SSLContext:
    """What servers' certificates are checked against, as the environment has it."""
    try:
        return _trust(*(os.environ.get(name) for name in CERTIFICATES))
    except (OSError, ValueError):
        # Nobody is trusted: whoever needs TLS is told so before, and the others need nothing of it.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _trust(*_: str | None) -> ssl.SSLContext:
    """All connections share it: to load it takes tens of milliseconds."""
    return httpx2.create_ssl_context()
