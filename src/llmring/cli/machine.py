"""What this machine can use: keys that are set, servers that answer, SDKs that are installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..addresses import can_be_asked
from ..catalog import ROLES, suggested
from ..credentials import KEYRING, first_set
from ..providers.packages import how_to_install
from ..providers.vendors import SDKS
from .standing import Standing, keyring, standings

if TYPE_CHECKING:
    from ..catalog import Role

__all__ = ["Found", "look"]

PATIENCE = 0.5
"""Seconds to wait for a server on this machine."""
_LARGEST_LISTING = 4_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a provider.

    Attributes:
        standing: how it stands.
        state: that in words, and what to do where something is missing.
        models: the model for each role; empty if it cannot be used.
    """

    standing: Standing
    state: str
    models: Mapping[Role, str] = field(default_factory=dict)


def look() -> list[Found]:
    """What there is here of every provider that has an SDK of its own, and of the vendors whose key is set."""
    found = standings(None, keyring())
    return [_served(it) if it.needs_key else _running(it) for it in found if it.needs_key or it.name in SDKS]


def _served(one: Standing) -> Found:
    """A vendor's service, of use with a key."""
    if one.key_source is None:
        known = "no key, and the keyring does not answer" if one.keyring.waits else "no key"
        return Found(one, f"{known}; set {' or '.join(one.key_variables)}")
    state = "a key in the keyring" if one.key_source == KEYRING else f"{one.key_source} is set"
    if one.lacks:
        return Found(one, f"{state}; {one.lacks}")
    if first_set(one.address_variables):
        state += f"; asked at {one.address}, which may not have these models"
    models = {role: suggested(role)[one.name] for role in ROLES if one.name in suggested(role)}
    if not models:
        state += f"; none of its models is suggested: llmring bind ALIAS {one.name}:MODEL"
    return Found(one, state + _missing(one), models)


def _running(one: Standing) -> Found:
    """A server on this machine or near it, of use if it answers and has models.

    It is asked without its SDK, which may be missing: that it is there is the reason to install it.
    """
    address = one.endpoint.address if one.endpoint is not None else None
    if address is None or not can_be_asked(address):
        return Found(one, f"{one.endpoint and one.endpoint.address_source} is no address to ask")
    host, port, secure, path = _address(address)
    where = f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}{path}"
    listed = _list_models(host, port, secure, path)
    if listed is None:
        return Found(one, f"no server answers at {where}")
    chosen = _by_size(listed)
    if not chosen:
        return Found(one, f"answers at {where}, with no models; ollama pull MODEL")
    return Found(one, f"answers at {where} with {len(listed)} model{'s'[: len(listed) != 1]}{_missing(one)}", chosen)


def _missing(one: Standing) -> str:
    return f"; its SDK is missing: {how_to_install(one.package)}" if one.version is None else ""


def _address(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether it is https, and path, of an address that can be asked."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if secure else 80), secure, parts.path.rstrip("/")


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
