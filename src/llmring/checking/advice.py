"""The commands that a finding's advice is made of: they name a profile only where it is not the default one."""

from __future__ import annotations

from ..lockfile import Lockfile, advice

__all__ = ["bind", "unbind"]


def bind(lockfile: Lockfile, alias: str, profile: str | None = None) -> str:
    """The command that binds an alias, in a profile or in the default one."""
    return advice.bind(alias, _named(lockfile, profile))


def unbind(lockfile: Lockfile, alias: str, profile: str) -> str:
    """The command that takes an alias out of a profile."""
    return advice.unbind(alias, _named(lockfile, profile))


def _named(lockfile: Lockfile, profile: str | None) -> str | None:
    return None if profile == lockfile.default_profile else profile
