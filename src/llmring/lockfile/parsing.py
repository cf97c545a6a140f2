"""From the bytes of a file to a `Lockfile`, or to an error that says where and what to do.

A good file needs no `places`: they are imported with the first error that needs its line.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import vendors
from ..exceptions import LockfileParseError, LockfileVersionError
from ..references import bind_command, is_name, shown, word
from . import places, policy_keys, rendering
from .forms import checked, kind, line, optional, reference
from .model import (
    DEFAULT_PROFILE,
    VERSION,
    Binding,
    Lockfile,
    Misfit,
    ModelSettings,
    OtherVersion,
    Place,
    Profile,
    ProviderSettings,
)
from .secrets import refuse_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from .model import Place

__all__ = ["APIS", "decode", "holds_json", "parse", "validated"]

_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: (.*?))?\r?$", re.MULTILINE)
_LINE = re.compile(r"(Begin it with:|Write:|Add:|as in| or) (\w+) = ")
"""A line that a message advises, as TOML has it."""


def parse(content: bytes, path: Path | None = None) -> Lockfile:
    """The lockfile that the bytes hold, TOML or JSON.

    Args:
        content: UTF-8, with or without a byte order mark.
        path: where it comes from, for messages and for `Lockfile.path`.

    Raises:
        LockfileParseError: it is broken, a field has the wrong form, or it holds a secret.
        LockfileVersionError: it has a version that this release does not read.
    """
    text = decode(content, path)
    try:
        data = _data(text, path)
        refuse_secrets(text, data)
        return replace(validated(data), path=path, is_json=holds_json(text, path))
    except Misfit as misfit:
        raise _misplaced(misfit, text, path) from None
    except RecursionError:
        raise _error("Its tables are nested too deeply", path, None) from None


def decode(content: bytes, path: Path | None = None) -> str:
    """The text of the bytes, line endings and a byte order mark left as they are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        spot = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _error("This is not UTF-8 text. Save the file as UTF-8", path, spot) from None


def holds_json(text: str, path: Path | None = None) -> bool:
    """Whether the text is meant as JSON. No TOML document begins with a brace."""
    return text.removeprefix("\ufeff").lstrip().startswith("{") or (path is not None and path.suffix == ".json")


def _data(text: str, path: Path | None) -> dict[str, Any]:
    """The tables of the text, before anything is asked about what they say."""
    source = text.removeprefix("\ufeff")
    if marks := [*_CONFLICT.finditer(source)]:
        named = [shown(it[1]) for it in marks[:2] if it[1]]
        file = word(str(path), "FILE") if path is not None else "FILE"
        sides = f" of {named[0]} and {named[1]}" if len(named) == 2 else ""
        raise _error(
            f"A merge{sides} ended in conflict here, and its marks still stand in the file. Keep the "
            "one side, the other, or both, and delete the marks; or take one whole: "
            f"git checkout --ours {file}, or git checkout --theirs {file}",
            path,
            (source.count("\n", 0, marks[0].start()) + 1, 1),
        )
    if not source.strip():
        raise _error("The file is empty. A new one is written by: llmring lock init --force", path, (1, 1))
    try:
        return _json_data(text, path) if holds_json(text, path) else tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(error, source, path) from None
    except ValueError as error:
        # Python itself refuses an integer of thousands of digits, and says neither where it stands nor what to do.
        if number := re.search(r"\d[\d_]{4000,}", source):
            raise Misfit(
                "This number has more digits than can be read. Write a shorter one",
                offset=number.start() + len(text) - len(source),
            ) from None
        raise _error(f"A value cannot be read: {error}", path, None) from None


def _json_data(text: str, path: Path | None) -> dict[str, Any]:
    import json

    repeated: list[str] = []
    beyond: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in table if names.count(name) > 1)
        return table

    def finite(written: str) -> float:
        if not math.isfinite(number := float(written)):
            beyond.append(written)
        return number

    try:
        data = json.loads(
            text.removeprefix("\ufeff"), object_pairs_hook=collect, parse_float=finite, parse_constant=finite
        )
    except json.JSONDecodeError as error:
        raise _error(f"This is not valid JSON: {error.msg}", path, (error.lineno, error.colno)) from None
    if not isinstance(data, dict):
        raise _error(f"A lockfile is an object, not {kind(data)}", path, (1, 1))
    if repeated:
        raise _repetition(text, repeated[0])
    if beyond:
        entries = places.scan(text, is_json=True)
        offset = next((it.value for it in entries if text[it.value : it.end] == beyond[0]), None)
        raise Misfit(f"{beyond[0]} is no finite number. Write one that is, or take it out", offset=offset)
    return data


