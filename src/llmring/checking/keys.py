"""Keys of a lockfile that do nothing: slips, parameters beside `params`, keys of another table, and what is said twice.

The known keys are the schema's. Others are kept by every edit, and only those that were probably meant are spoken of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..lockfile.policy_keys import idle_constraints
from ..lockfile.rendering import json_schema, toml_key
from ..references import alike, shown
from ..schemas import LLMRequest
from .findings import Finding

if TYPE_CHECKING:
    from ..lockfile import Lockfile
    from ..lockfile.places import Place
    from .text import Text

__all__ = ["odd_keys"]

_OF_VENDORS = frozenset({"reasoning_format", "speed"})
"""Parameters of vendors' APIs that look like slips of ours."""
_NEAR = 0.85
"""How alike two names are if one is a slip of the other: `top_k` is not one of `top_p`."""
_LIMITS = frozenset({"split", "rate", "budget"})
"""Tables of a few names, all of them ours: whatever else is in one is told, for a limit that is not held costs."""
_FIELDS = frozenset({*LLMRequest.model_fields} - {"model", "messages", "metadata", "profile", "tools"})
"""Parameters of requests."""
_CALLED = {
    "api_base": "base_url",
    "endpoint": "base_url",
    "url": "base_url",
    "env_key": "api_key_env",
    "key_env": "api_key_env",
    "fallback": "models",
    "fallbacks": "models",
    "model_list": "models",
    "parameters": "params",
}
"""What other programs' settings call ours."""
_COMMON = frozenset({"name", "version", "model", "provider", "tools", "url", "by", "per"})
"""Keys that mean something by themselves wherever they stand."""


def odd_keys(text: Text) -> Iterator[Finding]:
    """The unknown keys that were probably meant for something, and known ones that have no effect."""
    elsewhere = _by_key()
    for place, table, known, where in _tables(text.lockfile):
        limits = bool(place) and place[-1] in _LIMITS
        for key in table.keys() - known:
            spot = text.spot(*place, key, key=True)
            meant = _CALLED.get(key)
            if near := next(iter(alike(key, known, 1, 0.6 if limits else _NEAR)), meant if meant in known else None):
                message = f"{shown(key)} is no key of {where}; did you mean {shown(near)}?"
                step = f"Write {near}. If it is meant as it is: llmring lock check --ignore key-misspelt"
                yield Finding("key-misspelt", "warning", spot, message, step)
            elif limits:
                message = f"{shown(key)} does nothing in {where}; it has: {', '.join(sorted(known))}."
                step = "Take it out. If it is meant as it is: llmring lock check --ignore key-misplaced"
                yield Finding("key-misplaced", "warning", spot, message, step)
            if limits or place[-1:] == ("params",):
                continue
            field = key if key in _FIELDS else next(iter(alike(key, _FIELDS, 1, _NEAR)), None)
            if field is not None and (key == field or not near):
                slip = "" if key == field else f" Did you mean {shown(field)}?"
                message = f"{shown(key)} does nothing in {where}: it is a parameter of requests.{slip}"
                step = f"Write it into the params of a binding: params = {{ {field} = ... }}"
                yield Finding("params-misplaced", "warning", spot, message, step)
            elif not near and key in elsewhere:
                message = f"{shown(key)} does nothing in {where}: it is a key of {elsewhere[key]}."
                step = "Move it there. In TOML a key belongs to the header above it. If it is meant as it is: "
                yield Finding(
                    "key-misplaced", "warning", spot, message, f"{step}llmring lock check --ignore key-misplaced"
                )
    yield from _said_twice(text)


