"""Which providers there are, and for how long each is kept."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from copy import copy
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ..credentials import Key
from ..dialects import Dialect
from ..exceptions import ConfigurationError, LLMRingError, ProviderTimeoutError
from ..record import Record, Records
from .base import Provider
from .config import ProviderConfig
from .creation import check_keys, creation, maker
from .endpoints import Endpoint, endpoint, made_of
from .kinds import REGISTERED, Kinds, is_at_hand, kind_of

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings
    from .kinds import Maker

__all__ = ["Registry"]

logger = logging.getLogger("llmring")
T = TypeVar("T")

_CLOSED = "This service is closed; make a new LLMRing."
_CLOSING = 5.0
"""Seconds that a provider has for closing."""
_SALT = os.urandom(32)
_Key: TypeAlias = tuple[object, ...]


class _Entry:
    """A provider of one event loop, from when it is first asked for until it is closed.

    Attributes:
        task: makes it.
        imported: its SDK is there, or cannot be.
        provider: itself; `None` while it is on its way.
        users: how many requests hold it, or wait for it.
        lent: the caller has it, and may use it whenever.
        former: another took its place: it is closed when the last request has let it go.
    """

    def __init__(self, record: Record, key: _Key) -> None:
        self._record, self._key = record, key
        self.task: asyncio.Task[Provider]
        self.imported = asyncio.Event()
        self.provider: Provider | None = None
        self.users = 0
        self.lent = self.former = False

    def prefer(self) -> None:
        """Let it take the place of those of its name in its loop: what is asked for from now on is this one."""
        self.former = False
        for (name, *_), other in [*self._record.providers.items()]:
            if name == self._key[0] and other is not self and not other.lent:
                other.former = True
                other.leave(0)

    def leave(self, users: int = 1) -> None:
        """So many have let it go."""
        self.users -= users
        if self.former and not self.users and self.provider is not None and self.forget():
            self._record.close(self.close)

    def forget(self) -> bool:
        """Take it out of the record, and say whether it stood there."""
        stood = self._record.providers.get(self._key) is self
        if stood:
            del self._record.providers[self._key]
        return stood

    def stand(self, record: Record) -> None:
        """Put it into the record of an event loop."""
        self._record = record
        record.providers[self._key] = self
        self.prefer()

    async def close(self) -> None:
        """Close it, if it is there."""
        if self.provider is not None:
            await _close(self.provider)


class Registry:
    """The providers of one service, each made when it is first asked for.

    An SDK's client belongs to the event loop that its connections were opened in, so every loop gets its own. It is
    kept until the loop ends or the service closes, or another takes its place: one of another key, or of settings that
    were edited.

    Args:
        records: the service's; a provider stands in that of its loop.
        keys: keys given to the constructor, by provider.
        timeout, max_retries, max_connections: see `ProviderConfig`.
    """

    def __init__(
        self,
        records: Records,
        *,
        keys: Mapping[str, Key | None],
        timeout: float | None,
        max_retries: int,
        max_connections: int | None,
    ) -> None:
        self._records = records
        self._keys = dict(keys)
        self._common = ProviderConfig("", timeout=timeout, max_retries=max_retries, max_connections=max_connections)
        self._registered: dict[str, Provider] = {}
        self.kinds = Kinds()

    def register(
        self,
        name: str,
        provider: Provider | type[Provider] | Maker | Dialect,
        keys: Mapping[str, Key | None] = MappingProxyType({}),
    ) -> None:
        """Serve `name` by what is the caller's own: one that is made already, or what makes some."""
        made = isinstance(provider, Provider)
        kind = kind_of(name, (lambda config: provider) if made else provider, REGISTERED)
        if name in self._registered or name in self.kinds:
            raise ConfigurationError(f"{name!r} is registered with this service already. Choose another name.")
        given = {it: key for it, key in keys.items() if key is not None}
        if made and given:
            raise ConfigurationError(f"{provider!r} is made already, with its key: api_key comes too late.")
        check_keys(given, lambda: [name])
        if isinstance(provider, Provider):
            self._registered[name] = provider
        else:
            self._keys |= given
            self.kinds.add(kind)

    def registered(self, name: str) -> Provider | None:
        """The caller's own adapter of that name, `None` where there is none."""
        return self._registered.get(name)

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
        if self._records.closed:
            raise LLMRingError(_CLOSED)
        if name in self._registered:
            return self._registered[name]
        key = self._key(name, settings)
        entry = self._entry(key)
        if entry is None or entry.provider is None:
            made = creation(self._endpoint(name, settings, others), self._keys, self._common)()
            entry = self._kept(key, made)
        assert entry.provider is not None
        entry.lent = True
        entry.prefer()
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
        if self._records.closed:
            raise LLMRingError(_CLOSED)
        if name in self._registered:
            return self._registered[name], _nothing
        await self.at_hand(name, settings, others)
        key = self._key(name, settings)
        entry = self._entry(key)
        if entry is None:
            target = self._endpoint(name, settings, others)
            make = creation(target, self._keys, self._common)
            entry = _Entry(self._records.here(), key)
            entry.task = asyncio.create_task(self._make(entry, target, make))
            entry.task.add_done_callback(_heard)
            entry.stand(self._records.here())
        elif entry.former:
            entry.prefer()
        entry.users += 1
        try:
            return entry.provider or await self._arrival(entry, name, timeout), entry.leave
        except BaseException:
            entry.leave()
            raise

    async def at_hand(self, name: str, settings: ProviderSettings | None, others: Iterable[str]) -> None:
        """Have the packages that a provider takes imported in a thread, where there are any and they are not there.

        Raises:
            ProviderNotFoundError: as for `get`, for what they do not bring.
        """
        if not self.is_at_hand(name, settings):
            await _in_a_thread(name, lambda: self._endpoint(name, settings, others))

    def is_at_hand(self, name: str, settings: ProviderSettings | None) -> bool:
        """Whether no package is to be looked for, or imported, for a provider."""
        wanted = (settings.sdk if settings is not None else None) or name
        return name in self._registered or is_at_hand(wanted, self.kinds)

    def _entry(self, key: _Key) -> _Entry | None:
        """What there is for the loop that runs here; where none runs, for any."""
        record = self._records.here()
        entry: _Entry | None = record.providers.get(key)
        if entry is not None:
            return entry
        for other in self._records.all():
            if record.loop is None:
                found: _Entry | None = other.providers.get(key)
                if found is not None and found.provider is not None:
                    return found
            elif other.loop is None:
                # Made where no loop ran, it goes to the first that asks: of several threads' loops, one takes it out.
                entry = other.providers.pop(key, None)
                if entry is not None:
                    entry.stand(record)
                    return entry
        return None

    def _kept(self, key: _Key, made: Provider) -> _Entry:
        """The entry of what `get` has made, or of what another thread made first, where no loop runs."""
        record = self._records.here()
        mine = _Entry(record, key)
        mine.provider, mine.lent = made, True
        entry: _Entry = record.providers.setdefault(key, mine)
        if entry.provider is None:  # on its way, in this very loop
            entry.provider = made
        elif entry is not mine:
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(_close(made))
        return entry

    async def _make(self, entry: _Entry, target: Endpoint, make: Callable[[], Provider]) -> Provider:
        """Make a provider in threads of its own: a keyring may keep one for long, and others need the loop's."""
        try:
            try:
                await _in_a_thread(target.name, lambda: maker(target))
            finally:
                entry.imported.set()
            made = await _in_a_thread(target.name, make)
        except BaseException:
            if entry.provider is None:
                entry.forget()
            raise
        if self._records.closed or entry.provider is not None:  # made by `get` meanwhile
            await _close(made)
        else:
            entry.provider = made
            entry.leave(0)
        return made

    async def _arrival(self, entry: _Entry, name: str, timeout: float | None) -> Provider:
        """Wait for a provider that is on its way."""
        await entry.imported.wait()
        done, _ = await asyncio.wait([entry.task], timeout=timeout)
        if not done:
            error = ProviderTimeoutError(
                f"{name} was not ready within {timeout:g} s. If the system's keyring waits for its password, unlock "
                "it, or put the key into the environment.",
                provider=name,
            )
            error.asked = False
            raise error
        if self._records.closed:
            raise LLMRingError(_CLOSED)
        if entry.provider is None and not entry.task.cancelled() and (failure := entry.task.exception()) is not None:
            # Each of those who waited has its own, to write on.
            raise copy(failure)
        return entry.provider or entry.task.result()

    def warm_up(self, name: str, settings: ProviderSettings | None = None) -> None:
        """Import a provider's SDK in a thread, and return at once. What is wrong with it, its first use says."""

        def work() -> None:
            with suppress(Exception):
                maker(self._endpoint(name, settings, ()))

        if name not in self._registered:
            threading.Thread(target=work, name=f"llmring-warm-up-{name}").start()

    async def close(self) -> None:
        """Close those that the caller registered. One that fails stops no other."""
        registered = [*self._registered.values()]
        self._registered.clear()
        await asyncio.gather(*map(_close, registered))

    def _endpoint(self, name: str, settings: ProviderSettings | None, others: Iterable[str]) -> Endpoint:
        return endpoint(name, settings, others={*self._registered, *others}, own=self.kinds)

    def _key(self, name: str, settings: ProviderSettings | None) -> _Key:
        """A provider's name, and what it is made of: an edit of its settings, or another key, makes another one."""
        variables, made = made_of(name, settings, self.kinds)
        values = "\0".join(os.environ.get(it, "") for it in variables)
        # Keys are among them: what is kept is what they come to, here and nowhere else.
        digest = blake2b(values.encode(errors="surrogateescape"), key=_SALT).hexdigest()
        return name, repr(settings) if settings else "", digest, *made


async def _in_a_thread(name: str, work: Callable[[], T]) -> T:
    """Run it in a thread that neither those of the event loop nor the end of the program wait for."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # whoever waits is told
            done.set_exception(error)

    done.set_running_or_notify_cancel()  # nobody can cancel it
    waiting = asyncio.wrap_future(done)
    threading.Thread(target=run, name=f"llmring-{name}", daemon=True).start()
    return await waiting


async def _close(provider: Provider) -> None:
    try:
        async with asyncio.timeout(_CLOSING):
            await provider.close()
    except Exception as error:
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        shown = provider.conceal(said.encode(errors="replace")).decode()
        logger.warning("%s did not close cleanly: %s", provider.name, shown)


def _heard(task: asyncio.Task[Provider]) -> None:
    """Those who wait for it are told; where nobody does any more, nobody is to be."""
    if not task.cancelled():
        task.exception()


def _nothing() -> None:
    """Let go of what is the caller's own."""
