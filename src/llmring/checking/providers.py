"""Whether the tables of providers can be used, those that no model is bound to as well, and lead where they seem to;
and whether what they do with keys is what one does with keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..addresses import host_of, is_this_machine
from ..exceptions import ProviderNotFoundError
from ..lockfile.checks import shown
from ..lockfile.rendering import toml_key
from ..providers.endpoints import endpoint, variables_in
from ..providers.secrets import has_name_of, is_owned, secrets_of
from ..providers.vendors import BUILT_IN
from .bindings import Source
from .findings import Finding

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings
    from ..lockfile.places import Place
    from ..providers.endpoints import Endpoint

__all__ = ["doubtful_providers", "loose_keys"]

_SECRET = re.compile(
    "(?:.*_)?(?:APIKEY|AUTH|COOKIE|CREDENTIALS?|DSN|KEY|PASS|PASSWD|PASSWORD|PRIVATE|PWD|SECRET|SESSION|TOKEN|UR[IL])(?:_.*)?",
    re.IGNORECASE,
)
"""Words of a variable that holds what is nobody else's business; a header may well name a harmless one (`$TEAM`)."""


def doubtful_providers(source: Source) -> Iterator[Finding]:
    """The tables that name no such SDK, and those of a name of one's own that name no address.

    A table that a binding needs is found unknown there, with the model.
    """
    lockfile = source.lockfile
    bound = {m.partition(":")[0] for p in lockfile.profiles.values() for b in p.bindings.values() for m in b.models}
    for name, settings in lockfile.providers.items():
        try:
            found = endpoint(name, settings, others=lockfile.providers)
        except ProviderNotFoundError as error:
            if name not in bound:
                spot = source.spot("providers", name, *(["sdk"] if settings.sdk else []))
                yield Finding("provider-unknown", "error", spot, str(error), f"Correct it in {source.path}.")
            continue
        if name not in BUILT_IN and settings.base_url is None:
            table, (variable, *_) = f"[providers.{toml_key(name)}]", found.sdk.address_variables
            message = (
                f"{table} names no base_url, so its requests{' and its key' * bool(settings.api_key_env)} go to "
                f"{found.sdk.home}, or where {variable} says."
            )
            advice = f'Write its address in {table}; that one, if it is meant: base_url = "{found.sdk.home}"'
            yield Finding("address-missing", "warning", source.spot("providers", name), message, advice)


def loose_keys(source: Source) -> Iterator[Finding]:
    """The keys that a table sends over plain http, and the variables in it that are, by their names, others'."""
    for name, settings in source.lockfile.providers.items():
        try:
            target = endpoint(name, settings, others=source.lockfile.providers)
        except ProviderNotFoundError:
            continue  # which is found elsewhere
        variables = _named(target, settings)
        place: Place = ("providers", name)
        table, url = f"[providers.{toml_key(name)}]", settings.base_url
        row = BUILT_IN.get(name)
        sent = [*variables] or [*(target.key_variables if row is not None and not row.local else ())]
        if url is not None and url.startswith("http://") and sent and not is_this_machine(url):
            message = (
                f"{table} sends {shown(sent[0])} to {host_of(url)} over plain http: whoever is on the way reads it."
            )
            advice = (
                "Write https:// in its base_url. Where nobody is on the way: llmring lock check --ignore key-over-http"
            )
            yield Finding("key-over-http", "warning", source.spot(*place, "base_url"), message, advice)
        for secret in secrets_of(target):
            if secret.source in variables and not (
                is_owned(secret) or has_name_of(secret.source, name, secret.address)
            ):
                message = f"{table} is given {shown(secret.source)}, which is not {name}'s by its name."
                advice = "Name its own variable. If it is meant as it is: llmring lock check --ignore key-foreign"
                spot = source.spot(*place, *variables[secret.source])
                yield Finding("key-foreign", "warning", spot, message, advice)


def _named(target: Endpoint, settings: ProviderSettings) -> dict[str, Place]:
    """The variables that a table names as holding a secret, and where below the table."""
    found: dict[str, Place] = {}
    for header, written in settings.headers.items():
        for variable in variables_in(written):
            if _SECRET.fullmatch(variable):
                found[variable] = ("headers", header)
    return {settings.api_key_env: ("api_key_env",), **found} if settings.api_key_env else found