def _said_twice(text: Text) -> Iterator[Finding]:
    """The old form of a binding beside the new one, which counts; its idle constraints; models that stand by for
    themselves."""
    for profile, table in text.lockfile.data.get("profiles", {}).items():
        for index, binding in enumerate(table.get("bindings", ())):
            place: Place = ("profiles", profile, "bindings", index)
            alias, listed = shown(binding["alias"]), binding.get("models")
            for key in ("model", "provider"):
                if listed is not None and binding.get(key) is not None:
                    message = f"{shown(key)} does nothing in the binding of {alias}: its models counts."
                    spot = text.spot(*place, key, key=True)
                    yield Finding("key-misplaced", "warning", spot, message, f"Take {key} out, or models.")
            if idle := idle_constraints(binding):
                named = ", ".join(shown(key) for key in idle)
                message = f"{named} in the constraints of {alias} {'do' if idle[1:] else 'does'} nothing."
                step = "What limits a binding: rate and budget; its requests: params. Move it there, or take it out."
                spot = text.spot(*place, "constraints", key=True)
                yield Finding("constraints-idle", "warning", spot, message, step)
            seen: set[str] = set()
            for number, item in enumerate(listed or ()):
                model = item["model"] if isinstance(item, dict) else item
                if model in seen:
                    message = f"{shown(model)} is named twice in the binding of {alias}; a model stands by for others."
                    spot = text.spot(*place, "models", number)
                    yield Finding("models-repeated", "warning", spot, message, "Take one of the two out.")
                seen.add(model)


def _by_key() -> Mapping[str, str]:
    """The tables that a key belongs to, by the key; those that mean something anywhere are left out."""
    schema = json_schema()
    forms = schema["$defs"]
    tables = {
        "the file, above its tables": schema["properties"],
        "[profiles.NAME]": forms["profile"]["properties"],
        "a binding": forms["binding"]["properties"],
        "[extends]": forms["extends"]["properties"],
        "[providers.NAME]": forms["provider"]["properties"],
        "[state]": forms["state"]["properties"],
    }
    return {key: where for where, keys in tables.items() for key in keys if key not in _COMMON}


def _tables(lockfile: Lockfile) -> Iterator[tuple[Place, Mapping[str, Any], Collection[str], str]]:
    """The tables of the file: their place, what is in them, the keys that they may have, and what to call them."""
    data, schema = lockfile.data, json_schema()
    forms = schema["$defs"]
    of_binding = {key for form in (forms["binding"], *forms["binding"]["anyOf"]) for key in form["properties"]}
    params = {*LLMRequest.model_fields} - {"model", "messages"}
    yield (), data, schema["properties"].keys(), "the file"
    yield ("state",), data.get("state") or {}, forms["state"]["properties"].keys(), "[state]"
    yield ("extends",), data.get("extends") or {}, forms["extends"]["properties"].keys(), "[extends]"
    for profile, table in data.get("profiles", {}).items():
        yield ("profiles", profile), table, forms["profile"]["properties"].keys(), f"[profiles.{toml_key(profile)}]"
        for index, binding in enumerate(table.get("bindings", ())):
            place: Place = ("profiles", profile, "bindings", index)
            alias = shown(binding["alias"])
            yield place, binding, of_binding, f"the binding of {alias}"
            own = {key: value for key, value in (binding.get("params") or {}).items() if _is_ours(key)}
            yield (*place, "params"), own, params, f"the params of {alias}"
            for key in ("split", "rate", "budget"):
                yield (*place, key), binding.get(key) or {}, forms[key]["properties"].keys(), f"the {key} of {alias}"
            for number, it in enumerate(binding.get("models") or ()):
                if isinstance(it, dict):
                    spot = (*place, "models", number)
                    yield spot, it, forms["own"]["properties"].keys(), f"the table of {shown(it['model'])}"
                    own = {key: value for key, value in (it.get("params") or {}).items() if _is_ours(key)}
                    yield (*spot, "params"), own, params, f"the params of {shown(it['model'])}"
    for pattern, table in data.get("models", {}).items():
        yield ("models", pattern), table, forms["model"]["properties"].keys(), f"[models.{toml_key(pattern)}]"
    for provider, table in data.get("providers", {}).items():
        form = forms["provider"]["properties"].keys()
        yield ("providers", provider), table, form, f"[providers.{toml_key(provider)}]"


def _is_ours(param: str) -> bool:
    """Whether a parameter may be meant as a field of a request: those have no capitals, as many a vendor's have."""
    return param.islower() and param not in _OF_VENDORS
