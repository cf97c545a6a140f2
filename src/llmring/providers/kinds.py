"""Providers beside the built-in ones: registered by a program, or brought by an installed package.

What stands for one is a class derived from `Provider`, a function that makes one of a `ProviderConfig`, or a `Dialect`.
A package names it in its entry points, in the group `llmring.providers`:

    [project.entry-points."llmring.providers"]
    acme = "acme_llmring:Acme"

Packages are looked through when a name is asked for that is neither built in nor registered, and a package is imported
when its provider is. One that is broken is the failure of its own provider alone. A name has one meaning: who comes
second is refused, and told who was first.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from ..dialects import Dialect
from ..exceptions import ConfigurationError, ProviderNotFoundError
from ..references import is_name, shown
from ..vendors import BUILT_IN
from . import base

if TYPE_CHECKING:
    from .base import Provider
    from .config import ProviderConfig

    Maker: TypeAlias = Callable[[ProviderConfig], Provider]

__all__ = [
    "BUILT",
    "DEEPEST",
    "GROUP",
    "REGISTERED",
    "Kind",
    "Kinds",
    "Offer",
    "find",
    "forget",
    "is_at_hand",
    "is_declared",
    "kind_of",
    "names",
    "offers",
    "origin_of",
    "register",
    "unregister",
]

GROUP = "llmring.providers"
"""The group of the entry points."""
_OURS = "llmring"
"""The package that brings recordings."""
DEEPEST = 3
"""Dialects that each name another as their SDK."""
BUILT = "built in"
"""The origin of the rows of `vendors.json`."""
REGISTERED = "registered"
"""The origin of what a program has registered."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What stands for a name. Each is itself alone, whatever makes it: that may be equal to another, or to nothing.

    Attributes:
        name: as in `provider:model`, and as `sdk` in a lockfile.
        dialect: what is known of it; where nothing is said, its name alone.
        make: makes a provider of it; `None` where an SDK speaks to it, which the dialect names.
        origin: `"built in"`, `"registered"`, or `"package NAME VERSION"`.
    """

    name: str
    dialect: Dialect
    make: Maker | None
    origin: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider that an installed package brings.

    Attributes:
        name: of the provider.
        package, version: as pip knows them.
        refused: why it does not count; `None` where it does.
    """

    name: str
    package: str
    version: str
    entry: metadata.EntryPoint
    refused: str | None = None

    @property
    def origin(self) -> str:
        """Where it comes from."""
        return f"package {self.package} {self.version}"


class Kinds:
    """Those that were registered in one place: a service, or the process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, Kind] = {}
        self._loaded: dict[str, Kind] = {}
        self._offers: tuple[object, Mapping[str, Offer]] | None = None

    def add(self, kind: Kind) -> None:
        """Register one.

        Raises:
            ConfigurationError: the name is taken.
        """
        with self._lock:
            if (taken := self._of.setdefault(kind.name, kind)) is not kind:
                raise ConfigurationError(_taken(kind.name, taken, kind.origin))

    def remove(self, name: str) -> None:
        """Forget one; it is no error if there is none."""
        with self._lock:
            self._of.pop(name, None)

    def get(self, name: str) -> Kind | None:
        """The one of that name; of a package's, once it was loaded."""
        return self._of.get(name) or self._loaded.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._of])

    # What packages bring: kept by the process's own.

    def forget(self) -> None:
        """Forget what was loaded."""
        self._loaded.clear()
        self._offers = None

    def offers(self) -> Mapping[str, Offer]:
        """What installed packages bring, by name. Nothing is imported; it is looked anew once a folder has changed."""
        state = _state_of_path()
        kept = self._offers
        if kept is None or kept[0] != state:
            kept = self._offers = (state, _scan())
        return kept[1]

    def load(self, offer: Offer) -> Kind:
        """What an offer stands for: its package is imported.

        Raises:
            ProviderNotFoundError: that fails, or it is no provider.
        """
        return self._loaded.get(offer.name) or self._loaded.setdefault(offer.name, _loaded(offer))


_PROCESS = Kinds()
"""What the program has registered, for all of its services, and what was loaded of packages: the state of a process."""


