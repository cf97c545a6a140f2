"""How each provider stands here, and `llmring providers`, which shows it.

That is its SDK, its key, its address, the aliases that need it, and what keeps it from serving. Nobody is asked but by
`ask`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..addresses import shown
from ..credentials import Key, Keyring
from ..exceptions import (
    LLMRingError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderNotFoundError,
    ProviderTimeoutError,
)
from ..lockfile import Lockfile
from ..providers import kinds, listing
from ..providers.creation import fits, how_to_install, installed_version, requirement
from ..providers.endpoints import Endpoint, endpoint
from ..providers.environment import lacking
from ..vendors import BUILT_IN, SDKS
from .project import bindings_in, lockfile_if_any
from .terminal import note, say_json, say_table, warn, working

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
        """Its SDK, as pip knows it; empty where it has none, or there is no such provider."""
        return self.endpoint.sdk.package if self.endpoint is not None else ""

    @property
    def origin(self) -> str | None:
        """Where it comes from: `"built in"`, `"lockfile"`, `"registered"`, or `"package NAME VERSION"`."""
        return self.endpoint.origin if self.endpoint is not None else kinds.origin_of(self.name)

    @cached_property
    def version(self) -> str | None:
        """The version of its SDK that is installed, `None` if there is none."""
        return installed_version(self.package) if self.package else None

    @property
    def needs_key(self) -> bool | None:
        """Whether it is of any use without a key; `None` where there is no such provider."""
        return self.endpoint.needs_key if self.endpoint is not None else None

    @property
    def key_variables(self) -> Sequence[str]:
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

    @property
    def is_broken(self) -> bool:
        """Whether a package brings it that cannot be used."""
        return self.endpoint is None and self.origin is not None

    @cached_property
    def problem(self) -> str | None:
        """What keeps it from serving, and what to do about it; `None` where nothing does."""
        if self.endpoint is None:
            return self.unknown
        if self.package and self.version is None:
            return f"The SDK {self.package} is not installed. To install it: {how_to_install(self.package)}"
        if self.version is not None and not fits(self.package, self.version):
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
            "origin": self.origin,
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

    Those with an SDK of their own, or that a package brings, always; others where the lockfile declares them, an alias
    needs them, or their key is set.
    """
    declared = lockfile.providers if lockfile is not None else {}
    needed = _needed_by(lockfile)
    found = []
    for name in dict.fromkeys((*kinds.names(), *declared, *needed)):
        one = status_of(name, lockfile, keys, needed.get(name, {}))
        if every or name in SDKS or name not in BUILT_IN or name in needed or name in declared or one.key_source:
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


def refusals() -> list[str]:
    """Why providers that packages bring do not count: what they are called has another meaning already."""
    return [offer.refused for offer in kinds.offers().values() if offer.refused and offer.name in BUILT_IN]


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

    from .trust import Service, require

    async def listed(service: LLMRing, name: str) -> list[ListedModel] | LLMRingError:
        try:
            await asyncio.to_thread(service.get_provider, name)  # imports its SDK: the others are asked meanwhile
            return await listing.list_models(
                service.get_provider(name), timeout=min(service.timeout or PATIENCE, PATIENCE)
            )
        except LLMRingError as error:
            return error

    async def asked() -> Mapping[str, list[ListedModel] | LLMRingError]:
        async with Service(max_retries=0) as service:
            answers = await asyncio.gather(*(listed(service, name) for name in names))
        return dict(zip(names, answers, strict=True))

    require(lockfile_if_any(), names)
    with working(f"Asking {', '.join(names)}"):
        return asyncio.run(asked())


_SHOWN = 3
"""Aliases of a profile that the table names."""