def _repetition(text: str, name: str) -> Misfit:
    seen: set[Place] = set()
    for entry in places.scan(text, is_json=True):
        if entry.place in seen:
            return Misfit(f"The key {shown(entry.place[-1])} stands here twice. Keep one", offset=entry.start)
        seen.add(entry.place)
    return Misfit(f"The key {shown(name)} stands twice in one object. Keep one")


def _toml_error(error: tomllib.TOMLDecodeError, source: str, path: Path | None) -> LockfileParseError:
    # Python 3.14 gives the place as attributes, those before it only in the message.
    message = str(error)
    found = re.search(r" \((?:at line (\d+), column (\d+)|at end of document)\)$", message)
    spot = (int(found[1]), int(found[2])) if found and found[1] else places.line_and_column(source, len(source))
    return _error(f"This is not valid TOML: {message[: found.start()] if found else message}", path, spot)


def _misplaced(misfit: Misfit, text: str, path: Path | None) -> LockfileParseError | LockfileVersionError:
    offset, is_json = misfit.offset, holds_json(text, path)
    if offset is None:
        offset = places.locate(places.scan(text, is_json=is_json), misfit.place)
    message = _LINE.sub(r'\1 "\2": ', str(misfit)) if is_json else str(misfit)
    error = _error(message, path, places.line_and_column(text, offset))
    if isinstance(misfit, OtherVersion):
        return LockfileVersionError(str(error), path=path, line=error.line, column=error.column)
    return error


def _error(message: str, path: Path | None, spot: tuple[int, int] | None) -> LockfileParseError:
    line, column = spot or (None, None)
    where = str(path or "lockfile") + (f":{line}:{column}" if spot else "")
    return LockfileParseError(f"{where}: {message}", path=path, line=line, column=column)


APIS = ("chat", "responses")
"""What `api` can say: which of OpenAI's APIs an endpoint speaks."""

_POLICY_KEYS = frozenset(
    {"split", "sticky", "hedge_after", "deadline", "move_on", "on_refused_param", "rate", "budget", "constraints"}
)
_BINDING_KEYS = _POLICY_KEYS | {"alias", "models", "params", "tools"}
_STRINGS = ("sdk", "base_url", "api_key_env", "api", "api_version", "tools")
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
        for name, raw in checked(data.get("profiles", {}), dict, "profiles", ("profiles",)).items()
    }
    if default not in profiles:
        if profiles and "default_profile" in data:
            raise Misfit(
                f"default_profile names {shown(default)}, but the profiles are: {', '.join(profiles)}",
                ("default_profile",),
            )
        profiles[default] = Profile(default)
    providers = checked(data.get("providers", {}), dict, "providers", ("providers",))
    models = checked(data.get("models", {}), dict, "models", ("models",))
    return Lockfile(
        default_profile=default,
        profiles=profiles,
        extends=_extends(data.get("extends")),
        providers={name: _provider(name, raw, ("providers", name)) for name, raw in providers.items()},
        models={pattern: _model(pattern, raw, ("models", pattern)) for pattern, raw in models.items()},
        state=policy_keys.state_of(data["state"]) if "state" in data else None,
        data=data,
    )


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
    table = checked(raw, dict, f"profiles.{name}", place)
    place = (*place, "bindings")
    bindings: dict[str, Binding] = {}
    listed = table.get("bindings", [])
    if isinstance(listed, dict):
        raise Misfit(
            "bindings must be a list, not a table. In TOML each binding has a header of its own, with two brackets: "
            f"[[profiles.{rendering.toml_key(name)}.bindings]]",
            place,
        )
    for index, item in enumerate(checked(listed, list, "bindings", place)):
        binding = _binding(item, (*place, index))
        if binding.alias in bindings:
            raise Misfit(
                f'The alias {shown(binding.alias)} is bound twice in the profile "{name}". Keep one of the two',
                (*place, index, "alias"),
            )
        bindings[binding.alias] = binding
    return Profile(name, bindings)


def _binding(raw: Any, place: Place) -> Binding:
    table = checked(raw, dict, "A binding", place)
    if "alias" not in table:
        raise Misfit('This binding has no alias. Add: alias = "NAME"', place)
    alias = checked(table["alias"], str, "alias", (*place, "alias"))
    if not is_name(alias):
        raise Misfit(f"The alias {shown(alias)} is empty or holds white space", (*place, "alias"))
    known = _BINDING_KEYS if table.get("models") is not None else _BINDING_KEYS | {"provider", "model"}
    models = _models(table, alias, place)
    return Binding(
        alias=alias,
        models=models,
        params=optional(table.get("params"), dict, "params", (*place, "params")) or {},
        constraints=optional(table.get("constraints"), dict, "constraints", (*place, "constraints")),
        tools=line(table.get("tools"), "tools", (*place, "tools")),
        policy=policy_keys.policy_of(table, models, place) if _has_policy(table) else None,
        extra={key: value for key, value in table.items() if key not in known},
    )