def register(
    name: str, provider: type[base.Provider] | Callable[[base.ProviderConfig], base.Provider] | Dialect
) -> None:
    """Serve `name:model` in all services of this process, those that are there and those to come.

    Args:
        name: what stands before the colon; `sdk = "NAME"` in a lockfile means it, too.
        provider: a class derived from `Provider`, a function that makes one of a `ProviderConfig`, or a `Dialect`. A
            provider itself belongs to one service: `LLMRing.register_provider`.

    Raises:
        ConfigurationError: the name is none or is taken, by a built-in provider, an installed package, or one that was
            registered before; or `provider` is none of these.
    """
    kind = kind_of(name, provider, REGISTERED)
    if name in BUILT_IN:
        raise ConfigurationError(_taken(name, _built_in(name), REGISTERED))
    if (offer := offers().get(name)) is not None:
        raise ConfigurationError(
            f"{name!r} cannot be registered: the package {offer.package} {offer.version} brings a provider of that "
            f"name. Register another name, or uninstall it: pip uninstall {offer.package}"
        )
    _PROCESS.add(kind)


def unregister(name: str) -> None:
    """Take back what `register` was told; providers that are there stay until their services close."""
    _PROCESS.remove(name)


def forget() -> None:
    """Forget what was loaded of packages, as tests do that install some."""
    _PROCESS.forget()


def offers() -> Mapping[str, Offer]:
    """What installed packages bring, by the names of the providers. None of them is imported."""
    return _PROCESS.offers()


def is_declared(name: str, own: Kinds | None = None) -> bool:
    """Whether a name is built in or registered: what it means does not depend on what was imported of packages."""
    return (own is not None and name in own) or name in BUILT_IN or name in _PROCESS


def is_at_hand(name: str, own: Kinds | None = None, depth: int = 0) -> bool:
    """Whether no package is to be looked for, or imported, for a name and for whom its dialect has speak to it."""
    if not is_declared(name, own) and _PROCESS.get(name) is None:
        return False
    kind = find(name, own)
    following = kind.dialect.sdk if kind is not None and kind.make is None else None
    return not following or following in BUILT_IN or depth > DEEPEST or is_at_hand(following, own, depth + 1)


def find(name: str, own: Kinds | None = None) -> Kind | None:
    """What stands for a name; of a package's, it is imported. `None` where nothing does.

    Args:
        name: as in `provider:model`.
        own: what was registered with the service, which comes first.

    Raises:
        ProviderNotFoundError: the package that brings it cannot be imported, or two bring it.
    """
    kind = own.get(name) if own is not None else None
    if kind is not None:
        return kind
    if name in BUILT_IN:
        return _built_in(name)
    if (kind := _PROCESS.get(name)) is not None:
        return kind
    offer = offers().get(name)
    return None if offer is None else _PROCESS.load(offer)


@cache
def _built_in(name: str) -> Kind:
    return Kind(name, BUILT_IN[name], None, BUILT)


def names(own: Kinds | None = None) -> list[str]:
    """All that ask somebody, which a provider of our own package does not; nothing is imported."""
    brought = (it.name for it in offers().values() if it.package != _OURS)
    return list(dict.fromkeys((*BUILT_IN, *(own or ()), *_PROCESS, *brought)))


def origin_of(name: str, own: Kinds | None = None) -> str | None:
    """Where a name comes from; `None` where there is none. Nothing is imported."""
    kind = (own.get(name) if own is not None else None) or _PROCESS.get(name)
    if name in BUILT_IN and (own is None or name not in own):
        return BUILT
    if kind is not None:
        return kind.origin
    offer = offers().get(name)
    return offer.origin if offer is not None else None


def kind_of(name: str, provider: Any, origin: str) -> Kind:
    """What was registered, checked.

    Raises:
        ConfigurationError: it is no name, or nothing that stands for a provider.
    """
    dialect, make = _parts(name, provider)
    if not isinstance(name, str) or not is_name(name) or set(name) & set(":/"):
        raise ConfigurationError(
            f"{shown(name)} cannot name a provider: visible characters, no colon, no slash, no white space."
        )
    return Kind(name, dialect or Dialect(name), make, origin)


