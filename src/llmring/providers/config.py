"""How one provider is reached, as its adapter is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..credentials import Key, reveal
from ..dialects import Dialect

__all__ = ["ProviderConfig"]

_IDLE_CONNECTIONS = 100
"""How many are kept for the next request. Behind a proxy, all of them are looked through at each request."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """How to reach one provider.

    Attributes:
        name: as in `provider:model`.
        key: `None` where the provider needs none. Text becomes a `Key`, which `credentials.reveal` shows.
        key_source: where the key came from or should come from, for advice.
        base_url: `None` leaves the SDK its own.
        api: for the openai wrapper, `"chat"` or `"responses"`; `None` decides by the host.
        api_version: for the google wrapper, as in `"v1beta"`; `None` leaves the SDK its own.
        think_tags: whether thinking that a model writes into its text is told apart; `None` decides by the host.
        tools: `"native"`, `"prompt:NAME"` or `"read:NAME"`, as `tool_dialects` reads it; `None` decides by itself.
        headers: sent with every request; their values are kept as the key is.
        secrets: what else must not be seen, as are values of headers that came from the environment.
        timeout: seconds, the service's; `None` waits forever.
        max_retries: how often the SDK's client tries again by itself in what the caller asks of it.
        max_connections: at most so many at once; `None` sets no bound.
        address: where it is, the SDK's own knowledge included, for messages.
        dialect: what is known of its vendor; `None` where nothing is.
    """

    name: str
    key: Key | str | None = None
    key_source: str = ""
    base_url: str | None = None
    api: str | None = None
    api_version: str | None = None
    think_tags: bool | None = None
    tools: str | None = None
    headers: Mapping[str, Key | str] = field(default_factory=dict)
    secrets: tuple[Key | str, ...] = ()
    timeout: float | None = 60.0
    max_retries: int = 2
    max_connections: int | None = None
    address: str | None = None
    dialect: Dialect | None = None

    def __post_init__(self) -> None:
        if isinstance(self.key, str):
            object.__setattr__(self, "key", Key(self.key) if self.key else None)
        headers = {name: it if isinstance(it, Key) else Key(it) for name, it in self.headers.items()}
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "secrets", tuple(it if isinstance(it, Key) else Key(it) for it in self.secrets))

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers, to be sent."""
        return {name: reveal(value) for name, value in self.headers.items()}

    @property
    def limits(self) -> dict[str, int | None]:
        """What `httpx.Limits` takes."""
        return {"max_connections": self.max_connections, "max_keepalive_connections": _IDLE_CONNECTIONS}
