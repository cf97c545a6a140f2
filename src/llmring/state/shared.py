"""What a service has of stores: a desk in each of its event loops, and which model a conversation is with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..exceptions import ConfigurationError, StoreUnavailableError
from .asks import MICRO, Ask, Other, Verdict
from .desk import Desk
from .far import Far
from .stores import ProcessStore, Store, Unusable, of_this_process

if TYPE_CHECKING:
    from ..lockfile import Lockfile, StateSettings
    from ..record import Records
    from ..schemas import LLMRequest
    from .gate import Gate

__all__ = ["Conversations", "Shared", "opened", "place_of"]

_REDIS = ("redis", "rediss", "unix", "valkey", "valkeys")
_FORMS = "sqlite:PATH, or redis://HOST:PORT/0 (rediss:// over TLS)"


def place_of(settings: StateSettings | None) -> str | None:
    """The address of the store that a lockfile names; `None`: this process."""
    if settings is None or settings.url_env is None:
        return None
    return os.environ.get(settings.url_env, "").strip() or None


def opened(url: str, name: str) -> Store:
    """The store at an address. Nothing is read, and nobody is connected to.

    Args:
        url: the address. No message has it: it may hold a password.
        name: what a message calls it by.

    Raises:
        ConfigurationError: there is no such store, or its client is not installed.
    """
    scheme = url.partition(":")[0].lower()
    try:
        if scheme == "sqlite":
            from .sqlite import SQLiteStore

            path = url.partition(":")[2]
            return SQLiteStore(path.removeprefix("//") if path.startswith("///") else path)
        if scheme in _REDIS:
            from .redis import RedisStore

            urlsplit(url)
            return RedisStore(url)
        raise Unusable("it is of no kind that is known")
    except (Unusable, ValueError) as error:
        why = str(error) if isinstance(error, Unusable) else "it is no URL"
        raise ConfigurationError(
            f"The address of a store of counts in {name} cannot be used: {why}. It may be {_FORMS}."
        ) from None


class Shared:
    """The stores of one service.

    Args:
        records: of what it has open: a desk is of one event loop, and closed with it.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def desk(self, lockfile: Lockfile | None) -> Desk:
        """The desk of this event loop, for the store that a lockfile names now.

        Raises:
            ConfigurationError: it names none that can be used.
        """
        settings = lockfile.state if lockfile is not None else None
        url = place_of(settings)
        key = "state", str(lockfile.path if lockfile is not None else ""), url, settings and settings.on_failure
        record = self._records.here()
        desk: Desk | None = record.providers.get(key)
        if desk is None:
            desk = record.providers[key] = _desk(key[1], url, settings)
        return desk


def _desk(project: str, url: str | None, settings: StateSettings | None) -> Desk:
    own: ProcessStore = of_this_process(project)
    if url is None or settings is None or settings.url_env is None:
        return Desk(own)
    return Far(opened(url, settings.url_env), own, settings.url_env, settings.on_failure)


class Conversations:
    """Which model a conversation is with, for all who share the store (`policy.Places`), for one request.

    Args:
        desk: of this event loop.
        gate: that the request passes: what it asks of the store goes along. `None`: it asks nothing else.
    """

    def __init__(self, desk: Callable[[], Desk], gate: Gate | None) -> None:
        self._desk = desk
        self._gate = gate
        self._known: str | None = None

    async def get(self, key: str, requests: Mapping[str, LLMRequest], seconds: float) -> str | None:
        """See `policy.Places`."""
        place, kept = f"sticky:{key}", round(seconds * MICRO)
        try:
            if self._gate is not None:
                self._known = await self._gate.placed(place, kept, requests)
                return self._known
            model, *others = requests
            ask = Ask(place=place, model=model, kept=kept, others=tuple(map(Other, others)))
            found = self._desk().ask(ask)
            verdict = found if isinstance(found, Verdict) else await found
        except (StoreUnavailableError, ConfigurationError):  # who counts says so when the model is asked
            return None
        self._known = ask.of(verdict.which).model
        return self._known

    def keep(self, key: str, model: str, seconds: float) -> None:
        """See `policy.Places`."""
        if model != self._known:
            self._desk().tell(("put", f"sticky:{key}", (model, round(seconds * MICRO))))
