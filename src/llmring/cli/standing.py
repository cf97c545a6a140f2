"""How each provider stands here: its SDK, its key, its address, the aliases that need it, and what keeps it from
serving. Nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..addresses import shown
from ..credentials import Key, Keyring
from ..exceptions import LockfileError, ProviderNotFoundError
from ..providers.endpoints import Endpoint, endpoint
from ..providers.environment import lacking
from ..providers.packages import fits, how_to_install, installed_version, requirement
from ..providers.vendors import BUILT_IN, SDKS

if TYPE_CHECKING:
    from ..lockfile import Binding, Lockfile

__all__ = [
    "KEYRING_WAITS",
    "Standing",
    "bindings_of",
    "described",
    "key_of",
    "keyring",
    "needed_by",
    "standing",
    "standings",
]

KEYRING_WAITS = (
    "The system's keyring does not answer, so which keys it has is not known. It may wait for its password: unlock "
    "it, or put the keys into the environment."
)
"""What to say of a keyring that was waited for."""


@dataclass(frozen=True)
class Standing:
    """How a provider stands.

    Attributes:
        name: as in `provider:model`.
        endpoint: how it is reached; `None` where there is no such provider.
        keyring: where its key is looked for that no variable holds.
        aliases: those that one of its models serves or stands by for, by profile.
        unknown: what to say where there is no such provider.
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

    @property
    def address_variables(self) -> tuple[str, ...]:
        """The environment variables that say where it is, where nothing else does."""
        return self.endpoint.address_variables if self.endpoint is not None else ()

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


def keyring() -> Keyring:
    """The system's keyring, for one command: it has two seconds to answer."""
    return Keyring(2.0)


def standings(lockfile: Lockfile | None, keys: Keyring, *, every: bool = False) -> list[Standing]:
    """The providers that matter here, built-in ones first.

    Those with an SDK of their own always; others where the lockfile declares them, an alias needs them, or their key
    is set.

    Args:
        lockfile: `None` where there is none.
        keys: where keys are looked for that no variable holds.
        every: all that are built in.
    """
    declared = lockfile.providers if lockfile is not None else {}
    needed = needed_by(lockfile)
    found = []
    for name in dict.fromkeys((*BUILT_IN, *declared, *needed)):
        one = standing(name, lockfile, keys, needed.get(name, {}))
        if every or name in SDKS or name in declared or name in needed or one.key_source:
            found.append(one)
    return found


def standing(
    name: str, lockfile: Lockfile | None, keys: Keyring, aliases: Mapping[str, list[str]] | None = None
) -> Standing:
    """How one provider stands.

    Args:
        name: as in `provider:model`.
        lockfile: `None` where there is none.
        keys: where a key is looked for that no variable holds.
        aliases: those that need it, by profile.
    """
    declared = lockfile.providers if lockfile is not None else {}
    try:
        return Standing(name, endpoint(name, declared.get(name), others=declared), keys, aliases or {})
    except ProviderNotFoundError as error:
        return Standing(name, None, keys, aliases or {}, str(error))


def needed_by(lockfile: Lockfile | None) -> dict[str, dict[str, list[str]]]:
    """Which aliases need a provider, by provider and by profile."""
    needed: dict[str, dict[str, list[str]]] = {}
    if lockfile is None:
        return needed
    for profile in lockfile.profiles:
        for alias, binding in bindings_of(lockfile, profile).items():
            for provider in dict.fromkeys(model.partition(":")[0] for model in binding.models):
                needed.setdefault(provider, {}).setdefault(profile, []).append(alias)
    return needed


def described(one: Standing) -> dict[str, Any]:
    """All of it, for `--json`. The key itself is not among it."""
    return {
        "provider": one.name,
        "sdk": {
            "package": one.package or None,
            "version": one.version,
            "requirement": requirement(one.package) if one.package else None,
        },
        "key": key_of(one),
        "address": one.address,
        "aliases": dict(one.aliases),
        "problem": one.problem,
    }


def key_of(one: Standing) -> dict[str, Any]:
    """Whether a key is `needed`, whether it is `set`, its `source`, and the `variables` that may hold it.

    `wrong` is what it holds that cannot be sent, `None` where it can.
    """
    return {
        "needed": one.needs_key,
        "set": one.key_source is not None,
        "source": one.key_source,
        "variables": list(one.key_variables),
        "wrong": one.key.wrong if one.key is not None else None,
    }


def bindings_of(lockfile: Lockfile, profile: str) -> Mapping[str, Binding]:
    """The aliases of a profile, those of extended packages too if they can be read."""
    from ..lockfile import reachable

    try:
        return reachable(lockfile, profile)
    except LockfileError:
        return lockfile.profiles[profile].bindings
