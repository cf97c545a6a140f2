"""How a provider comes to life: its SDK's package found and imported, its key found, its settings checked."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from .. import concealment
from ..credentials import KEYRING, SERVICE, Key, Keyring, reveal
from ..dialects import Dialect
from ..exceptions import ConfigurationError, ProviderNotFoundError
from .base import Provider
from .config import ProviderConfig
from .endpoints import Endpoint, near_name
from .environment import lacking
from .kinds import is_at_hand, offers

__all__ = [
    "LOOKED_AT",
    "check_keys",
    "creation",
    "fits",
    "how_to_install",
    "import_adapter",
    "installed_version",
    "load_httpx",
    "maker",
    "requirement",
]

_PATIENCE = 1.0
"""Seconds, or half the timeout, that a keyring has for a provider which may well need no key.

One that needs a key waits on, and says so after that long.
"""
_WITH_HTTPX = frozenset({"google-genai", "ollama"})
"""SDKs that load httpx."""
_REQUIREMENT = re.compile(r"([\w.-]+)\s*([^;\s]*)")
LOOKED_AT = (
    *("Auth", "AsyncClient", "Client", "HTTPStatusError", "Limits", "RequestError", "RequestNotRead", "Response"),
    *("StreamConsumed", "Timeout", "TimeoutException", "URL"),
)
"""The names of httpx that OpenAI's SDK looks at with each request, if that is loaded (`openai/_httpx2.py`)."""
_KEYRING_WAITS = (
    "The system's keyring is still waited for, for the key of %s. It may wait for its password: unlock it, or set %s "
    "in the environment."
)

logger = logging.getLogger("llmring")


def check_keys(keys: Mapping[str, Key | None], declared: Callable[[], Iterable[str]]) -> None:
    """Refuse a key that is no text, or was given for a name that is no provider.

    Args:
        keys: by provider.
        declared: gives the providers that the lockfile declares; asked only where others are not enough.

    Raises:
        ConfigurationError: naming it, and the provider that was probably meant.
    """
    if (all_of_them := keys.get("")) is not None:
        raise ConfigurationError(f"api_keys is of type {all_of_them.kind.__name__}; it takes keys by provider.")
    for name, key in keys.items():
        if key is not None and key.kind is not str:
            raise ConfigurationError(f"api_keys[{name!r}] is of type {key.kind.__name__}; it takes text, or None.")
    for name in (it for it in keys if not is_at_hand(it)):
        others = declared()
        if name in others or name in offers():
            continue
        near = near_name(name, others)
        raise ConfigurationError(
            f"api_keys names {name!r}, which is no provider.{f' Did you mean {near!r}?' if near else ''} "
            f"It takes what stands before the colon of provider:model; [providers.{name}] in the lockfile declares "
            "another."
        )


def creation(target: Endpoint, keys: Mapping[str, Key | None], common: ProviderConfig) -> Callable[[], Provider]:
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
    target: Endpoint, key: Key | None, headers: Mapping[str, Key], secrets: tuple[Key, ...], common: ProviderConfig
) -> Provider:
    name = target.name
    key = key or _key_of_keyring(target, common.timeout)
    if key is None and target.needs_key:
        raise ProviderNotFoundError(target.lacks_key, provider=name)
    if obstacle := target.lacks_address or target.wrong_address or target.wrong_tools or target.wrong_key(key):
        raise ProviderNotFoundError(obstacle, provider=name)
    if obstacle := lacking(target.address):
        raise ProviderNotFoundError(f"{name} cannot be asked: {obstacle}", provider=name)
    make = maker(target)
    config = replace(
        common,
        name=name,
        key=key,
        key_source=_where(target, key),
        # Also where the SDK knows it by itself: an empty variable would be an address to it.
        base_url=target.address,
        address=target.address,
        api=target.api,
        api_version=target.api_version,
        think_tags=target.think_tags,
        tools=target.tools,
        dialect=target.dialect,
        headers=headers,
        secrets=secrets,
    )
    try:
        provider: Provider = make(config)
    except Exception as error:
        reason = concealment.without(map(reveal, [key, *secrets]), f"{type(error).__name__}: {error}")
        raise ProviderNotFoundError(
            f"{name} cannot be set up ({reason}). Check its address and its headers.", provider=name
        ) from None
    if not isinstance(provider, Provider):
        raise ProviderNotFoundError(
            f"{name} cannot be set up: what makes it ({target.origin}) gave no Provider, but of type "
            f"{type(provider).__name__}.",
            provider=name,
        )
    if not isinstance(getattr(provider, "config", None), ProviderConfig):
        raise ProviderNotFoundError(
            f"{name} cannot be set up: its {type(provider).__name__} has no config. Its __init__ must call "
            "super().__init__(config).",
            provider=name,
        )
    if config.tools is not None and not provider.tells_tools:
        raise ProviderNotFoundError(
            f"[providers.{name}] says tools = {config.tools!r}, but only through Chat Completions and Ollama can tools "
            "be told in a prompt, or read out of text. Take it out.",
            provider=name,
        )
    return provider


