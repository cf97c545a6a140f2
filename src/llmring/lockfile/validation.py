"""From the data of a file to the `Lockfile` that it is, or to the `Misfit` that says what is wrong with it where."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from ..exceptions import ConfigurationError
from ..references import bind_command, is_name, shown, split_reference
from . import rendering
from .model import DEFAULT_PROFILE, VERSION, Binding, Lockfile, Misfit, OtherVersion, Place, Profile, ProviderSettings

__all__ = ["APIS", "kind", "validated"]

APIS = ("chat", "responses")
"""What `api` can say: which of OpenAI's APIs an endpoint speaks."""

_T = TypeVar("_T")
_KINDS: dict[type, str] = {
    dict: "a table",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}
_BINDING_KEYS = {"alias", "models", "params", "constraints"}
_STRINGS = ("sdk", "base_url", "api_key_env", "api", "api_version")
_PROVIDER_KEYS = {*_STRINGS, "think_tags", "headers"}


def validated(data: dict[str, Any]) -> Lockfile:
    """What the data says.

    Raises:
        Misfit: it has another version than this release reads, or a field the wrong form.
    """
    _check_version(data)
    default = data.get("default_profile", DEFAULT_PROFILE)
    if not isinstance(default, str) or not is_name(default):
        raise Misfit('default_profile must be the name of a profile, as in "default"', ("default_profile",))
    profiles = {
        name: _profile(name, raw, ("profiles", name))
        for name, raw in _checked(data.get("profiles", {}), dict, "profiles", ("profiles",)).items()
    }
    if default not in profiles:
        if profiles and "default_profile" in data:
            raise Misfit(
                f"default_profile names {shown(default)}, but the profiles are: {', '.join(profiles)}",
                ("default_profile",),
            )
        profiles[default] = Profile(default)
    providers = _checked(data.get("providers", {}), dict, "providers", ("providers",))
    return Lockfile(
        default_profile=default,
        profiles=profiles,
        extends=_extends(data.get("extends")),
        providers={name: _provider(name, raw, ("providers", name)) for name, raw in providers.items()},
        data=data,
    )


def kind(value: Any) -> str:
    """What a value is, in words, as TOML and JSON have them: `"a table"`."""
    return _KINDS.get(type(value), "a date or a time")


def _checked(value: Any, wanted: type[_T], name: str, place: Place) -> _T:
    """The value, if it is of the wanted kind; else raises a `Misfit` that calls it by the name."""
    if not isinstance(value, wanted):
        raise Misfit(f"{name} must be {_KINDS[wanted]}, not {kind(value)}", place)
    return value


def _optional(value: Any, wanted: type[_T], name: str, place: Place) -> _T | None:
    return None if value is None else _checked(value, wanted, name, place)


def _check_version(data: dict[str, Any]) -> None:
    if "version" not in data:
        raise Misfit(f'The file names no version. Begin it with: version = "{VERSION}"', offset=0)
    version = data["version"]
    if not isinstance(version, str):
        raise Misfit(f'version must be a string, not {kind(version)}. Write: version = "{VERSION}"', ("version",))
    if not re.fullmatch(r"\d+(\.\d+){0,3}", version, re.ASCII):
        raise Misfit(f'{shown(version)} is no version. Write: version = "{VERSION}"', ("version",))
    if re.sub(r"(\.0+)*$", "", version) != VERSION.removesuffix(".0"):
        raise OtherVersion(
            f'The file has version {shown(version)}; this release of llmring reads "{VERSION}". '
            "If it was written by a newer one, take the newest llmring.",
            ("version",),
        )


def _profile(name: str, raw: Any, place: Place) -> Profile:
    if not is_name(name):
        raise Misfit(f"The profile's name {shown(name)} is empty or holds white space", place)
    table = _checked(raw, dict, f"profiles.{name}", place)
    place = (*place, "bindings")
    bindings: dict[str, Binding] = {}
    listed = table.get("bindings", [])
    if isinstance(listed, dict):
        raise Misfit(
            "bindings must be a list, not a table. In TOML each binding has a header of its own, with two brackets: "
            f"[[profiles.{rendering.toml_key(name)}.bindings]]",
            place,
        )
    for index, item in enumerate(_checked(listed, list, "bindings", place)):
        binding = _binding(item, (*place, index))
        if binding.alias in bindings:
            raise Misfit(
                f'The alias {shown(binding.alias)} is bound twice in the profile "{name}". Keep one of the two',
                (*place, index, "alias"),
            )
        bindings[binding.alias] = binding
    return Profile(name, bindings)


