"""What this machine can use: keys that are set, servers that answer, SDKs that are installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..addresses import shown
from ..catalog import ROLES, suggested
from ..credentials import KEYRING, first_set
from ..providers.endpoints import Endpoint, endpoint
from ..providers.packages import how_to_install
from ..providers.vendors import BUILT_IN, SDKS, BuiltIn

if TYPE_CHECKING:
    from ..catalog import Role

__all__ = ["Found", "installed", "look"]

PATIENCE = 0.5
"""Seconds to wait for a server on this machine."""
_PORT = 11434
_LARGEST_LISTING = 4_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a provider.

    Attributes:
        provider: its name.
        state: in words, and what to do where something is missing.
        package: its SDK, as pip knows it.
        installed: whether the SDK is there.
        local: whether it is a server that needs no key.
        models: the model for each role; empty if it cannot be used.
    """

    provider: str
    state: str
    package: str
    installed: bool
    local: bool = False
    models: Mapping[Role, str] = field(default_factory=dict)


def look() -> list[Found]:
    """What there is here of every provider that has an SDK of its own, and of the vendors whose key is set."""
    found = [_served(endpoint(name)) if it.needs_key else _running(name, it) for name, it in SDKS.items()]
    vendors = [endpoint(name) for name, it in BUILT_IN.items() if name not in SDKS and it.needs_key]
    return found + [_served(vendor) for vendor in vendors if vendor.key_source]


def installed(package: str) -> bool:
    """Whether an SDK, by its name for pip, can be imported. It is not."""
    from importlib.util import find_spec

    try:
        return find_spec({"google-genai": "google.genai"}.get(package, package)) is not None
    except ModuleNotFoundError:
        return False


def _served(target: Endpoint) -> Found:
    """A vendor's service, of use with a key."""
    name, package = target.name, target.sdk.package
    there = installed(package)
    if target.key_source is None:
        return Found(name, f"no key; set {' or '.join(target.key_variables)}", package, there)
    state = "a key in the keyring" if target.key_source == KEYRING else f"{target.key_source} is set"
    if target.lacks:
        return Found(name, f"{state}; {target.lacks}", package, there)
    if first_set(target.address_variables):
        state += f"; asked at {shown(target.base_url)}, which may not have these models"
    models = {role: suggested(role)[name] for role in ROLES if name in suggested(role)}
    if not models:
        state += f"; none of its models is suggested: llmring bind ALIAS {name}:MODEL"
    return Found(name, state + _missing(package, there), package, there, models=models)


def _running(name: str, built_in: BuiltIn) -> Found:
    """A server on this machine or near it, of use if it answers and has models."""
    there = installed(built_in.package)
    host, port, secure, path = _address(first_set(built_in.address_variables) or "")
    where = f"{'https' if secure else 'http'}://{host}:{port}{path}"
    listed = _list_models(host, port, secure, path)
    if listed is None:
        return Found(name, f"no server answers at {where}", built_in.package, there, local=True)
    chosen = _by_size(listed)
    if not chosen:
        return Found(
            name, f"answers at {where}, with no models; ollama pull MODEL", built_in.package, there, local=True
        )
    state = f"answers at {where} with {len(listed)} model{'s'[: len(listed) != 1]}" + _missing(built_in.package, there)
    return Found(name, state, built_in.package, there, local=True, models=chosen)


def _missing(package: str, there: bool) -> str:
    return "" if there else f"; its SDK is missing: {how_to_install(package)}"


def _address(host: str) -> tuple[str, int, bool, str]:
    """Host, port, whether it is https, and path, of what Ollama accepts as `OLLAMA_HOST`."""
    from urllib.parse import urlsplit

    scheme, _, rest = host.rpartition("://")
    port = {"http": 80, "https": 443}.get(scheme, _PORT)
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname or "127.0.0.1", parts.port or port
    except ValueError:
        return "127.0.0.1", _PORT, False, ""
    return "127.0.0.1" if name == "0.0.0.0" else name, port, scheme == "https", parts.path.rstrip("/")  # noqa: S104


def _list_models(host: str, port: int, secure: bool, path: str) -> list[dict[str, Any]] | None:
    """The models that an Ollama server has, `None` if none answers there. Asked past any proxy."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    connection = (HTTPSConnection if secure else HTTPConnection)(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", f"{path}/api/tags")
        listing = json.loads(connection.getresponse().read(_LARGEST_LISTING))
        return [model for model in listing["models"] if isinstance(model["name"], str)]
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def _by_size(listed: list[dict[str, Any]]) -> dict[Role, str]:
    """The smallest is fast, the largest is deep. Models that only embed, or run elsewhere, are left out."""
    able = [it for it in listed if "embed" not in it["name"] and not it.get("remote_host")]
    able.sort(key=lambda it: (size if isinstance(size := it.get("size"), int) else 0, it["name"]))
    names = [it["name"].removesuffix(":latest") for it in able]
    return {"fast": names[0], "balanced": names[len(names) // 2], "deep": names[-1]} if names else {}
