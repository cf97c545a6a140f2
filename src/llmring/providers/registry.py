"""Which providers there are, and how one comes to life on its first use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..credentials import find_key, first_set
from ..exceptions import ConfigurationError, ProviderNotFoundError
from .base import Provider, ProviderConfig

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings

__all__ = ["BUILT_IN", "BuiltIn", "Registry"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A provider that needs no declaration.

    Attributes:
        package: the SDK's own package, as pip knows it.
        module, adapter: where its adapter is.
        key_variables, address_variables: the environment variables that may hold the key and the base URL.
        needs_key: whether it is of any use without a key.
    """

    package: str
    module: str
    adapter: str
    key_variables: tuple[str, ...] = ()
    address_variables: tuple[str, ...] = ()
    needs_key: bool = True


BUILT_IN: Mapping[str, BuiltIn] = {
    "openai": BuiltIn("openai", "openai", "OpenAIProvider", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL",)),
    "anthropic": BuiltIn(
        "anthropic", "anthropic", "AnthropicProvider", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",)
    ),
    "google": BuiltIn(
        "google-genai",
        "google",
        "GoogleProvider",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
    ),
    "ollama": BuiltIn("ollama", "ollama", "OllamaProvider", (), ("OLLAMA_HOST", "OLLAMA_BASE_URL"), needs_key=False),
}

# What people call them, too.
_ALSO_CALLED = {"gemini": "google", "claude": "anthropic", "gpt": "openai", "google-genai": "google"}


class Registry:
    """The providers of one service, each made when it is first asked for and kept until the service closes.

    Args:
        keys: keys given to the constructor, by provider.
        timeout, max_retries, max_connections: see `ProviderConfig`.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        timeout: float | None,
        max_retries: int,
        max_connections: int | None,
    ) -> None:
        self._keys = dict(keys)
        self._timeout = timeout
        self._max_retries = max_retries
        self._max_connections = max_connections
        self._registered: dict[str, Provider] = {}
        self._made: dict[tuple[str, str | None, str], Provider] = {}

    def register(self, name: str, provider: Provider) -> None:
        """Serve `name` by an adapter of the caller's own."""
        if not name or ":" in name or name != name.strip():
            raise ConfigurationError(f"{name!r} cannot name a provider: no colon, no spaces, not empty.")
        self._registered[name] = provider

    def get(self, name: str, settings: ProviderSettings | None = None) -> Provider:
        """The provider of that name. Imports its SDK on first use, which takes a second or two.

        Raises:
            ProviderNotFoundError: no such provider, no key for it, or its SDK is not installed.
        """
        provider = self._ready(name, settings)
        return provider if provider is not None else self._make(name, settings)

    async def get_async(self, name: str, settings: ProviderSettings | None = None) -> Provider:
        """As `get`, but importing the SDK in a thread, so that streams under way are not held up."""
        provider = self._ready(name, settings)
        if provider is not None:
            return provider
        built_in, _ = self._which(name, settings)
        await asyncio.to_thread(_import, built_in, name)
        return self.get(name, settings)

    async def close(self) -> None:
        """Close every provider made here; those registered by the caller too."""
        made = [*self._made.values(), *self._registered.values()]
        self._made.clear()
        self._registered.clear()
        for provider in made:
            await provider.close()

    def _ready(self, name: str, settings: ProviderSettings | None) -> Provider | None:
        return self._registered.get(name) or self._made.get(self._identity(name, settings))

    def _identity(self, name: str, settings: ProviderSettings | None) -> tuple[str, str | None, str]:
        """An edit of a provider's settings, or another key in the environment, makes another provider."""
        if name not in BUILT_IN and settings is None:
            self._which(name, settings)
        built_in = BUILT_IN.get(name)
        variables = (*built_in.key_variables, *built_in.address_variables) if built_in else ()
        if settings is not None and settings.api_key_env:
            variables = (settings.api_key_env, *variables)
        return name, repr(settings) if settings else None, "\0".join(os.environ.get(v, "") for v in variables)

    def _which(self, name: str, settings: ProviderSettings | None) -> tuple[BuiltIn, str]:
        """The adapter that serves a name: its own, or the one that its declaration names."""
        sdk = (settings.sdk if settings is not None else None) or name
        if sdk in BUILT_IN:
            return BUILT_IN[sdk], sdk
        if settings is not None and settings.sdk:
            raise ProviderNotFoundError(
                f"[providers.{name}] names the SDK {sdk!r}, which is none of: {', '.join(BUILT_IN)}.",
                provider=name,
            )
        if name in _ALSO_CALLED:
            raise ProviderNotFoundError(
                f"There is no provider {name!r}; it is called {_ALSO_CALLED[name]!r} here.", provider=name
            )
        known = ", ".join(sorted({*BUILT_IN, *self._registered}))
        raise ProviderNotFoundError(
            f"There is no provider {name!r}. There are: {known}. Declare another endpoint in the lockfile: "
            f'[providers.{name}] with sdk = "openai" and its base_url.',
            provider=name,
        )

    def _make(self, name: str, settings: ProviderSettings | None) -> Provider:
        built_in, sdk = self._which(name, settings)
        own = name == sdk
        key_variables = built_in.key_variables if own else ()
        needs_key = built_in.needs_key and own
        if settings is not None and settings.api_key_env:
            key_variables, needs_key = (settings.api_key_env,), True
        key = find_key(name, key_variables, self._keys)
        if key is None and needs_key:
            raise ProviderNotFoundError(
                f"There is no key for {name}. Set {' or '.join(key_variables)} in the environment.",
                provider=name,
            )
        if key is not None and not (key.isascii() and key.isprintable()):
            where = f" into {' or '.join(key_variables)}" if key_variables else ""
            raise ProviderNotFoundError(
                f"The key for {name} holds a character that cannot be sent. Copy it anew{where}.", provider=name
            )
        adapter = getattr(_import(built_in, name), built_in.adapter)
        given: dict[str, Any] = {}
        if settings is not None:
            given = {"api": settings.api, "headers": settings.headers or {}}
        config = ProviderConfig(
            name=name,
            key=key,
            key_source=" or ".join(key_variables) or "the key it was given",
            base_url=(settings.base_url if settings is not None else None)
            or (first_set(built_in.address_variables) if own else None),
            timeout=self._timeout,
            max_retries=self._max_retries,
            max_connections=self._max_connections,
            **given,
        )
        try:
            provider: Provider = adapter(config)
        except Exception as error:
            raise ConfigurationError(
                f"{name} cannot be set up ({type(error).__name__}: {error}). Check its address and its headers."
            ) from None
        self._made[self._identity(name, settings)] = provider
        return provider


def _import(built_in: BuiltIn, name: str) -> Any:
    try:
        return import_module(f"llmring.providers.{built_in.module}")
    except ImportError as error:
        if (error.name or "").split(".")[0] == "llmring":
            raise
        raise ProviderNotFoundError(
            f"The SDK for {name} is not installed: pip install {built_in.package} ({error}).",
            provider=name,
            original=error,
        ) from None
