"""The lockfile by itself: its packages, its keys, its params, its tables of providers, and the models that it binds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..addresses import host_of, is_this_machine
from ..exceptions import (
    ConfigurationError,
    LLMRingError,
    LockfileError,
    LockfileParseError,
    LockfileVersionError,
    ProviderNotFoundError,
)
from ..lockfile import Lockfile, package_lockfile
from ..lockfile.extends import missing
from ..lockfile.places import Place
from ..lockfile.rendering import toml_key
from ..providers.endpoints import endpoint
from ..providers.headers import variables_in
from ..providers.secrets import has_name_of, is_owned, secrets_of
from ..references import bind_command, escaped, shown, unbind_command
from ..request import seconds, with_params
from ..schemas import LLMRequest
from ..structured import answer_format
from ..tool_dialects import tool_mode
from ..tools import definitions
from .findings import Finding, Mention
from .keys import odd_keys
from .text import Text

if TYPE_CHECKING:
    from ..lockfile import Binding, ProviderSettings
    from ..providers.endpoints import Endpoint

__all__ = ["bind", "broken_packages", "doubts", "mentions", "unbind"]

_SECRET = re.compile(
    "(?:.*_)?(?:APIKEY|AUTH|COOKIE|CREDENTIALS?|DSN|KEY|PASS|PASSWD|PASSWORD|PRIVATE|PWD|SECRET|SESSION|TOKEN|UR[IL])(?:_.*)?",
    re.IGNORECASE,
)
"""Words of a variable that holds what is nobody else's business; a header may well name a harmless one (`$TEAM`)."""


def bind(lockfile: Lockfile, alias: str, profile: str | None = None) -> str:
    """The command that binds an alias in a profile; it names none where that is the default one."""
    return bind_command(alias, None if profile == lockfile.default_profile else profile)


def unbind(lockfile: Lockfile, alias: str, profile: str) -> str:
    """The command that takes an alias out of a profile."""
    return unbind_command(alias, None if profile == lockfile.default_profile else profile)


def mentions(text: Text) -> Iterator[Mention]:
    """The models that the file binds, each where it is written."""
    for profile, binding in _bindings(text.lockfile):
        fix = f"To bind another one: {bind(text.lockfile, binding.alias, profile)}"
        for index, model in enumerate(binding.models):
            spot = text.spot_in_binding(profile, binding.alias, "models", index)
            yield Mention(model, spot, fix, bound=True)


def broken_packages(text: Text) -> Iterator[tuple[str, Finding]]:
    """The packages of `[extends]` whose aliases cannot be had, each with the finding that says so."""
    for index, package in enumerate(text.lockfile.extends):
        try:
            package_lockfile(package)
        except (LockfileParseError, LockfileVersionError) as error:
            message, step = str(error), "Install another version of the package, or take it out of [extends]."
        except LockfileError:
            message, step = missing(package)
        else:
            continue
        yield package, Finding("extends-unresolved", "error", text.spot("extends", "packages", index), message, step)


def doubts(text: Text, registered: Collection[str] = ()) -> Iterator[Finding]:
    """What is wrong with the file, or looks so, its packages and its models apart.

    Args:
        text: the file.
        registered: providers that the program registers.
    """
    yield from odd_keys(text)
    yield from _unusable_params(text)
    yield from _unknown_tools(text)
    bound = {model.partition(":")[0] for _, binding in _bindings(text.lockfile) for model in binding.models}
    for name, settings in text.lockfile.providers.items():
        try:
            target = endpoint(name, settings, others=text.lockfile.providers)
        except ProviderNotFoundError as error:
            if name not in bound and settings.sdk not in registered:  # else it is found unknown there, with the model
                spot = text.spot("providers", name, *(["sdk"] if settings.sdk else []))
                yield Finding("provider-unknown", "error", spot, str(error), f"Correct it in {text.path}.")
            continue
        if target.origin == "lockfile" and settings.base_url is None and target.address is not None:
            yield _lack_of_address(text, target, settings)
        yield from _loose_keys(text, target, settings)


