"""Whether the tables of providers can be used, those that no model is bound to as well, and lead where they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from ..exceptions import ProviderNotFoundError
from ..lockfile.rendering import toml_key
from ..providers.endpoints import endpoint
from ..providers.vendors import BUILT_IN
from .bindings import Source
from .findings import Finding

__all__ = ["doubtful_providers"]


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
