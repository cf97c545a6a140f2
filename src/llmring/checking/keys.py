"""Keys that llmring does not know are kept and do nothing. The ones that are probably slips are said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..lockfile.checks import shown
from .bindings import Source
from .findings import Finding

if TYPE_CHECKING:
    from ..lockfile.places import Place

__all__ = ["misplaced_params", "misspelt_keys"]

_OF_VENDORS = frozenset({"reasoning_format", "speed"})
"""Parameters of vendors' APIs that look like slips of ours."""
_NEAR = 0.85
"""How alike two names are if one is a slip of the other: `top_k` is not one of `top_p`."""


def misspelt_keys(source: Source) -> Iterator[Finding]:
    """The unknown keys that are nearly a known one of their place."""
    for place, table, known, where in _tables(source):
        for key in table:
            if near := _meant(key, known):
                message = f"{shown(key)} is no key of {where}; did you mean {shown(near)}?"
                advice = f"Write {near}. If it is meant as it is: llmring lock check --ignore key-misspelt"
                yield Finding("key-misspelt", "warning", source.key_spot(*place, key), message, advice)


def misplaced_params(source: Source) -> Iterator[Finding]:
    """The fields of a request that stand in a binding, or around one, and not in its `params`."""
    params = _fields() - {"metadata", "profile", "tools"}
    for place, table, known, where in _tables(source):
        if place[:1] == ("providers",) or place[-1:] == ("params",):
            continue
        for key in table:
            if key in params and key not in known:
                message = f"{shown(key)} does nothing in {where}: it is a parameter of requests."
                advice = f"Write it into the params of a binding: params = {{ {key} = ... }}"
                yield Finding("params-misplaced", "warning", source.key_spot(*place, key), message, advice)


def _fields() -> frozenset[str]:
    from ..schemas import LLMRequest

    return frozenset(LLMRequest.model_fields) - {"model", "messages"}


def _tables(source: Source) -> Iterator[tuple[Place, Mapping[str, Any], Collection[str], str]]:
    """The tables of the file: their place, what is in them, the keys that they may have, and what to call them."""
    from ..lockfile.rendering import toml_key
    from ..lockfile.schema import json_schema

    data, schema = source.lockfile.data, json_schema()
    forms = schema["$defs"]
    of_binding = {key for form in (forms["binding"], *forms["binding"]["anyOf"]) for key in form["properties"]}
    params = _fields()
    yield (), data, schema["properties"], "the file"
    yield ("extends",), data.get("extends") or {}, forms["extends"]["properties"], "[extends]"
    for profile, table in data.get("profiles", {}).items():
        yield ("profiles", profile), table, forms["profile"]["properties"], f"[profiles.{toml_key(profile)}]"
        for index, binding in enumerate(table.get("bindings", ())):
            place: Place = ("profiles", profile, "bindings", index)
            alias = shown(binding["alias"])
            yield place, binding, of_binding, f"the binding of {alias}"
            own = {key: value for key, value in (binding.get("params") or {}).items() if _is_ours(key)}
            yield (*place, "params"), own, params, f"the params of {alias}"
    for provider, table in data.get("providers", {}).items():
        yield ("providers", provider), table, forms["provider"]["properties"], f"[providers.{toml_key(provider)}]"


def _is_ours(param: str) -> bool:
    """Whether a parameter may be meant as a field of a request: those have no capitals, as many a vendor's have."""
    return param.islower() and param not in _OF_VENDORS


def _meant(key: str, known: Collection[str]) -> str | None:
    """The known key that an unknown one is a slip of."""
    if key in known:
        return None
    from difflib import get_close_matches

    return next(iter(get_close_matches(key, known, 1, _NEAR)), None)
