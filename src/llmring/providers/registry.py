"""Which providers there are, and for how long each is kept."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from ..credentials import Key
from ..exceptions import ConfigurationError, LLMRingError, ProviderTimeoutError
from ..loops import run_in
from .base import Provider, ProviderConfig
from .creation import creation, import_adapter
from .endpoints import Endpoint, endpoint, variables_of

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings

__all__ = ["Registry"]

logger = logging.getLogger("llmring")

_CLOSED = "This service is closed; make a new LLMRing."

_SALT = os.urandom(32)

_Identity = tuple[str, str | None, str]
_Key = tuple[asyncio.AbstractEventLoop | None, _Identity]


class _Entry:
    """A provider of one event loop, from when it is first asked for until it is closed.

    Attributes:
        imported: done when its SDK is there.
        made: the provider, or why there is none.
        provider: itself; `None` while it is on its way.
        uses: how many requests hold it, or wait for it.
        lent: the caller has it, and may use it whenever.
        former: another took its place: it is closed when the last request has let it go.
    """

    __slots__ = ("former", "imported", "lent", "made", "provider", "uses")

    def __init__(self) -> None:
        self.imported: asyncio.Future[None] | None = None
        self.made: asyncio.Future[Provider] | None = None
        self.provider: Provider | None = None
        self.uses = 0
        self.lent = False
        self.former = False


class Registry:
    """The providers of one service, each made when it is first asked for.

    An SDK's client belongs to the event loop that its connections were opened in, so every loop gets its own. It is
    kept until the service closes, or another takes its place: one of another key, or of settings that were edited.

    Args:
        keys: keys given to the constructor, by provider.
        timeout, max_retries, max_connections: see `ProviderConfig`.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, Key | None],
        timeout: float | None,
        max_retries: int,
        max_connections: int | None,
    ) -> None:
        self._keys = dict(keys)
        self._common = ProviderConfig("", timeout=timeout, max_retries=max_retries, max_connections=max_connections)
        self._registered: dict[str, Provider] = {}
        self._entries: dict[_Key, _Entry] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def register(self, name: str, provider: Provider) -> None:
        """Serve `name` by an adapter of the caller's own."""
        if not name or ":" in name or name != name.strip():
            raise ConfigurationError(f"{name!r} cannot name a provider: no colon, no spaces, not empty.")
        self._registered[name] = provider

    def get(self, name: str, settings: ProviderSettings | None = None, others: Iterable[str] = ()) -> Provider:
        """The provider of that name, for the caller to keep. Imports its SDK on first use, which takes a second or two.

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
        if name in self._registered:
            return self._registered[name]
        key = _running_loop(), self._identity(name, settings)
        entry = self._entry(key)
        if entry is None or entry.provider is None:
            self._leave_closed_loops()
            made = self._creation(self._endpoint(name, settings, others))()
            entry = self._entries.setdefault(key, _Entry())
            entry.provider = made
        entry.lent = True
        self._prefer(key, entry)
        return entry.provider

    async def borrow(
        self, name: str, settings: ProviderSettings | None, others: Iterable[str], timeout: float | None
    ) -> tuple[Provider, Callable[[], None]]:
        """As `get`, for one request: the provider, and what to call when the request is over.

        It is made in a thread: streams under way wait for no import, keyring or trust store.

        Args:
            name, settings, others: as for `get`.
            timeout: seconds, from when the SDK is imported; `None` waits forever.

        Raises:
            ProviderNotFoundError: as for `get`.
            ProviderTimeoutError: its key was still being looked for.
        """
        if self._closed:
            raise LLMRingError(_CLOSED)
        if name in self._registered:
            return self._registered[name], _nothing
        key = asyncio.get_running_loop(), self._identity(name, settings)
        entry = self._entry(key) or self._begin(key, self._endpoint(name, settings, others))
        if entry.former:
            self._prefer(key, entry)
        entry.uses += 1
        let_go = partial(self._let_go, key, entry)
        try:
            return entry.provider or await self._arrival(entry, name, timeout), let_go
        except BaseException:
            let_go()
            raise

    async def _arrival(self, entry: _Entry, name: str, timeout: float | None) -> Provider:
        """Wait for a provider that is on its way."""
        assert entry.imported is not None
        assert entry.made is not None
        await asyncio.wait([entry.imported])
        done, _ = await asyncio.wait([entry.made], timeout=timeout)
        if not done:
            error = ProviderTimeoutError(
                f"{name} was not ready within {timeout:g} s. If the system's keyring waits for its password, unlock "
                "it, or put the key into the environment.",
                provider=name,
            )
            error.asked = False
            raise error
        if entry.provider is None and (failure := entry.made.exception()) is not None:
            # Each of those who waited has its own, to write on.
            raise copy(failure)
        if self._closed:
            raise LLMRingError(_CLOSED)
        return entry.provider or entry.made.result()

    def _begin(self, key: _Key, target: Endpoint) -> _Entry:
        """Make a provider in a thread of its own: a keyring may keep it for long, and others need the loop's."""
        self._leave_closed_loops()
        make = self._creation(target)
        imported: concurrent.futures.Future[None] = concurrent.futures.Future()
        made: concurrent.futures.Future[Provider] = concurrent.futures.Future()

        def work() -> None:
            try:
                import_adapter(target.sdk, target.name)
                imported.set_result(None)
                made.set_result(make())
            except BaseException as error:  # whoever waits is told
                made.set_exception(error)
                if not imported.done():
                    imported.set_result(None)

        def keep(done: asyncio.Future[Provider]) -> None:
            if done.exception() is not None:
                if entry.provider is None and self._entries.get(key) is entry:
                    del self._entries[key]
            elif self._closed or entry.provider is not None:  # made by `get` meanwhile
                self._close_soon(done.result())
            else:
                entry.provider = done.result()
                self._close_if_over(key, entry)

        entry = self._entries[key] = _Entry()
        entry.imported, entry.made = asyncio.wrap_future(imported), asyncio.wrap_future(made)
        entry.made.add_done_callback(keep)
        self._prefer(key, entry)
        threading.Thread(target=work, name=f"llmring-{target.name}", daemon=True).start()
        return entry

    def warm_up(self, name: str, settings: ProviderSettings | None = None) -> None:
        """Import a provider's SDK in a thread, and return at once. What is wrong with it, its first use says."""

        def work() -> None:
            with suppress(Exception):
                import_adapter(self._endpoint(name, settings, ()).sdk, name)

        if name not in self._registered:
            threading.Thread(target=work, name=f"llmring-warm-up-{name}").start()

    async def close(self) -> None:
        """Close every provider made here, and those registered by the caller. One that fails stops no other."""
        self._closed = True
        self._leave_closed_loops()
        here = asyncio.get_running_loop()
        of_caller = [*self._registered.values()]
        made = [(loop, it.provider) for (loop, _), it in [*self._entries.items()] if it.provider is not None]
        self._entries.clear()
        self._registered.clear()
        # Shielded: what is half closed when its caller is cancelled would stay open.
        await asyncio.shield(
            asyncio.gather(
                *(_close(provider) for provider in of_caller),
                *(run_in(loop, partial(_close, provider)) for loop, provider in made),
                *(task for task in [*self._closing] if task.get_loop() is here),
                return_exceptions=True,
            )
        )

    def leave_to_parent(self) -> object:
        """In a forked process, forget what was made before. Gives it, to be kept."""
        of_parent = self._entries, self._closing
        self._entries, self._closing = {}, set()
        return of_parent

    # How long one is kept

    def _entry(self, key: _Key) -> _Entry | None:
        """What there is for the loop that runs here; where none runs, for any."""
        loop, identity = key
        if loop is None:
            entries = [*self._entries.items()]
            return next(
                (it for (of, what), it in entries if what == identity and it.provider and not _is_over(of)), None
            )
        entry = self._entries.get(key)
        if entry is None and (entry := self._entries.pop((None, identity), None)) is not None:
            self._entries[key] = entry
            self._prefer(key, entry)
        return entry

    def _prefer(self, key: _Key, entry: _Entry) -> None:
        """Let it take the place of those of its name in its loop: what is asked for from now on is this one."""
        entry.former = False
        loop, (name, *_) = key
        for other, former in [*self._entries.items()]:
            if former is not entry and other[0] is loop and other[1][0] == name and not former.lent:
                former.former = True
                self._close_if_over(other, former)

    def _let_go(self, key: _Key, entry: _Entry) -> None:
        entry.uses -= 1
        self._close_if_over(key, entry)

    def _close_if_over(self, key: _Key, entry: _Entry) -> None:
        if entry.former and not entry.uses and entry.provider is not None and self._entries.get(key) is entry:
            del self._entries[key]
            self._close_soon(entry.provider)

    def _close_soon(self, provider: Provider) -> None:
        closing = asyncio.ensure_future(_close(provider))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _leave_closed_loops(self) -> None:
        """Drop the providers of loops that are closed: nothing can be awaited for them any more."""
        for key in [key for key in [*self._entries] if _is_over(key[0])]:
            self._entries.pop(key, None)

    # What one is made of

    def _identity(self, name: str, settings: ProviderSettings | None) -> _Identity:
        """An edit of a provider's settings, or another key in the environment, makes another provider."""
        values = "\0".join(os.environ.get(v, "") for v in variables_of(name, settings))
        # Keys are among them: what is kept is what they come to, here and nowhere else.
        digest = blake2b(values.encode(errors="surrogateescape"), key=_SALT).hexdigest()
        return name, repr(settings) if settings else None, digest

    def _endpoint(self, name: str, settings: ProviderSettings | None, others: Iterable[str]) -> Endpoint:
        return endpoint(name, settings, others={*self._registered, *others})

    def _creation(self, target: Endpoint) -> Callable[[], Provider]:
        return creation(target, self._keys, self._common)


async def _close(provider: Provider) -> None:
    try:
        await provider.close()
    except Exception as error:
        shown = provider.conceal(f"{type(error).__name__}: {error}".encode(errors="replace")).decode()
        logger.warning("%s did not close cleanly: %s", provider.name, shown)


def _nothing() -> None:
    """Let go of what is the caller's own."""


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_over(loop: asyncio.AbstractEventLoop | None) -> bool:
    return loop is not None and loop.is_closed()
