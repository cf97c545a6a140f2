"""Base URLs as text: whose host one is on, and the name and password that it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["is_below", "same_host", "without_login"]

_LOGIN = re.compile(r"([A-Za-z][\w+.-]*://|)([^/?#\\]*)@")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def without_login(address: str | None) -> tuple[str | None, str | None]:
    """An address without the name and password that stand in it, and these: the HTTP libraries log addresses."""
    match = _LOGIN.match(address or "")
    if address is None or match is None:
        return address, None
    return match[1] + address[match.end() :], match[2] or None


def same_host(url: str, home: str) -> bool:
    """Whether one address is on the host of another, and no less safe to speak to."""
    scheme, host = _host(url)
    home_scheme, home_host = _host(home)
    same = host == home_host or (host in _LOOPBACK and home_host in _LOOPBACK)
    return bool(host) and same and scheme in ("https", home_scheme)


def is_below(url: str, hosts: Iterable[str]) -> bool:
    """Whether an address is on one of these hosts or below it, over TLS."""
    scheme, host = _host(url)
    return scheme == "https" and any(host == it or host.endswith(f".{it}") for it in hosts)


def _host(url: str) -> tuple[str, str]:
    """Scheme and host; no host where the address could be read in two ways."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    return parts.scheme, "" if "\\" in parts.netloc else host
