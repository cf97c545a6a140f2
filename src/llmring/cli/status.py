"""How each provider stands here: its SDK, its key, its address, the aliases that need it, and what keeps it from
serving. Nobody is asked but by `ask`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..addresses import shown
from ..credentials import Key, Keyring
from ..exceptions import LLMRingError, ProviderNotFoundError
from ..lockfile import Lockfile
from ..providers.endpoints import Endpoint, endpoint
from ..providers.environment import lacking
from ..providers.packages import fits, how_to_install, installed_version, requirement
from ..providers.vendors import BUILT_IN, SDKS
from .project import bindings_in, lockfile_if_any
from .terminal import working

if TYPE_CHECKING:
    from ..providers.listing import ListedModel
    from ..service import LLMRing

KEYRING_WAITS = (
    "The system's keyring does not answer, so which keys it has is not known. It may wait for its password: unlock "
    "it, or put the keys into the environment."
)
"""What to say of a keyring that was waited for."""

PATIENCE = 10.0
"""Seconds that a provider has at most to answer."""


@dataclass(frozen=True)
class Status:
    """How a provider stands. Where there is none of that name, `endpoint` is `None`, and `unknown` says so.

    `aliases` are those that one of its models serves or stands by for, by profile.
    """

    name: str
    endpoint: Endpoint | None
    keyring: Keyring
    aliases: Mapping[str, list[str]]
    unknown: str = ""

    @property
    def package(self) -> str:
        """Its SDK, as pip knows it; empty where there is no such provider."""
        return self.endpoint.sdk.package if self.endpoint is not None else ""

    @cached_property
    def version(self) -> str | None:
        """The version of its SDK that is installed, `None` if there is none."""
        return installed_version(self.package) if self.package else None

    @property
    def needs_key(self) -> bool | None:
        """Whether it is of any use without a key; `None` where there is no such provider."""
        return self.endpoint.needs_key if self.endpoint is not None else None

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables that may hold its key."""
        return self.endpoint.key_variables if self.endpoint is not None else ()

    @cached_property
    def key(self) -> Key | None:
        """Its key. `None` if there is none."""
        return self.endpoint.key(self.keyring) if self.endpoint is not None else None

    @property
    def key_source(self) -> str | None:
        """Where its key is: an environment variable, or the keyring. `None` if there is none."""
        return self.key.source if self.key is not None else None

    @property
    def key_said(self) -> str | None:
        """Where its key is, and what keeps it from being sent. `None` if there is none."""
        wrong = self.key.wrong if self.key is not None else None
        return f"{self.key_source} (holds {wrong})" if wrong else self.key_source

    @property
    def address(self) -> str | None:
        """Where it is, without what may be secret in it. `None` where nobody knows, or it is none to ask."""
        if self.endpoint is None or self.endpoint.wrong_address:
            return None
        return self.endpoint.address and shown(self.endpoint.address)

    @cached_property
    def lacks(self) -> str | None:
        """What keeps it from serving, its SDK apart, and what to do about it; `None` where nothing does."""
        return self.endpoint.lacks(self.keyring) if self.endpoint is not None else self.unknown

    @cached_property
    def problem(self) -> str | None:
        """What keeps it from serving, and what to do about it; `None` where nothing does."""
        if self.endpoint is None:
            return self.unknown
        if self.version is None:
            return f"The SDK {self.package} is not installed. To install it: {how_to_install(self.package)}"
        if not fits(self.package, self.version):
            return (
                f"{self.package} {self.version} is installed, and llmring works with {requirement(self.package)}. "
                f"To install that: {how_to_install(self.package)}"
            )
        return self.obstacle or self.lacks

    @property
    def obstacle(self) -> str | None:
        """What the environment's proxies and certificates keep it from being asked by; `None` where nothing does."""
        return lacking(self.endpoint.address) if self.endpoint is not None else None

    def key_data(self) -> dict[str, Any]:
        """Its key for `--json`, without the key itself; `wrong` is what it holds that cannot be sent."""
        return {
            "needed": self.needs_key,
            "set": self.key is not None,
            "source": self.key_source,
            "variables": list(self.key_variables),
            "wrong": self.key.wrong if self.key is not None else None,
        }

    def as_data(self) -> dict[str, Any]:
        """All of it for `--json`."""
        required = requirement(self.package) if self.package else None
        return {
            "provider": self.name,
            "sdk": {"package": self.package or None, "version": self.version, "requirement": required},
            "key": self.key_data(),
            "address": self.address,
            "aliases": dict(self.aliases),
            "problem": self.problem,
        }


def keyring() -> Keyring:
    """The system's keyring, for one command: it has two seconds to answer."""
    return Keyring(2.0)


def statuses(lockfile: Lockfile | None, keys: Keyring, *, every: bool = False) -> list[Status]:
    """The providers that matter here, or `every` one that is built in.

    Those with an SDK of their own always; others where the lockfile declares them, an alias needs them, or their key
    is set.
    """
    declared = lockfile.providers if lockfile is not None else {}
    needed = _needed_by(lockfile)
    found = []
    for name in dict.fromkeys((*BUILT_IN, *declared, *needed)):
        one = status_of(name, lockfile, keys, needed.get(name, {}))
        if every or name in SDKS or name in declared or name in needed or one.key_source:
            found.append(one)
    return found


def status_of(
    name: str, lockfile: Lockfile | None, keys: Keyring, aliases: Mapping[str, list[str]] | None = None
) -> Status:
    """How one provider stands, for the aliases that need it."""
    declared = lockfile.providers if lockfile is not None else {}
    try:
        return Status(name, endpoint(name, declared.get(name), others=declared), keys, aliases or {})
    except ProviderNotFoundError as error:
        return Status(name, None, keys, aliases or {}, str(error))


def _needed_by(lockfile: Lockfile | None) -> dict[str, dict[str, list[str]]]:
    """Which aliases need a provider, by provider and by profile."""
    needed: dict[str, dict[str, list[str]]] = {}
    if lockfile is None:
        return needed
    for profile in lockfile.profiles:
        for alias, binding in bindings_in(lockfile, lockfile.profiles[profile], quietly=True).items():
            for provider in dict.fromkeys(model.partition(":")[0] for model in binding.models):
                needed.setdefault(provider, {}).setdefault(profile, []).append(alias)
    return needed


def ask(names: Sequence[str]) -> Mapping[str, list[ListedModel] | LLMRingError]:
    """What each of these providers lists, asked at the same time, or the error that it came to.

    Raises:
        ConfigurationError: the user has not agreed to where the lockfile has their secrets sent.
    """
    if not names:
        return {}
    import asyncio

    from ..providers.listing import list_models
    from .trusted import Service, require

    async def listed(service: LLMRing, name: str) -> list[ListedModel] | LLMRingError:
        try:
            await asyncio.to_thread(service.get_provider, name)  # imports its SDK: the others are asked meanwhile
            return await list_models(service.get_provider(name), timeout=min(service.timeout or PATIENCE, PATIENCE))
        except LLMRingError as error:
            return error

    async def asked() -> Mapping[str, list[ListedModel] | LLMRingError]:
        async with Service(max_retries=0) as service:
            answers = await asyncio.gather(*(listed(service, name) for name in names))
        return dict(zip(names, answers, strict=True))

    require(lockfile_if_any(), names)
    with working(f"Asking {', '.join(names)}"):
        return asyncio.run(asked())