def _binding(raw: Any, place: Place) -> Binding:
    table = _checked(raw, dict, "A binding", place)
    if "alias" not in table:
        raise Misfit('This binding has no alias. Add: alias = "NAME"', place)
    alias = _checked(table["alias"], str, "alias", (*place, "alias"))
    if not is_name(alias):
        raise Misfit(f"The alias {shown(alias)} is empty or holds white space", (*place, "alias"))
    known = _BINDING_KEYS if table.get("models") is not None else {*_BINDING_KEYS, "provider", "model"}
    return Binding(
        alias=alias,
        models=_models(table, alias, place),
        params=_optional(table.get("params"), dict, "params", (*place, "params")) or {},
        constraints=_optional(table.get("constraints"), dict, "constraints", (*place, "constraints")),
        extra={key: value for key, value in table.items() if key not in known},
    )


def _models(table: dict[str, Any], alias: str, place: Place) -> tuple[str, ...]:
    models = table.get("models")
    if models is None:
        return (_single_model(table, alias, place),)
    place = (*place, "models")
    if isinstance(models, str):
        raise Misfit(f"models must be a list. Write: models = [{shown(models)}]", place)
    if not _checked(models, list, "models", place):
        raise Misfit(f"models is empty. Write at least one, as in: {bind_command(alias)}", place)
    return tuple(_reference(model, (*place, index)) for index, model in enumerate(models))


def _single_model(table: dict[str, Any], alias: str, place: Place) -> str:
    """The model of a binding as early 1.x files have it: `model`, with or without a `provider` beside it."""
    model, provider = table.get("model"), table.get("provider")
    if model is None:
        raise Misfit(
            f'The alias {shown(alias)} has no models. Write: models = ["provider:model"], '
            f"or run: {bind_command(alias)}",
            place,
        )
    if isinstance(model, list):
        raise Misfit('A list of models is called models. Write: models = ["provider:model"]', (*place, "model"))
    model = _checked(model, str, "model", (*place, "model"))
    if provider is not None:
        provider = _checked(provider, str, "provider", (*place, "provider"))
        model = model if model.startswith(f"{provider}:") else f"{provider}:{model}"
    return _reference(model, (*place, "model"))


def _reference(value: Any, place: Place) -> str:
    reference = _checked(value, str, "A model", place)
    try:
        split_reference(reference)
    except ConfigurationError as error:
        raise Misfit(str(error), place) from None
    return reference


def _extends(raw: Any) -> tuple[str, ...]:
    place: Place = ("extends", "packages")
    table = _optional(raw, dict, "extends", ("extends",)) or {}
    packages = _checked(table.get("packages", []), list, "packages", place)
    for index, package in enumerate(packages):
        name = _checked(package, str, "A package", (*place, index))
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise Misfit(f"{shown(name)} cannot name a package", (*place, index))
    return tuple(packages)


def _provider(name: str, raw: Any, place: Place) -> ProviderSettings:
    if not is_name(name) or ":" in name or "/" in name:
        raise Misfit(f"The provider's name {shown(name)} is empty or holds white space, a colon or a slash", place)
    table = _checked(raw, dict, f"providers.{name}", place)
    sdk, base_url, api_key_env, api, version = (_line(table.get(key), key, (*place, key)) for key in _STRINGS)
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise Misfit("base_url must begin with http:// or https://", (*place, "base_url"))
    if api not in (None, *APIS):
        raise Misfit(f"api is {shown(api)}. Write: {' or '.join(f'api = {shown(it)}' for it in APIS)}", (*place, "api"))
    if version is not None and not re.fullmatch(r"[A-Za-z0-9._-]+", version):
        raise Misfit(f"api_version is {shown(version)}; it is a word as in v1beta", (*place, "api_version"))
    tags = _optional(table.get("think_tags"), bool, "think_tags", (*place, "think_tags"))
    headers = _headers(table, (*place, "headers"))
    extra = {key: value for key, value in table.items() if key not in _PROVIDER_KEYS}
    return ProviderSettings(sdk, base_url, api_key_env, api, version, tags, headers, extra)


def _headers(table: dict[str, Any], place: Place) -> dict[str, str]:
    headers = _optional(table.get("headers"), dict, "headers", place) or {}
    for header, value in headers.items():
        _line(header, "The name of a header", (at := (*place, header)))
        _line(_checked(value, str, f"The header {shown(header)}", at), f"The header {shown(header)}", at)
    return headers


def _line(value: Any, name: str, place: Place) -> str | None:
    """A string that goes to a terminal and over the wire as it is, if it is given."""
    text = _optional(value, str, name, place)
    if text is not None and not text.isprintable():
        raise Misfit(f"{name} holds a character that cannot be seen: {shown(text)}. Take it out", place)
    return text
