"""From the bytes of a file to a `Lockfile`, or to an error that says where and what to do.

A good file needs no `places`, and most need no `provider_settings`: they are imported where they are needed.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from llmring.exceptions import ConfigurationError, LockfileParseError, LockfileVersionError

from .checks import refuse_secrets, shown
from .misfit import Misfit, OtherVersion, checked, kind, optional
from .model import DEFAULT_PROFILE, VERSION, Binding, Lockfile, Profile, is_name, split_reference

if TYPE_CHECKING:
    from pathlib import Path

    from .model import ProviderSettings
    from .places import Place

__all__ = ["decode", "holds_json", "parse", "parse_data"]

_BINDING_KEYS = {"alias", "models", "params", "constraints"}
_CONFLICT = re.compile(r"^(?:<<<<<<< |>>>>>>> )", re.MULTILINE)
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
        data = parse_data(text, path)
        refuse_secrets(text, data)
        _check_version(data)
        return _lockfile(data, path, is_json=holds_json(text, path))
    except Misfit as misfit:
        raise _misplaced(misfit, text, path) from None
    except RecursionError:
        raise _error("Its tables are nested too deeply", path, None, None) from None


def decode(content: bytes, path: Path | None = None) -> str:
    """The text of the bytes, line endings and a byte order mark left as they are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _error("This is not UTF-8 text. Save the file as UTF-8", path, line, column) from None


def holds_json(text: str, path: Path | None = None) -> bool:
    """Whether the text is meant as JSON. No TOML document begins with a brace."""
    return text.removeprefix("\ufeff").lstrip().startswith("{") or (path is not None and path.suffix == ".json")


def parse_data(text: str, path: Path | None = None) -> dict[str, Any]:
    """The tables of the text, before anything is asked about what they say."""
    source = text.removeprefix("\ufeff")
    if conflict := _CONFLICT.search(source):
        line = source.count("\n", 0, conflict.start()) + 1
        raise _error(
            "A merge ended in conflict here, and its marks still stand in the file. Keep the one side, the other, or "
            f"both, and delete the marks; or take one whole: git checkout --ours (or --theirs) {path or 'FILE'}",
            path,
            line,
            1,
        )
    if not source.strip():
        raise _error("The file is empty. A new one is written by: llmring lock init --force", path, 1, 1)
    try:
        return _json_data(text, path) if holds_json(text, path) else tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(error, source, path) from None
    except ValueError as error:
        raise _unreadable_value(error, source, path) from None


def _json_data(text: str, path: Path | None) -> dict[str, Any]:
    import json

    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in table if names.count(name) > 1)
        return table

    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise _error(f"This is not valid JSON: {error.msg}", path, error.lineno, error.colno) from None
    if not isinstance(data, dict):
        raise _error(f"A lockfile is an object, not {kind(data)}", path, 1, 1)
    if repeated:
        raise _misplaced(_repetition(text, repeated[0]), text, path)
    return data


def _repetition(text: str, name: str) -> Misfit:
    from .places import scan

    seen: set[Place] = set()
    for entry in scan(text, is_json=True):
        if entry.place in seen:
            return Misfit(f"The key {shown(entry.place[-1])} stands here twice. Keep one", offset=entry.start)
        seen.add(entry.place)
    return Misfit(f"The key {shown(name)} stands twice in one object. Keep one")


def _toml_error(error: tomllib.TOMLDecodeError, source: str, path: Path | None) -> LockfileParseError:
    from .places import line_and_column

    # Python 3.14 gives the place as attributes, those before it only in the message.
    message = str(error)
    found = re.search(r" \((?:at line (\d+), column (\d+)|at end of document)\)$", message)
    line, column = line_and_column(source, len(source))
    if found and found[1]:
        line, column = int(found[1]), int(found[2])
    return _error(f"This is not valid TOML: {message[: found.start()] if found else message}", path, line, column)


def _unreadable_value(error: ValueError, source: str, path: Path | None) -> LockfileParseError:
    """Python itself refuses an integer of thousands of digits, and says neither where it stands nor what to do."""
    from .places import line_and_column

    number = re.search(r"\d[\d_]{4000,}", source)
    if number is None:
        return _error(f"A value cannot be read: {error}", path, None, None)
    place = line_and_column(source, number.start())
    return _error("This number has more digits than can be read. Write a shorter one", path, *place)


