"""What the SDKs' HTTP clients send over: connections of our own, or a proxy where the environment names one."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

import httpx2

from .environment import CERTIFICATES, Proxies, Proxy
from .network import Transport

__all__ = ["http_options", "trust"]


def http_options(limits: dict[str, int | None]) -> dict[str, Any]:
    """What an `httpx2.AsyncClient` takes to travel this way.

    The environment is read here, once, and not by the client, which would refuse all hosts for the sake of one: a
    proxy that cannot be used, or certificates that have gone, are of no concern to a server that needs neither.

    Args:
        limits: as `httpx2.Limits` takes them.
    """
    bounds = httpx2.Limits(**limits)
    proxies = Proxies()
    transport = _Routed(bounds, proxies) if proxies else Transport(bounds, trust())
    return {"limits": bounds, "transport": transport, "trust_env": False}


class _Routed(httpx2.AsyncBaseTransport):
    """To each host by way of the proxy that is for it, or by none.

    Args:
        limits: of each way's pool.
        proxies: which is for whom.
    """

    def __init__(self, limits: httpx2.Limits, proxies: Proxies) -> None:
        self._limits = limits
        self._proxies = proxies
        self._trust = trust()
        self._ways: dict[Proxy | None, httpx2.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and give the answer with its body still to be read."""
        proxy = self._proxies.of(str(request.url))
        way = self._ways.get(proxy)
        if way is None:
            way = self._ways[proxy] = self._way(proxy)
        return await way.handle_async_request(request)

    def _way(self, proxy: Proxy | None) -> httpx2.AsyncBaseTransport:
        if proxy is None:
            return Transport(self._limits, self._trust)
        if proxy.obstacle:
            raise httpx2.ProxyError(proxy.obstacle)
        return httpx2.AsyncHTTPTransport(verify=self._trust, limits=self._limits, proxy=proxy.url)

    async def aclose(self) -> None:
        """Close all connections."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()


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
