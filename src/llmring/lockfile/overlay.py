"""A lockfile laid over another one: all that it says, and by name what only the other one has."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from .model import Profile, ProviderSettings

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["overlaid"]


def overlaid(new: Lockfile, old: Lockfile) -> Lockfile:
    """What `new` says, and of `old` the aliases, profiles, packages and settings of providers that `new` lacks.

    A binding is taken from one of the two as it stands, and so is a provider's table, for a mixture could send a key
    to the host of another: from `new`, unless its table lacks a key of the old one, and may be half of what it will be.
    """
    profiles = {
        name: _profile(name, new.profiles.get(name), old.profiles.get(name))
        for name in {**new.profiles, **old.profiles}
    }
    providers = {
        name: _settings(new.providers.get(name), old.providers.get(name)) for name in {**new.providers, **old.providers}
    }
    return replace(
        new,
        default_profile=new.default_profile if "default_profile" in new.data else old.default_profile,
        profiles=profiles,
        providers=providers,
        extends=tuple(dict.fromkeys((*new.extends, *old.extends))),
    )


def _profile(name: str, new: Profile | None, old: Profile | None) -> Profile:
    bindings = [profile.bindings if profile is not None else {} for profile in (new, old)]
    return Profile(name, {**bindings[0], **{it: bindings[1][it] for it in bindings[1] if it not in bindings[0]}})


def _settings(new: ProviderSettings | None, old: ProviderSettings | None) -> ProviderSettings:
    if new is None or old is None:
        return new or old or ProviderSettings()
    return old if _said(old) - _said(new) else new


def _said(settings: ProviderSettings) -> set[str]:
    """What a table has a value for."""
    named = {it.name for it in fields(ProviderSettings) if getattr(settings, it.name)}
    return named.union(f"headers.{header}" for header in settings.headers)
