"""A provider by itself: made without a service and a lockfile, with its key found as always."""

from __future__ import annotations

from collections.abc import Callable

from .. import concealment
from ..credentials import kept
from ..dialects import Dialect
from ..exceptions import LLMRingError
from ..lockfile import ProviderSettings
from .base import Provider
from .config import ProviderConfig
from .creation import creation
from .endpoints import endpoint
from .kinds import REGISTERED, Kinds, kind_of

__all__ = ["make_provider"]


def make_provider(
    provider: str | type[Provider] | Callable[[ProviderConfig], Provider] | Dialect,
    *,
    name: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    api: str | None = None,
    timeout: float | None = 60.0,
    max_retries: int = 2,
    max_connections: int | None = None,
) -> Provider:
    """A provider to ask without a service: `async with make_provider("groq") as it: await it.chat(request)`.

    It belongs to one event loop. Making it imports its SDK, which takes a second or two, and asks nobody.

    Args:
        provider: the name of one that is built in, registered, or a package's; or what `llmring.register` takes.
        name: what it is called; not given: by its own name, or its dialect's, else its class's in lower case.
        api_key: its key; not given: from the environment, else from the system's keyring.
        base_url: where it is; not given: where it is at home.
        api: for the openai SDK, `"chat"` or `"responses"`; not given: decided by the address.
        timeout: seconds for every wait; for `chat` the whole call. `None` waits forever.
        max_retries: how often it is asked again after what may pass.
        max_connections: how many may be open at once; `None` sets no bound.

    Raises:
        ConfigurationError: it is nothing that stands for a provider.
        ProviderNotFoundError: no such provider, no key for it, or its SDK is not installed.
    """
    own = Kinds()
    if isinstance(provider, str):
        name = provider
    else:
        dialect = provider if isinstance(provider, Dialect) else getattr(provider, "dialect", None)
        called = dialect.name if isinstance(dialect, Dialect) else getattr(provider, "__name__", "").lower()
        name = name or called
        own.add(kind_of(name, provider, REGISTERED))
    keys = kept({name: api_key})
    del api_key
    common = ProviderConfig("", timeout=timeout, max_retries=max_retries, max_connections=max_connections)
    try:
        settings = ProviderSettings(base_url=base_url, api=api) if base_url or api else None
        return creation(endpoint(name, settings, own=own), keys, common)()
    except LLMRingError as error:
        raise concealment.bare(error)  # noqa: B904 - it is the same error