def _parts(name: str, provider: Any) -> tuple[Dialect | None, Maker | None]:
    """What is known of a provider, and what makes it."""
    if isinstance(provider, Dialect):
        if provider.sdk is None:
            raise ConfigurationError(
                f"The dialect {provider.name!r} does not say which SDK speaks to it. Most vendors are spoken to with "
                'sdk="openai".'
            )
        return provider, None
    if isinstance(provider, base.Provider):
        raise ConfigurationError(
            f"{provider!r} is a provider, which belongs to one event loop. Give its class, or a function that makes "
            "one; or give it to one service, by LLMRing.register_provider."
        )
    if not callable(provider) or (isinstance(provider, type) and not issubclass(provider, base.Provider)):
        raise ConfigurationError(
            f"{shown(provider)} is no provider: {name!r} takes a class derived from llmring.providers.Provider, a "
            "function that makes one of a ProviderConfig, or a Dialect."
        )
    if iscoroutinefunction(provider):
        raise ConfigurationError(f"{shown(provider)} is async, and nobody awaits what makes a provider: write def.")
    if lacking := sorted(getattr(provider, "__abstractmethods__", ())):
        raise ConfigurationError(f"{shown(provider)} does not say how it does: {', '.join(lacking)}.")
    dialect = getattr(provider, "dialect", None)
    if dialect is not None and not isinstance(dialect, Dialect):
        raise ConfigurationError(f"{shown(provider)}.dialect is {shown(dialect)}; it takes a Dialect, or None.")
    package = getattr(provider, "sdk", "")
    if package and isinstance(package, str) and (dialect is None or not dialect.package):
        dialect = replace(dialect or Dialect(name), package=package)
    return dialect, provider


def _taken(name: str, by: Kind, wanted: str) -> str:
    first = "it is built in" if by.origin == BUILT else f"it is {by.origin} already"
    if by.make is not None:
        first += f", as {getattr(by.make, '__module__', '?')}.{getattr(by.make, '__qualname__', '?')}"
    return f"{name!r} cannot be {wanted}: {first}. Choose another name."


def _loaded(offer: Offer) -> Kind:
    where = f"The provider {offer.name!r} of the package {offer.package} {offer.version}"
    mend = f"To install it anew: pip install --upgrade --force-reinstall {offer.package}"
    if offer.refused is not None:
        raise ProviderNotFoundError(offer.refused, provider=offer.name)
    try:
        found = offer.entry.load()
    except (Exception, SystemExit) as error:  # whatever a package does when it is imported
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        step = f"It needs {lacks}, which is not installed. {mend}" if lacks else mend
        raise ProviderNotFoundError(
            f"{where} cannot be imported ({type(error).__name__}: {error}). {step}", provider=offer.name, original=error
        ) from None
    try:
        return kind_of(offer.name, found, offer.origin)
    except ConfigurationError as error:
        raise ProviderNotFoundError(
            f"{where} ({offer.entry.value}) is none: {error} {mend}", provider=offer.name
        ) from None


def _state_of_path() -> object:
    """What changes when a package is installed, or another folder is looked into."""
    found: list[tuple[str, int]] = []
    for folder in sys.path:
        try:
            found.append((folder, os.stat(folder or ".").st_mtime_ns))
        except OSError:
            found.append((folder, 0))
    return found


def _scan() -> Mapping[str, Offer]:
    seen: set[str] = set()
    found: dict[str, list[Offer]] = {}
    for distribution in metadata.distributions():
        try:
            # Most packages have none, and to read on would cost more than all the rest.
            if GROUP not in (distribution.read_text("entry_points.txt") or ""):
                continue
            package, version = distribution.metadata["Name"], distribution.version
            if package.lower() in seen:  # an earlier folder's hides it
                continue
            seen.add(package.lower())
            for entry in distribution.entry_points.select(group=GROUP):
                found.setdefault(entry.name, []).append(Offer(entry.name, package, version, entry))
        except Exception:  # noqa: S112 - what is wrong with another package is no concern of ours
            continue
    return {name: _one(name, of_name) for name, of_name in found.items()}


def _one(name: str, found: Iterable[Offer]) -> Offer:
    first, *others = found
    if name in BUILT_IN:
        why = (
            f"The package {first.package} {first.version} brings a provider {name!r}, which is built in: that one "
            f"serves. To be rid of the other: pip uninstall {first.package}"
        )
        return Offer(name, first.package, first.version, first.entry, why)
    if others:
        both = " and ".join(f"{it.package} {it.version}" for it in (first, *others))
        why = (
            f"{both} each bring a provider {name!r}, so it means neither. Uninstall one: pip uninstall {first.package}"
        )
        return Offer(name, first.package, first.version, first.entry, why)
    return first
