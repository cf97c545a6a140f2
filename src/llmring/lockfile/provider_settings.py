"""What a lockfile's `[providers.NAME]` table says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .checks import shown
from .misfit import Misfit, checked, optional
from .model import ProviderSettings, is_name

if TYPE_CHECKING:
    from .places import Place

__all__ = ["APIS", "provider_settings"]

APIS = ("chat", "responses")
"""What `api` can say: which of OpenAI's APIs an endpoint speaks."""
_VERSION = re.compile(r"[A-Za-z0-9._-]+")
_STRINGS = ("sdk", "base_url", "api_key_env", "api", "api_version")
_KNOWN = frozenset({*_STRINGS, "think_tags", "headers"})


def provider_settings(name: str, raw: Any, place: Place) -> ProviderSettings:
    """The settings of one provider.

    Args:
        name: the provider's.
        raw: what its table holds.
        place: where that stands, for the error.

    Raises:
        Misfit: the name cannot be one, or a field has the wrong form.
    """
    if not is_name(name) or ":" in name or "/" in name:
        raise Misfit(f"The provider's name {shown(name)} is empty or holds white space, a colon or a slash", place)
    table = checked(raw, dict, f"providers.{name}", place)
    sdk, base_url, api_key_env, api, version = (_line(table.get(key), key, (*place, key)) for key in _STRINGS)
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise Misfit("base_url must begin with http:// or https://", (*place, "base_url"))
    if api not in (None, *APIS):
        raise Misfit(f"api is {shown(api)}. Write: {' or '.join(f'api = {shown(it)}' for it in APIS)}", (*place, "api"))
    if version is not None and not _VERSION.fullmatch(version):
        raise Misfit(f"api_version is {shown(version)}; it is a word as in v1beta", (*place, "api_version"))
    tags = optional(table.get("think_tags"), bool, "think_tags", (*place, "think_tags"))
    headers = _headers(table, (*place, "headers"))
    extra = {key: value for key, value in table.items() if key not in _KNOWN}
    return ProviderSettings(sdk, base_url, api_key_env, api, version, tags, headers, extra)


def _headers(table: dict[str, Any], place: Place) -> dict[str, str]:
    headers = optional(table.get("headers"), dict, "headers", place) or {}
    for header, value in headers.items():
        _line(header, "The name of a header", (at := (*place, header)))
        _line(checked(value, str, f"The header {shown(header)}", at), f"The header {shown(header)}", at)
    return headers


def _line(value: Any, name: str, place: Place) -> str | None:
    """A string that goes to a terminal and over the wire as it is, if it is given."""
    text = optional(value, str, name, place)
    if text is not None and not text.isprintable():
        raise Misfit(f"{name} holds a character that cannot be seen: {shown(text)}. Take it out", place)
    return text
