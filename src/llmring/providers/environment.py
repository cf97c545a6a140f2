"""What the environment says of the network, and of whom: proxies, what certificates are checked against, patience.

Nothing is imported that can send, so that commands can say what a service would come to.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from importlib import import_module
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from .. import request as requests
from ..addresses import escaping, shown
from ..exceptions import ConfigurationError

__all__ = ["CERTIFICATES", "Proxies", "Proxy", "by_way_of", "lacking", "timeout", "trusting", "wanting_password"]

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name what certificates are checked against; the first one set wins."""

_KINDS = ("http", "https", "socks5", "socks5h")
_SYSTEM = "the system's settings"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        url: where it is, with the name and the password that it may want.
        variable: the environment variable that names it; where that is the system's settings, these.
    """

    url: str = field(repr=False)
    variable: str

    @property
    def kind(self) -> str:
        """Its scheme."""
        return self.url.partition("://")[0].lower()

    @property
    def said(self) -> str:
        """It, in words, without its password."""
        return f"the proxy {shown(self.url)}, which {self.variable} names"

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be used, and what to do about it; `None` where nothing is known to be wrong."""
        named = self.variable != _SYSTEM
        out = f"take it out of the environment: unset {self.variable}" if named else f"take it out of {_SYSTEM}"
        if self.kind not in _KINDS:
            kinds = ", ".join(f"{kind}://" for kind in _KINDS)
            return (
                f"{self.variable} names a proxy of a kind that is not spoken here ({self.kind}://). "
                f"Name one of {kinds}, or {out}"
            )
        if not _has_host(self.url):
            return (
                f"{self.variable} is no address of a proxy. Write it as http://host:port{escaping(self.url)}, or {out}"
            )
        if self.kind.startswith("socks") and not _speaks_socks():
            return (
                f"{self.variable} names a SOCKS proxy, which needs one more package. "
                f"Install it: pip install socksio. Or {out}"
            )
        return None


class Proxies:
    """The proxies that the environment, or the system, names at this moment, and for whom.

    `NO_PROXY` is read as curl and Go read it: names with all that is below them, addresses, ranges of addresses
    (`10.0.0.0/8`, `fd00::/8`), a port after any of them, and `*`. What can be read in no way is for nobody.
    """

    def __init__(self) -> None:
        named = getproxies()
        self._proxies = {
            scheme: Proxy(url if "://" in url else f"http://{url}", _variable(scheme))
            for scheme in ("http", "https", "all")
            if (url := named.get(scheme, "").strip())
        }
        self._direct = [entry.lower() for entry in re.split(r"[,\s]+", named.get("no", "")) if entry]

    def __bool__(self) -> bool:
        return bool(self._proxies)

    def of(self, address: str) -> Proxy | None:
        """The proxy by way of which an address is asked, `None` where it is asked without."""
        if not self._proxies:
            return None
        parts = _split(address)
        if parts is None or any(_is_of(entry, parts) for entry in self._direct):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")


def lacking(address: str | None) -> str | None:
    """What the environment's network settings keep an address from being asked by, and what to do about it.

    `None` where nothing is known to be wrong: with proxies and certificates that are not for this address, nothing is.
    """
    if address is None:
        return None
    proxy = Proxies().of(address)
    if proxy is not None and (obstacle := proxy.obstacle):
        return obstacle
    secure = address.lower().startswith("https:") or (proxy is not None and proxy.kind == "https")
    if not secure:
        return None
    variable, value, reason = _certificates()
    if reason is None:
        return None
    return (
        f"{variable} is {value}, with which no certificate can be checked: {reason}. "
        f"Correct it, or take it out of the environment: unset {variable}"
    )


def _certificates() -> tuple[str | None, str, str | None]:
    """The variable that says what certificates are checked against, `None` if none does; its value; and what is wrong.

    The reason is `None` where the certificates can be read.
    """
    variable = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    value = os.environ.get(variable or "", "")
    try:
        if variable == "SSL_CERT_FILE":
            ssl.create_default_context(cafile=value)
        elif variable is not None and not os.listdir(value):
            return variable, value, "the folder is empty"
    except ssl.SSLError:
        return variable, value, "the file holds no certificates"
    except (OSError, ValueError) as error:
        return variable, value, getattr(error, "strerror", None) or type(error).__name__
    return variable, value, None


def _speaks_socks() -> bool:
    try:
        import_module("socksio")
    except ImportError:
        return False
    return True


def trusting() -> str:
    """What to do where a certificate is not trusted."""
    variable, value, _ = _certificates()
    if variable is None:
        return "Check the address, or name the certificates to check against: SSL_CERT_FILE=/path/to/file.pem."
    return f"What is checked against is what {variable} names, {value}. Correct it, or: unset {variable}."


def by_way_of(address: str | None) -> str:
    """What to add, after a space, to what went wrong at an address: the proxy by way of which it is asked, if any."""
    proxy = Proxies().of(address) if address else None
    return "" if proxy is None else f" It is asked by way of {proxy.said}: check that it speaks {proxy.kind}."


def wanting_password(address: str | None) -> str:
    """What to say of a proxy that wants another name and password."""
    proxy = Proxies().of(address) if address else None
    if proxy is None:
        return "a proxy on the way wants a name and a password. Put them into HTTPS_PROXY or HTTP_PROXY."
    if "@" in proxy.url:
        return f"{proxy.said}, does not take the name and the password that it holds. Correct them."
    return f"{proxy.said}, wants a name and a password. Write it as {proxy.kind}://NAME:PASSWORD@HOST:PORT."


def _variable(scheme: str) -> str:
    """The environment variable of a scheme's proxy, as `urllib` looks for it: the name in lower case goes first."""
    wanted = f"{scheme}_proxy"
    names = [name for name in os.environ if name.lower() == wanted and os.environ[name]]
    return next((name for name in names if name == wanted), next(iter(names), _SYSTEM))


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _has_host(url: str) -> bool:
    return _split(url) is not None and not re.search(r"[\\\s]", url)


def _is_of(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of `NO_PROXY` is for an address."""
    if entry == "*":
        return True
    scheme, separator, entry = entry.rpartition("://")
    if separator and scheme not in ("all", parts.scheme):
        return False
    host = (parts.hostname or "").rstrip(".")
    name, port = _host_and_port(entry)
    if port is not None and port != str(parts.port or _PORTS.get(parts.scheme)):
        return False
    try:
        return ip_address(host.partition("%")[0]) in ip_network(name, strict=False)
    except ValueError:
        pass
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _host_and_port(entry: str) -> tuple[str, str | None]:
    """An entry without its port: `[::1]:8080`, `::1`, `fd00::/8`, `host:8080`, `host`."""
    if match := re.fullmatch(r"\[(.*)\](/\d+)?(?::(\d+))?", entry):
        return match[1] + (match[2] or ""), match[3]
    if match := re.fullmatch(r"([^:]*):(\d+)", entry):
        return match[1], match[2]
    return entry, None


def timeout() -> float | None:
    """Seconds that are waited, by `LLMRING_PROVIDER_TIMEOUT_S`; `None` for ever.

    Raises:
        ConfigurationError: it is no such number.
    """
    value = os.environ.get("LLMRING_PROVIDER_TIMEOUT_S", "").strip()
    if not value:
        return 60.0
    if value.lower() == "none":
        return None
    try:
        return requests.seconds(float(value), "LLMRING_PROVIDER_TIMEOUT_S")
    except ValueError:
        raise ConfigurationError(
            f"LLMRING_PROVIDER_TIMEOUT_S is {value!r}; it takes seconds, or none to wait forever."
        ) from None
