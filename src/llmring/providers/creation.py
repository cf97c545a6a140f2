"""How a provider comes to life: its SDK imported, its key found, its settings checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from ..addresses import can_be_asked
from ..exceptions import ConfigurationError, ProviderNotFoundError
from .base import Provider, ProviderConfig, without
from .endpoints import Endpoint, near_name
from .packages import SOCKS, how_to_install, requirement
from .vendors import BUILT_IN, BuiltIn

__all__ = ["check_keys", "creation", "import_adapter"]


def check_keys(keys: Mapping[str, str | None], declared: Callable[[], Iterable[str]]) -> None:
    """Refuse a key that is no text, or was given for a name that is no provider.

    Args:
        keys: by provider.
        declared: gives the providers that the lockfile declares; asked only where others are not enough.

    Raises:
        ConfigurationError: naming it, and the provider that was probably meant.
    """
    for name, key in keys.items():
        if not isinstance(key, str | None):
            raise ConfigurationError(f"api_keys[{name!r}] is of type {type(key).__name__}; it takes text, or None.")
    for name in keys.keys() - BUILT_IN.keys():
        others = declared()
        if name in others:
            continue
        near = near_name(name, others)
        raise ConfigurationError(
            f"api_keys names {name!r}, which is no provider.{f' Did you mean {near!r}?' if near else ''} "
            f"It takes what stands before the colon of provider:model; [providers.{name}] in the lockfile declares "
            "another."
        )


def creation(target: Endpoint, keys: Mapping[str, str | None], common: ProviderConfig) -> Callable[[], Provider]:
    """What makes a provider of what the caller and the environment say at this moment: later they may say otherwise.

    It may take long, and raises `ProviderNotFoundError`: no key, a setting that cannot be used, or no SDK.

    Args:
        target: how it is reached.
        keys: keys given by the caller, by provider.
        common: what all providers of a service have in common.

    Raises:
        ProviderNotFoundError: a header cannot be sent.
    """
    key = target.find_key(keys)
    headers, secrets = target.expand_headers()
    return lambda: _create(target, key, headers, secrets, common)


def _create(
    target: Endpoint, key: str | None, headers: Mapping[str, str], secrets: tuple[str, ...], common: ProviderConfig
) -> Provider:
    name = target.name
    key = key or target.key_of_keyring()
    if key is None and target.needs_key:
        raise ProviderNotFoundError(target.lacks_key, provider=name)
    if target.lacks_address:
        raise ProviderNotFoundError(target.lacks_address, provider=name)
    if target.base_url is not None and not can_be_asked(target.base_url, bare=target.sdk.module == "ollama"):
        # It is not shown: what makes it none may be a password.
        raise ProviderNotFoundError(
            f"The address of {name} is no URL to ask. Write it as https://host/path, and what is special in a "
            "password as %40 for @, %2F for /, %23 for #, %3F for ?.",
            provider=name,
        )
    source = " or ".join(target.key_variables)
    if key is not None and not (key.isascii() and key.isprintable()):
        where = f" into {source}" if source else ""
        raise ProviderNotFoundError(
            f"The key for {name} holds a character that cannot be sent. Copy it anew{where}.", provider=name
        )
    adapter = getattr(import_adapter(target.sdk, name), target.sdk.adapter)
    config = replace(
        common,
        name=name,
        key=key,
        key_source=source or ("the key it was given" if key else f"api_key_env in [providers.{name}]"),
        base_url=target.base_url,
        address=target.address,
        api=target.api,
        headers=headers,
        secrets=secrets,
    )
    try:
        provider: Provider = adapter(config)
        return provider
    except Exception as error:
        _refuse_socks(error, name)
        # A proxy's address may be what is wrong, and its password is not known here.
        words = f": {error}" if type(error).__name__ != "InvalidURL" else ": an address, or a proxy's"
        reason = without([key or "", *secrets], f"{type(error).__name__}{words}")
        raise ProviderNotFoundError(
            f"{name} cannot be set up ({reason}). Check its address and its headers.", provider=name
        ) from None


def import_adapter(sdk: BuiltIn, name: str) -> Any:
    """The module of an SDK's adapter.

    Args:
        sdk: which.
        name: for whose sake, for the message.

    Raises:
        ProviderNotFoundError: the SDK is not installed, or cannot be imported.
    """
    try:
        return import_module(f"llmring.providers.{sdk.module}")
    except Exception as error:  # whatever a package does when it is imported
        if isinstance(error, ImportError) and (error.name or "").split(".")[0] == "llmring":
            raise
        _refuse_socks(error, name)
        if isinstance(error, ImportError) and error.name:
            words = f"is not installed ({error}): {how_to_install(sdk.package)}"
        else:
            words = f"cannot be imported ({type(error).__name__}: {error}). Install it anew: "
            words += f"pip install --force-reinstall '{requirement(sdk.package)}'"
        raise ProviderNotFoundError(f"The SDK for {name} {words}", provider=name, original=error) from None


def _refuse_socks(error: Exception, name: str) -> None:
    """Say what is missing, where that is all that is wrong. The SDK of Ollama makes a client when it is imported."""
    if isinstance(error, ImportError) and "socksio" in str(error):
        raise ProviderNotFoundError(SOCKS, provider=name, original=error) from None
