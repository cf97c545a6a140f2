"""The names of attributes and metrics, with their sources: data, as the conventions have them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

__all__ = ["Names", "conventions", "place_of", "provider_name"]

Names = Literal["latest", "older", "both"]

_PORTS = {"http": 80, "https": 443}


@cache
def conventions() -> dict[str, Any]:
    """All of the file."""
    text = files(__package__).joinpath("conventions.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def place_of(address: str | None) -> tuple[str, int] | None:
    """The host and the port of an address; `None` where it says none."""
    try:
        parts = urlsplit(address or "")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (host, port) if host and port else None


def provider_name(model: str, host: str | None) -> str:
    """What the conventions call who serves a `provider:model`: by its host, else by its name; else its own name."""
    providers = conventions()["providers"]
    for suffix, name in providers["hosts"].items():
        if host is not None and (host == suffix or host.endswith((f".{suffix}", f"-{suffix}"))):
            return str(name)
    own = model.partition(":")[0]
    return str(providers["names"].get(own, own))