def maker(target: Endpoint) -> Callable[[ProviderConfig], Provider]:
    """What makes a provider. A built-in SDK is imported.

    Raises:
        ProviderNotFoundError: the SDK is not installed, or cannot be imported.
    """
    if target.make is not None:
        return target.make
    made: Callable[[ProviderConfig], Provider] = getattr(import_adapter(target.sdk, target.name), target.sdk.adapter)
    return made


def _where(target: Endpoint, key: Key | None) -> str:
    """Where a key came from, or should come from."""
    if key is not None and key.source == KEYRING:
        return f"its entry in the keyring (service {SERVICE}, user {target.name})"
    told = key.source if key is not None else f"api_key_env in [providers.{target.name}]"
    return " or ".join(target.key_variables) or told


def _key_of_keyring(target: Endpoint, timeout: float | None) -> Key | None:
    """The key in the keyring. Who needs none waits for none."""
    if target.needs_key:
        remark = threading.Timer(
            _PATIENCE, logger.warning, [_KEYRING_WAITS, target.name, " or ".join(target.key_variables)]
        )
        remark.daemon = True
        remark.start()
        try:
            return target.key_of_keyring(Keyring())
        finally:
            remark.cancel()
    keyring = Keyring(_PATIENCE if timeout is None else min(_PATIENCE, timeout / 2))
    key = target.key_of_keyring(keyring)
    if keyring.waits:
        logger.warning("%s is asked without a key: the system's keyring does not answer", target.name)
    return key


def import_adapter(sdk: Dialect, name: str) -> Any:
    """The module of an SDK's adapter.

    Args:
        sdk: which.
        name: for whose sake, for the message.

    Raises:
        ProviderNotFoundError: the SDK is not installed, or cannot be imported.
    """
    try:
        if sdk.package in _WITH_HTTPX:
            with suppress(ImportError):  # the SDK itself says what is missing
                load_httpx()
        return import_module(f"llmring.providers.{sdk.name}")
    except Exception as error:  # whatever a package does when it is imported
        if isinstance(error, ImportError) and (error.name or "").split(".")[0] == "llmring":
            raise
        if isinstance(error, ImportError) and error.name:
            words = f"is not installed ({error}): {how_to_install(sdk.package)}"
        else:
            words = f"cannot be imported ({type(error).__name__}: {error}). Install it anew: "
            words += f"pip install --force-reinstall '{requirement(sdk.package)}'"
        raise ProviderNotFoundError(f"The SDK for {name} {words}", provider=name, original=error) from None


class _NotYet(Exception):
    """What nothing is an instance of: it stands for each of these names until the module has its own."""


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(dict.fromkeys(LOOKED_AT, _NotYet))
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "httpx" else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def load_httpx() -> None:
    """Load httpx, if it is not there yet, so that nobody trips over it while it is.

    OpenAI's SDK would find it half loaded, without the names that it looks at, while another SDK's first use loads it
    in a thread.

    Raises:
        ImportError: it is not installed.
    """
    if "httpx" not in sys.modules:
        sys.meta_path.insert(0, _Finder)
        try:
            import_module("httpx")
        finally:
            sys.meta_path.remove(_Finder)


def installed_version(package: str) -> str | None:
    """The version that is installed, `None` if there is none. The package is not imported.

    Args:
        package: as pip knows it.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def requirement(package: str) -> str:
    """A package with the versions that llmring's own extras ask for: `openai>=3.52,<4`.

    Args:
        package: as pip knows it. One that no extra names is returned as it is.
    """
    return package + _bounds(package)


def how_to_install(package: str) -> str:
    """The command that installs a package in a version that llmring works with."""
    wanted = requirement(package)
    return f"pip install '{wanted}'" if wanted != package else f"pip install {package}"


def fits(package: str, version: str) -> bool:
    """Whether a version of a package is one that llmring's own extras ask for.

    Args:
        package: as pip knows it.
        version: its numbers; what follows them (`rc1`, `.dev0`) is not looked at.
    """
    return all(
        _numbers(version) >= _numbers(bound) if sign == ">=" else _numbers(version) < _numbers(bound)
        for sign, bound in re.findall(r"(>=|<)([\d.]+)", _bounds(package))
    )


def _bounds(package: str) -> str:
    try:
        asked = metadata.requires("llmring") or ()
    except metadata.PackageNotFoundError:
        asked = ()
    for line in asked:
        match = _REQUIREMENT.match(line)
        if match and match[1] == package:
            return ",".join(sorted(match[2].split(","), reverse=True))
    return ""


def _numbers(version: str) -> list[int]:
    """`"3.52"` as `[3, 52]`; trailing zeros make no difference."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
