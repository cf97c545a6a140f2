"""The store that is a Redis or Valkey server, or a cluster of them: processes of many machines share it.

The layout of its keys is in `docs/state.md`. All of one prefix are in one slot of a cluster, by their hash tag, so that
a step is one script, and sees all that a request touches.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha1
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..exceptions import ConfigurationError
from .asks import Ask, Record, Told, Verdict
from .rules import lease
from .stores import Stepped, Unusable

__all__ = ["PATIENCE", "RedisStore"]

PATIENCE = 1.0
"""Seconds for whatever is asked of the server."""
_SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}
_KEYS = tuple(map(Ask._fields.index, ("breaker", "rate", "limit", "budget", "place")))
_OTHERS = Ask._fields.index("others")
"""Each of them has its breaker and its limit behind its name."""
_OURS = {
    "decode_responses",
    "socket_timeout",
    "socket_connect_timeout",
    "retry",
    "protocol",
    "single_connection_client",
}
_JSON = json.JSONEncoder(separators=(",", ":")).encode


class RedisStore:
    """Records in Redis, each a hash with an expiry.

    It belongs to one event loop.

    Args:
        url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` over TLS, `unix://PATH`; `valkey://` and
            `valkeys://` mean the same. `?prefix=NAME` is the prefix of its keys, `llmring` where none is given.

    Raises:
        Unusable: the address is none.
        ConfigurationError: the extra `redis` is not installed.
    """

    kind = "redis"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        prefix = options.pop("prefix", "") or "llmring"
        if set(prefix) & set("{}"):
            raise Unusable("its prefix may have no braces")
        self._prefix = f"{{{prefix}}}:"
        if _OURS & options.keys() or not (
            parts.scheme == "unix" or parts.path.strip("/").isdecimal() or parts.path in ("", "/")
        ):
            raise Unusable("it says of the server what it may not: write redis://HOST:PORT/0")
        query = f"?{urlencode(options)}" if options else ""
        self._url = f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}{query}"
        self._script = files(__package__).joinpath("step.lua").read_text(encoding="utf-8")
        self._digest = ""
        self._client: Any = None
        self._module = _imported()
        self._connect(cluster=False)

    def _connect(self, *, cluster: bool) -> None:
        redis = self._module
        options = {
            "decode_responses": True,
            # Whoever asks has a limit of time for all of it: two timers for each command would cost a third of it.
            "socket_timeout": None,
            "socket_connect_timeout": PATIENCE,
            # A connection that the server has closed since is made anew, once; more is for `far.py` to say.
            "retry": redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 1),
            "protocol": 2,
        }
        try:
            kind = redis.asyncio.RedisCluster if cluster else redis.asyncio.Redis
            # Steps are taken one after the other: none has to look for a connection.
            alone = {} if cluster else {"single_connection_client": True}
            self._client = kind.from_url(self._url, **options, **alone)
            if not cluster:
                # Only a connection tells what it does not know of the address's options. Nobody is connected to.
                self._client.connection_pool.make_connection()
        except (ValueError, TypeError, AttributeError):
            raise Unusable("it is no address of a server: write redis://HOST:PORT/0") from None

    async def step(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """As `Store` has it."""
        return await self.step_at("", told, asks)

    async def step_at(self, now: str, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """The same at a time in microseconds; empty: the server's."""
        at, moved, verdicts = await self._run(*self.said(told, asks), now)
        return Stepped(at, [lease(at)] * moved, [Verdict(*it) for it in verdicts])

    def said(self, told: Sequence[Told], asks: Sequence[Ask]) -> tuple[list[str], str]:
        """A step as the script takes it: its keys, and what is told and asked."""
        places: dict[str, int] = {"": 0}
        said = [[kind, places.setdefault(key, len(places)), *figures] for kind, key, figures in told]
        asked: list[Any] = []
        for ask in asks:
            fields: list[Any] = [*ask]
            for at in _KEYS:
                fields[at] = places.setdefault(fields[at], len(places))
            fields[_OTHERS] = [
                (it.model, *(places.setdefault(key, len(places)) for key in it[1:3]), *it[3:]) for it in ask.others
            ]
            asked.append(fields)
        # A cluster sends a script to where its keys are, so that it has one even if it needs none.
        keys = [self._prefix + key for key in places if key] or [self._prefix]
        return keys, _JSON({"told": said, "asks": asked})

    async def _run(self, keys: list[str], given: str, now: str) -> Any:
        errors = self._module.exceptions
        for _ in range(2):
            try:
                if self._digest:
                    return await self._client.evalsha(self._digest, len(keys), *keys, given, now)
                answer = await self._client.eval(self._script, len(keys), *keys, given, now)
                self._digest = _digest(self._script)
                return answer
            except errors.NoScriptError:  # the server has been started anew
                self._digest = ""
            except errors.MovedError:
                # It is a node of a cluster, and the keys are on another one.
                await self._client.aclose()
                self._connect(cluster=True)
        return await self._client.eval(self._script, len(keys), *keys, given, now)

    async def entries(self) -> Mapping[str, Record]:
        """As `Store` has it."""
        await self.step((), ())  # which finds out whether it is a cluster
        found: dict[str, Record] = {}
        # What others have put under the prefix is none of ours: keys of another type, and hashes of other fields.
        async for key in self._client.scan_iter(match=_literal(self._prefix) + "*", count=500, _type="hash"):
            raw = await self._client.hgetall(key)
            with suppress(ValueError):
                if raw:
                    found[key.removeprefix(self._prefix)] = _record(raw)
        return found

    async def remove(self, keys: Iterable[str]) -> None:
        """As `Store` has it."""
        if names := [self._prefix + key for key in keys]:
            await self._client.delete(*names)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _imported() -> Any:
    try:
        import redis.asyncio
        import redis.backoff
    except ImportError:
        raise ConfigurationError(
            "The store of counts is a Redis server, and its client, which the extra redis brings, is not installed. "
            "Install it: pip install redis"
        ) from None
    return redis


def _digest(script: str) -> str:
    # What Redis calls a script by.
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def _literal(prefix: str) -> str:
    """A prefix, for a pattern that matches it alone."""
    return "".join(f"\\{it}" if it in "*?[]\\^" else it for it in prefix)


def _record(raw: Mapping[str, str]) -> Record:
    """A hash, as the record that it is of."""
    record: Record = {}
    for name, value in raw.items():
        if name == "v":
            record["v"] = value
        elif name.startswith("q:"):
            record.setdefault("waits", {})[name[2:]] = tuple(map(int, value.split()))
        elif name.startswith("h:"):
            record.setdefault("held", {})[name[2:]] = int(value)
        else:
            record[name] = int(value)
    return record