def _bindings(lockfile: Lockfile) -> Iterator[tuple[str, Binding]]:
    """Every binding, with the profile that it is in."""
    return ((profile.name, binding) for profile in lockfile.profiles.values() for binding in profile.bindings.values())


def _unusable_params(text: Text) -> Iterator[Finding]:
    """The bindings whose params every request would fail with."""
    for profile, binding in _bindings(text.lockfile):
        if binding.params and (problem := _problem(binding)):
            spot = text.spot_in_binding(profile, binding.alias, "params")
            message = f"No request can be made under the alias {shown(binding.alias)}: {problem}"
            step = f"Correct its params, or take them out, in {text.path}."
            yield Finding("params-invalid", "error", spot, message, step)


def _problem(binding: Binding) -> str | None:
    """What a request with these params would be refused for, by the same code. A choice of tools is the request's."""
    try:
        request = with_params(LLMRequest(model=binding.models[0], messages=[]), replace(binding, tools=None))
        seconds(request.timeout, "timeout")
        answer_format(definitions(request) if request.tools is not None else request)
    except LLMRingError as error:
        return escaped(str(error))
    return None


def _unknown_tools(text: Text) -> Iterator[Finding]:
    """The `tools` that name no dialect."""
    said = [
        (text.spot_in_binding(profile, it.alias, "tools"), it.tools)
        for profile, it in _bindings(text.lockfile)
        if it.tools is not None
    ]
    said += [
        (text.spot("providers", name, "tools"), it.tools)
        for name, it in text.lockfile.providers.items()
        if it.tools is not None
    ]
    for spot, tools in said:
        try:
            tool_mode(tools)
        except ConfigurationError as error:
            yield Finding("tools-unknown", "error", spot, escaped(str(error)), f"Correct it in {text.path}.")


def _lack_of_address(text: Text, target: Endpoint, settings: ProviderSettings) -> Finding:
    """A table of a name of one's own that says nothing of where it is."""
    table, home = f"[providers.{toml_key(target.name)}]", target.sdk.home or target.sdk.base_url
    others = f", or where {target.sdk.address_variables[0]} says" if target.sdk.address_variables else ""
    message = (
        f"{table} names no base_url, so its requests{' and its key' * bool(settings.api_key_env)} go to {home}{others}."
    )
    step = f'Write its address in {table}; that one, if it is meant: base_url = "{home}"'
    return Finding("address-missing", "warning", text.spot("providers", target.name), message, step)


def _loose_keys(text: Text, target: Endpoint, settings: ProviderSettings) -> Iterator[Finding]:
    """The keys that a table sends over plain http, and the variables in it that are, by their names, others'."""
    name, url, variables = target.name, settings.base_url, _secrets_named(settings)
    place, table = ("providers", name), f"[providers.{toml_key(name)}]"
    row = target.dialect if target.origin != "lockfile" else None
    sent = [*variables] or [*(target.key_variables if row is not None and not row.local else ())]
    if url is not None and url.startswith("http://") and sent and not is_this_machine(url):
        message = f"{table} sends {shown(sent[0])} to {host_of(url)} over plain http: whoever is on the way reads it."
        step = "Write https:// in its base_url. Where nobody is on the way: llmring lock check --ignore key-over-http"
        yield Finding("key-over-http", "warning", text.spot(*place, "base_url"), message, step)
    for secret in secrets_of(target):
        named = is_owned(secret) or has_name_of(secret.source, name, secret.address)
        if secret.source in variables and not named:
            message = f"{table} is given {shown(secret.source)}, which is not {name}'s by its name."
            step = "Name its own variable. If it is meant as it is: llmring lock check --ignore key-foreign"
            yield Finding("key-foreign", "warning", text.spot(*place, *variables[secret.source]), message, step)


def _secrets_named(settings: ProviderSettings) -> dict[str, Place]:
    """The variables that a table names as holding a secret, and where below the table."""
    found: dict[str, Place] = {}
    for header, written in settings.headers.items():
        found |= {variable: ("headers", header) for variable in variables_in(written) if _SECRET.fullmatch(variable)}
    return {settings.api_key_env: ("api_key_env",), **found} if settings.api_key_env else found