def _misplaced(misfit: Misfit, text: str, path: Path | None) -> LockfileParseError | LockfileVersionError:
    from .places import line_and_column, locate, scan

    offset, is_json = misfit.offset, holds_json(text, path)
    if offset is None:
        offset = locate(scan(text, is_json=is_json), misfit.place)
    message = _LINE.sub(r'\1 "\2": ', str(misfit)) if is_json else str(misfit)
    error = _error(message, path, *line_and_column(text, offset))
    if isinstance(misfit, OtherVersion):
        return LockfileVersionError(str(error), path=path, line=error.line, column=error.column)
    return error


def _error(message: str, path: Path | None, line: int | None, column: int | None) -> LockfileParseError:
    spot = str(path or "lockfile") + (f":{line}:{column}" if line else "")
    return LockfileParseError(f"{spot}: {message}", path=path, line=line, column=column)


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


def _lockfile(data: dict[str, Any], path: Path | None, *, is_json: bool) -> Lockfile:
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
    return Lockfile(
        default_profile=default,
        profiles=profiles,
        extends=_extends(data.get("extends")),
        providers=_providers(data.get("providers", {})),
        path=path,
        is_json=is_json,
        data=data,
    )


def _profile(name: str, raw: Any, place: Place) -> Profile:
    if not is_name(name):
        raise Misfit(f"The profile's name {shown(name)} is empty or holds white space", place)
    table = checked(raw, dict, f"profiles.{name}", place)
    place = (*place, "bindings")
    bindings: dict[str, Binding] = {}
    listed = table.get("bindings", [])
    if isinstance(listed, dict):
        from .rendering import toml_key

        raise Misfit(
            "bindings must be a list, not a table. In TOML each binding has a header of its own, with two brackets: "
            f"[[profiles.{toml_key(name)}.bindings]]",
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
    constraints = table.get("constraints")
    known = _BINDING_KEYS if table.get("models") is not None else {*_BINDING_KEYS, "provider", "model"}
    return Binding(
        alias=alias,
        models=_models(table, alias, place),
        params=optional(table.get("params"), dict, "params", (*place, "params")) or {},
        constraints=optional(constraints, dict, "constraints", (*place, "constraints")),
        extra={key: value for key, value in table.items() if key not in known},
    )


def _models(table: dict[str, Any], alias: str, place: Place) -> tuple[str, ...]:
    if table.get("models") is None:
        return (_single_model(table, alias, place),)
    place = (*place, "models")
    models = table["models"]
    if isinstance(models, str):
        raise Misfit(f"models must be a list. Write: models = [{shown(models)}]", place)
    if not checked(models, list, "models", place):
        raise Misfit(f"models is empty. Write at least one, as in: {_bind(alias)}", place)
    return tuple(_reference(model, (*place, index)) for index, model in enumerate(models))


def _single_model(table: dict[str, Any], alias: str, place: Place) -> str:
    """The model of a binding as early 1.x files have it: `model`, with or without a `provider` beside it."""
    model, provider = table.get("model"), table.get("provider")
    if model is None:
        raise Misfit(
            f'The alias {shown(alias)} has no models. Write: models = ["provider:model"], or run: {_bind(alias)}',
            place,
        )
    if isinstance(model, list):
        raise Misfit('A list of models is called models. Write: models = ["provider:model"]', (*place, "model"))
    model = checked(model, str, "model", (*place, "model"))
    if provider is not None:
        provider = checked(provider, str, "provider", (*place, "provider"))
        model = model if model.startswith(f"{provider}:") else f"{provider}:{model}"
    return _reference(model, (*place, "model"))


def _bind(alias: str) -> str:
    from .advice import bind

    return bind(alias)


def _reference(value: Any, place: Place) -> str:
    reference = checked(value, str, "A model", place)
    try:
        split_reference(reference)
    except ConfigurationError as error:
        raise Misfit(str(error), place) from None
    return reference


def _providers(raw: Any) -> dict[str, ProviderSettings]:
    tables = checked(raw, dict, "providers", ("providers",))
    if not tables:
        return {}
    from .provider_settings import provider_settings

    return {name: provider_settings(name, table, ("providers", name)) for name, table in tables.items()}


def _extends(raw: Any) -> tuple[str, ...]:
    place: Place = ("extends", "packages")
    table = optional(raw, dict, "extends", ("extends",)) or {}
    packages = checked(table.get("packages", []), list, "packages", place)
    for index, package in enumerate(packages):
        name = checked(package, str, "A package", (*place, index))
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise Misfit(f"{shown(name)} cannot name a package", (*place, index))
    return tuple(packages)
