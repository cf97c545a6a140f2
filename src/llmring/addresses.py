"""Base URLs as text: whose host one is on, in which network, and the name and password that it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Literal
from urllib.parse import quote, urlsplit

__all__ = [
    "can_be_asked",
    "completed",
    "escaping",
    "host_of",
    "is_below",
    "is_this_machine",
    "network_of",
    "same_host",
    "segment",
    "shown",
    "without_login",
]

_LOGIN = re.compile(r"([A-Za-z][\w+.-]*://|)([^/?#\\]*)@")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Endings that no host of the internet has (RFC 6762, RFC 8375, and ICANN's reservation of .internal).
_NEAR = (".local", ".lan", ".internal", ".home.arpa")


def without_login(address: str | None) -> tuple[str | None, str | None]:
    """An address without the name and password that stand in it, and these: the HTTP libraries log addresses."""
    match = _LOGIN.match(address or "")
    if address is None or match is None:
        return address, None
    return match[1] + address[match.end() :], match[2] or None


def shown(address: str | None) -> str:
    """An address for people to see: without the name, the password and the query, any of which may be secret."""
    return re.split("[?#]", without_login(address)[0] or "")[0]


def completed(address: str, port: int, cloud: str = "") -> str:
    """An address as Ollama takes it (`:8080`, `::1`, `host`, `0.0.0.0:8080`, any of them in quotes), in full.

    What cannot be read comes back as it is. A server that listens to all addresses is asked at this machine's own.

    Args:
        address: without the login that it may have held.
        port: the one to ask where it names neither port nor scheme.
        cloud: a host that is asked over TLS where it names no scheme.
    """
    address = address.strip().strip("\"'").strip()
    scheme, _, rest = address.rpartition("://")
    place, slash, path = rest.partition("/")
    bare = place.strip("[]")
    with suppress(ValueError):
        place = f"[{bare}]" if ip_address(bare).version == 6 else bare
    host, colon, number = place.rpartition(":") if ":" in place and place[-1:] != "]" else (place, "", "")
    if (
        "@" in rest
        or (scheme and not place)
        or not re.fullmatch(r"\[[\da-fA-F:.]+\]|[^\s:\[\]\\?#]*", host)
        or (colon and not number.isdecimal())
    ):
        return address
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - not to listen
    if not scheme and cloud and host == cloud:
        scheme = "https"
    elif not scheme:
        scheme, colon, number = "http", ":", number or str(port)
    return f"{scheme}://{host}{colon}{number}{slash}{path}"


def escaping(address: str) -> str:
    """What to add to how an address is written, where an `@` says that a password may be what makes it none."""
    if "@" not in address:
        return ""
    return ", with what is special in its password as %40 for @, %2F for /, %23 for #, %3F for ?"


def can_be_asked(address: str) -> bool:
    """Whether an address, without its login, is one of HTTP."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    return (
        not re.search(r"[\\\s]", address) and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    )


def segment(name: str) -> str:
    """A model's name, which may come from anybody, as one segment of a path: the key goes nowhere else by it."""
    quoted = quote(name, safe=":")
    return "%2E" if quoted == "." else quoted.replace("..", "%2E%2E")


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


def is_this_machine(url: str) -> bool:
    """Whether an address is `localhost`, or a number of this machine's own: what is sent there does not leave it."""
    host = _host(url if "://" in url else f"//{url}")[1]
    if host == "localhost":
        return True
    try:
        number = ip_address(host)
    except ValueError:
        return False
    if isinstance(number, IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    return number.is_loopback or number.is_unspecified


def host_of(url: str) -> str:
    """The host of an address, and its port if it names one, for people to see.

    It is in ASCII, for letters of other alphabets look like Latin ones.
    """
    url = url if "://" in url else f"//{url}"
    host = _host(url)[1]
    with suppress(UnicodeError):
        host = host.encode("idna").decode("ascii")
    try:
        port = urlsplit(url).port
    except ValueError:
        return url.encode("ascii", "backslashreplace").decode()
    host = (f"[{host}]" if ":" in host else host).encode("ascii", "backslashreplace").decode()
    return f"{host}:{port}" if port else host


def network_of(url: str | None) -> Literal["own", "internet"] | None:
    """The network that an address is in: of this machine or a private one, or everybody's; `None` if it does not say.

    A name without a dot, as of a container, does not say: it may be a gateway to a vendor.
    """
    address = url or ""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return "own"
    try:
        return "own" if ip_address(host).is_private else "internet"
    except ValueError:
        return "internet" if "." in host.strip(".") and not host.endswith(_NEAR) else None


def _host(url: str) -> tuple[str, str]:
    """Scheme and host; no host where the address could be read in two ways."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    return parts.scheme, "" if "\\" in parts.netloc else host
