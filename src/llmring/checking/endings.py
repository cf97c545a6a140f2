"""The bound models whose end is announced, and what takes their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import catalog
from ..exceptions import ProviderNotFoundError
from ..lockfile import Lockfile, split_reference
from ..providers.endpoints import endpoint

__all__ = ["Ending", "endings"]


@dataclass(frozen=True, slots=True)
class Ending:
    """A model that ends.

    Attributes:
        model: what the catalogue knows of it, its last day included.
        reference: it, as `provider:model`.
        successor: what takes its place; `None` where the catalogue does not make that plain.
        bindings: where it is bound, as profile and alias.
    """

    model: catalog.ModelInfo
    reference: str
    successor: str | None
    bindings: tuple[tuple[str, str], ...]


def endings(lockfile: Lockfile, profile: str | None = None) -> Iterator[Ending]:
    """The models that a lockfile binds and whose vendor has retired them, says when it will, or advises against them.

    Args:
        lockfile: what binds them.
        profile: the only profile to look at; `None` is every profile.

    Raises:
        ConfigurationError: there is no such profile.
    """
    bound: dict[str, list[tuple[str, str]]] = {}
    for chosen in lockfile.profiles.values() if profile is None else [lockfile.profile(profile)]:
        for binding in chosen.bindings.values():
            for reference in dict.fromkeys(binding.models):
                bound.setdefault(reference, []).append((chosen.name, binding.alias))
    for reference, bindings in bound.items():
        provider, _ = split_reference(reference)
        settings = lockfile.providers.get(provider)
        info = catalog.model_info(reference, base_url=settings.base_url if settings is not None else None)
        if info.deprecated and _is_at_home(lockfile, provider):
            yield Ending(info, reference, catalog.successor(reference), tuple(bindings))


def _is_at_home(lockfile: Lockfile, provider: str) -> bool:
    """Whether a provider is where its vendor has it: another host keeps a model for as long as it likes."""
    try:
        return endpoint(provider, lockfile.providers.get(provider)).at_home
    except ProviderNotFoundError:
        return False
