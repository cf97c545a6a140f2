"""Which providers there are, and how one comes to life on its first use."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..addresses import can_be_asked
from ..exceptions import ConfigurationError, LLMRingError, ProviderNotFoundError, ProviderTimeoutError
from ..loops import run_in
from .base import Provider, ProviderConfig, without
from .endpoints import Endpoint, endpoint, near_name, variables_of
from .packages import how_to_install, requirement
from .vendors import BUILT_IN, BuiltIn

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings

__all__ = ["BUILT_IN", "BuiltIn", "NotReady", "Registry"]

logger = logging.getLogger("llmring")

_CLOSED = "This service is closed; make a new LLMRing."

_Identity = tuple[str, str | None, str]
_Given = tuple[str | None, dict[str, str], tuple[str, ...]]
_Key = tuple[asyncio.AbstractEventLoop | None, _Identity]


class NotReady(TimeoutError):
    """A provider was still being made: what then fails says nothing of its models."""


class Registry:
    """The providers of one service, each made when it is first asked for and kept until the service closes.

    An SDK's client belongs to the event loop that its connections were opened in, so every loop gets its own.

    Args:
        keys: keys given to the constructor, by provider.
        timeout, max_retries, max_connections: see `ProviderConfig`.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str | None],
        timeout: float | None,
        max_retries: int,
        max_connections: int | None,
    ) -> None:
        self._keys = dict(keys)
        self._timeout = timeout
        self._max_retries = max_retries
        self._max_connections = max_connections
        self._registered: dict[str, Provider] = {}
        self._made: dict[_Key, Provider] = {}
        # Providers on their way: when their SDK is there, and when they are.
        self._making: dict[_Key, tuple[asyncio.Future[None], asyncio.Future[Provider]]] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._closed = False

    def register(self, name: str, provider: Provider) -> None:
        """Serve `name` by an adapter of the caller's own."""
        if not name or ":" in name or name != name.strip():
            raise ConfigurationError(f"{name!r} cannot name a provider: no colon, no spaces, not empty.")
        self._registered[name] = provider

    def get(self, name: str, settings: ProviderSettings | None = None, others: Iterable[str] = ()) -> Provider:
        """The provider of that name. Imports its SDK on first use, which takes a second or two.

        Args:
            name: as in `provider:model`.
            settings: what the lockfile says of it.
            others: the providers that the lockfile declares, to suggest one.

        Raises:
            ProviderNotFoundError: no such provider, no key for it, a setting that cannot be used, or its SDK is not
                installed.
        """
        if self._closed:
            raise LLMRingError(_CLOSED)
        ready = self._ready(name, settings)
        if ready is not None:
            return ready
        self._leave_closed_loops()
        identity, target = self._identity(name, settings), self._endpoint(name, settings, others)
        made = self._made[_running_loop(), identity] = self._make(target, self._given(target))
        return made

    async def get_async(
        self, name: str, settings: ProviderSettings | None, others: Iterable[str], timeout: float | None
    ) -> Provider:
        """As `get`, but made in a thread: streams under way wait for no import, keyring or trust store.

        Args:
            name, settings, others: as for `get`.
            timeout: seconds, from when the SDK is imported; `None` waits forever.

        Raises:
            ProviderNotFoundError: as for `get`.
            ProviderTimeoutError: its key was still being looked for.
        """
        if self._closed or self._ready(name, settings) is not None:
            return self.get(name, settings, others)
        loop = asyncio.get_running_loop()
        key = loop, self._identity(name, settings)
        imported, made = self._making.get(key) or self._begin(key, self._endpoint(name, settings, others))
        await asyncio.wait([imported])
        done, _ = await asyncio.wait([made], timeout=timeout)
        if not done:
            raise ProviderTimeoutError(
                f"{name} was not ready within {timeout:g} s. If the system's keyring waits for its password, unlock "
                "it, or put the key into the environment.",
                provider=name,
                original=NotReady(),
            )
        if (error := made.exception()) is not None:
            # Each of those who waited has its own, to write on.
            raise copy(error)
        if self._closed:
            raise LLMRingError(_CLOSED)
        return self._made.setdefault(key, made.result())

    def _begin(self, key: _Key, target: Endpoint) -> tuple[asyncio.Future[None], asyncio.Future[Provider]]:
        """Make a provider in a thread of its own: a keyring may keep it for long, and others need the loop's."""
        self._leave_closed_loops()
        given = self._given(target)
        imported: concurrent.futures.Future[None] = concurrent.futures.Future()
        made: concurrent.futures.Future[Provider] = concurrent.futures.Future()

        def work() -> None:
            try:
                _import(target.sdk, target.name)
                imported.set_result(None)
                made.set_result(self._make(target, given))
            except BaseException as error:  # whoever waits is told
                made.set_exception(error)
                if not imported.done():
                    imported.set_result(None)

        def keep(done: asyncio.Future[Provider]) -> None:
            self._making.pop(key, None)
            if done.exception() is not None:
                return
            if self._closed:
                closing = asyncio.ensure_future(done.result().close())
                self._late.add(closing)
                closing.add_done_callback(self._late.discard)
            else:
                self._made.setdefault(key, done.result())

        making = self._making[key] = asyncio.wrap_future(imported), asyncio.wrap_future(made)
        making[1].add_done_callback(keep)
        threading.Thread(target=work, name=f"llmring-{target.name}", daemon=True).start()
        return making

    def warm_up(self, name: str, settings: ProviderSettings | None = None) -> None:
        """Import a provider's SDK in a thread, and return at once. What is wrong with it, its first use says."""

        def work() -> None:
            with suppress(Exception):
                _import(self._endpoint(name, settings, ()).sdk, name)

        if name not in self._registered:
            threading.Thread(target=work, name=f"llmring-warm-up-{name}").start()

    async def close(self) -> None:
        """Close every provider made here, and those registered by the caller. One that fails stops no other."""
        self._closed = True
        self._leave_closed_loops()
        made = [*self._registered.values(), *self._made.values()]
        closing = [
            *(provider.close() for provider in self._registered.values()),
            *(run_in(loop, provider.close) for (loop, _), provider in self._made.items()),
        ]
        self._made.clear()
        self._registered.clear()
        # Shielded: what is half closed when its caller is cancelled would stay open.
        results = await asyncio.shield(asyncio.gather(*closing, return_exceptions=True))
        for provider, result in zip(made, results, strict=True):
            if isinstance(result, Exception):
                shown = provider.conceal(f"{type(result).__name__}: {result}".encode(errors="replace")).decode()
                logger.warning("%s did not close cleanly: %s", provider.name, shown)

    def leave_to_parent(self) -> object:
        """In a forked process, forget what was made before. Gives it, to be kept."""
        of_parent = self._made, self._making
        self._made, self._making = {}, {}
        return of_parent

    def _ready(self, name: str, settings: ProviderSettings | None) -> Provider | None:
        return self._registered.get(name) or self._mine(self._identity(name, settings))

    def _mine(self, identity: _Identity) -> Provider | None:
        """The provider of the loop that runs here; where none runs, that of any."""
        loop = _running_loop()
        if loop is None:
            return next(
                (it for (owner, of), it in [*self._made.items()] if of == identity and not _is_over(owner)), None
            )
        provider = self._made.get((loop, identity))
        if provider is None and (provider := self._made.pop((None, identity), None)) is not None:
            self._made[loop, identity] = provider
        return provider

    def _leave_closed_loops(self) -> None:
        """Drop the providers of loops that are closed: nothing can be awaited for them any more."""
        for key in [key for key in (*self._made, *self._making) if _is_over(key[0])]:
            self._made.pop(key, None)
            self._making.pop(key, None)

    def check_keys(self, declared: Callable[[], Iterable[str]]) -> None:
        """Refuse a key that is no text, or was given for a name that is no provider.

        Args:
            declared: gives the providers that the lockfile declares; asked only where others are not enough.

        Raises:
            ConfigurationError: naming it, and the provider that was probably meant.
        """
        for name, key in self._keys.items():
            if not isinstance(key, str | None):
                raise ConfigurationError(f"api_keys[{name!r}] is of type {type(key).__name__}; it takes text, or None.")
        for name in self._keys.keys() - BUILT_IN.keys():
            others = declared()
            if name in others:
                continue
            near = near_name(name, others)
            raise ConfigurationError(
                f"api_keys names {name!r}, which is no provider.{f' Did you mean {near!r}?' if near else ''} "
                f"It takes what stands before the colon of provider:model; [providers.{name}] in the lockfile declares "
                "another."
            )

    def _identity(self, name: str, settings: ProviderSettings | None) -> _Identity:
        """An edit of a provider's settings, or another key in the environment, makes another provider."""
        values = "\0".join(os.environ.get(v, "") for v in variables_of(name, settings))
        return name, repr(settings) if settings else None, values

    def _endpoint(self, name: str, settings: ProviderSettings | None, others: Iterable[str]) -> Endpoint:
        return endpoint(name, settings, others={*self._registered, *others})

    def _given(self, target: Endpoint) -> _Given:
        """What the caller and the environment say at this moment, which may not be what they say after a wait."""
        return target.find_key(self._keys), *target.expand_headers()

    def _make(self, target: Endpoint, given: _Given) -> Provider:
        name = target.name
        key, headers, secrets = given
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
        adapter = getattr(_import(target.sdk, name), target.sdk.adapter)
        config = ProviderConfig(
            name=name,
            key=key,
            key_source=source or ("the key it was given" if key else f"api_key_env in [providers.{name}]"),
            base_url=target.base_url,
            api=target.api,
            headers=headers,
            secrets=secrets,
            timeout=self._timeout,
            max_retries=self._max_retries,
            max_connections=self._max_connections,
        )
        try:
            provider: Provider = adapter(config)
            return provider
        except Exception as error:
            # A proxy's address may be what is wrong, and its password is not known here.
            words = f": {error}" if type(error).__name__ != "InvalidURL" else ": an address, or a proxy's"
            reason = without([key or "", *secrets], f"{type(error).__name__}{words}")
            raise ProviderNotFoundError(
                f"{name} cannot be set up ({reason}). Check its address and its headers.", provider=name
            ) from None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_over(loop: asyncio.AbstractEventLoop | None) -> bool:
    return loop is not None and loop.is_closed()


def _import(sdk: BuiltIn, name: str) -> Any:
    try:
        return import_module(f"llmring.providers.{sdk.module}")
    except ImportError as error:
        if (error.name or "").split(".")[0] == "llmring":
            raise
        words = f"is not installed ({error}): {how_to_install(sdk.package)}"
        raise ProviderNotFoundError(f"The SDK for {name} {words}", provider=name, original=error) from None
    except Exception as error:  # whatever else a package does when it is imported
        words = f"cannot be imported ({type(error).__name__}: {error}). Install it anew: "
        words += f"pip install --force-reinstall '{requirement(sdk.package)}'"
        raise ProviderNotFoundError(f"The SDK for {name} {words}", provider=name, original=error) from None