def providers(
    check: Annotated[
        bool, typer.Option("--check", help="Ask each whether it can be reached and takes the key.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Those that nothing here needs, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how each provider stands here.

    Where it comes from (built in, the lockfile, an installed package), its SDK, key and address, and which aliases need
    it. Keys are never shown, only where they are. With --check, each one that has what it needs is asked for the list
    of its models, which costs nothing; the status is then 1 if one that is needed here does not answer.

    \b
    Example:
      llmring providers
      llmring providers --check
      llmring providers --all --json | jq '.[] | select(.key.set) | .provider'
    """
    lockfile = lockfile_if_any()
    with working("Looking for keys"):
        keys = keyring()
        found = statuses(lockfile, keys, every=every)
        said = [one.as_data() for one in found]  # which looks into the keyring
    if keys.waits:
        note(KEYRING_WAITS)
    answers = ask([one.name for one in found if one.problem is None]) if check else {}
    if as_json:
        checks = [{"check": _checked(one, answers)} if check else {} for one in found]
        say_json([data | checked for data, checked in zip(said, checks, strict=True)])
    else:
        _print(found, lockfile.default_profile if lockfile is not None else "", answers if check else None)
    if check and any(_failed(one, answers) for one in found):
        raise typer.Exit(1)


def _print(found: list[Status], profile: str, answers: Mapping[str, Any] | None) -> None:
    rows = [["PROVIDER", "FROM", "SDK", "KEY", "ADDRESS", "ALIASES"]]
    rows += [[it.name, it.origin or "-", _sdk(it), _key(it), it.address or "-", _aliases(it, profile)] for it in found]
    if answers is not None:
        for row, word in zip(rows, ["ANSWER", *(_answer(one, answers) for one in found)], strict=True):
            row.insert(-1, word)
    say_table(rows)
    for refused in refusals():
        warn(refused)
    for one in found:
        failure = (answers or {}).get(one.name)
        if one.problem and (one.aliases or one.is_broken):
            warn(one.problem)
        elif isinstance(failure, LLMRingError):
            (warn if _failed(one, answers or {}) else note)(str(failure))


def _sdk(one: Status) -> str:
    if one.package:
        return f"{one.package} {one.version or '(not installed)'}"
    return "none needed" if one.endpoint is not None else "-"


def _key(one: Status) -> str:
    if one.key_said or one.endpoint is None:
        return one.key_said or "-"
    if not one.needs_key:
        return "none needed"
    return "the keyring waits" if one.keyring.waits else f"not set: {one.key_variables[0]}"


def _aliases(one: Status, profile: str) -> str:
    """Those of the default profile first, and without its name."""
    said = []
    for name, aliases in sorted(one.aliases.items(), key=lambda item: item[0] != profile):
        more = f" and {len(aliases) - _SHOWN} more" if len(aliases) > _SHOWN else ""
        listed = ", ".join(aliases[:_SHOWN]) + more
        said.append(listed if name == profile else f"{name}: {listed}")
    return "; ".join(said)


def _answer(one: Status, answers: Mapping[str, Any]) -> str:
    if (checked := _checked(one, answers)) is None:
        return "not asked"
    if (count := checked["models"]) is not None:
        return f"{count} model{'s'[: count != 1]}" + (", key accepted" if checked["key_accepted"] else "")
    if checked["key_accepted"] is False:
        return "key refused"
    return "no listing" if checked["reachable"] else "no answer"


def _checked(one: Status, answers: Mapping[str, Any]) -> dict[str, Any] | None:
    """What its answer says, as `--json` has it; `None` for one that was not asked, since something is missing."""
    if one.name not in answers:
        return None
    answer = answers[one.name]
    failed = isinstance(answer, LLMRingError)
    refused = isinstance(answer, ProviderAuthenticationError)
    # A listing proves the key if there is one, and not everybody is given it.
    known = one.endpoint.dialect if one.endpoint is not None else None
    lists_to_all = known is not None and known.lists_to_all
    proven = not failed and one.key_source is not None and one.needs_key is True and not lists_to_all
    return {
        "reachable": not isinstance(answer, ProviderConnectionError | ProviderTimeoutError),
        "key_accepted": False if refused else (True if proven else None),
        "models": None if failed else len(answer),
        "error": str(answer) if failed else None,
    }


def _failed(one: Status, answers: Mapping[str, Any]) -> bool:
    """Whether one that is needed here cannot serve. A server of one's own that no alias needs may well be off."""
    if one.problem is not None:
        return bool(one.aliases)
    unneeded = not one.aliases and one.needs_key is False
    answer = answers.get(one.name)
    return isinstance(answer, LLMRingError) and not isinstance(answer, listing.NoListing) and not unneeded