def _has_policy(table: dict[str, Any]) -> bool:
    """Whether a binding may say how it is served, beside who serves it."""
    listed = table.get("models") or ()
    return not _POLICY_KEYS.isdisjoint(table) or any(isinstance(it, dict) for it in listed)


def _models(table: dict[str, Any], alias: str, place: Place) -> tuple[str, ...]:
    models = table.get("models")
    if models is None:
        return (_single_model(table, alias, place),)
    place = (*place, "models")
    if isinstance(models, str):
        raise Misfit(f"models must be a list. Write: models = [{shown(models)}]", place)
    if not checked(models, list, "models", place):
        raise Misfit(f"models is empty. Write at least one, as in: {bind_command(alias)}", place)
    return tuple(
        reference(it, (*place, index)) if isinstance(it, str) else policy_keys.named(it, (*place, index))
        for index, it in enumerate(models)
    )


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
    model = checked(model, str, "model", (*place, "model"))
    if provider is not None:
        provider = checked(provider, str, "provider", (*place, "provider"))
        model = model if model.startswith(f"{provider}:") else f"{provider}:{model}"
    return reference(model, (*place, "model"))


def _extends(raw: Any) -> tuple[str, ...]:
    place: Place = ("extends", "packages")
    table = optional(raw, dict, "extends", ("extends",)) or {}
    packages = checked(table.get("packages", []), list, "packages", place)
    for index, package in enumerate(packages):
        name = checked(package, str, "A package", (*place, index))
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise Misfit(f"{shown(name)} cannot name a package", (*place, index))
    return tuple(packages)


def _provider(name: str, raw: Any, place: Place) -> ProviderSettings:
    if not is_name(name) or ":" in name or "/" in name:
        raise Misfit(f"The provider's name {shown(name)} is empty or holds white space, a colon or a slash", place)
    table = checked(raw, dict, f"providers.{name}", place)
    sdk, base_url, api_key_env, api, version, tools = (line(table.get(key), key, (*place, key)) for key in _STRINGS)
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise Misfit("base_url must begin with http:// or https://", (*place, "base_url"))
    if api not in (None, *APIS):
        raise Misfit(f"api is {shown(api)}. Write: {' or '.join(f'api = {shown(it)}' for it in APIS)}", (*place, "api"))
    if version is not None and not re.fullmatch(r"[A-Za-z0-9._-]+", version):
        raise Misfit(f"api_version is {shown(version)}; it is a word as in v1beta", (*place, "api_version"))
    tags = optional(table.get("think_tags"), bool, "think_tags", (*place, "think_tags"))
    headers = _headers(table, (*place, "headers"))
    extra = {key: value for key, value in table.items() if key not in _PROVIDER_KEYS}
    return ProviderSettings(sdk, base_url, api_key_env, api, version, tags, tools, headers, extra)


def _model(pattern: str, raw: Any, place: Place) -> ModelSettings:
    if not is_name(pattern):
        raise Misfit(f"The pattern {shown(pattern)} is empty or holds white space", place)
    table = checked(raw, dict, f"models.{rendering.toml_key(pattern)}", place)
    facts = {name: _fact(name, table[name], (*place, name)) for name in vendors.FACTS if table.get(name) is not None}
    return ModelSettings(facts, {key: value for key, value in table.items() if key not in vendors.FACTS})


def _fact(name: str, value: Any, place: Place) -> Any:
    if vendors.FACTS[name] is int:
        if type(value) not in (int, float) or not 1 <= value < math.inf or value != value // 1:
            raise Misfit(f"{name} must be a whole number of tokens, 1 or more", place)
        return int(value)
    value = checked(value, vendors.FACTS[name], name, place)
    if vendors.FACTS[name] is list:
        what = f"An item of {name}"
        return tuple(line(checked(it, str, what, (*place, at)), what, (*place, at)) for at, it in enumerate(value))
    return value


def _headers(table: dict[str, Any], place: Place) -> dict[str, str]:
    headers = optional(table.get("headers"), dict, "headers", place) or {}
    for header, value in headers.items():
        line(header, "The name of a header", (at := (*place, header)))
        line(checked(value, str, f"The header {shown(header)}", at), f"The header {shown(header)}", at)
    return headers
