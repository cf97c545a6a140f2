"""The commands that a finding's advice is made of, fit to be copied into a shell."""

from __future__ import annotations

import shlex

from ..lockfile import Lockfile
from ..lockfile.checks import shown

__all__ = ["bind", "unbind"]


def bind(lockfile: Lockfile, alias: str, profile: str | None = None) -> str:
    """The command that binds an alias, in a profile or in the default one."""
    return f"llmring bind {_word(alias, 'ALIAS')} provider:model{_option(lockfile, profile)}"


def unbind(lockfile: Lockfile, alias: str, profile: str) -> str:
    """The command that takes an alias out of a profile."""
    return f"llmring unbind {_word(alias, 'ALIAS')}{_option(lockfile, profile)}"


def _option(lockfile: Lockfile, profile: str | None) -> str:
    return "" if profile in (None, lockfile.default_profile) else f" --profile {_word(str(profile), 'NAME')}"


def _word(name: str, otherwise: str) -> str:
    """A name as a shell takes it, unless it is better not repeated."""
    return shlex.quote(name) if shown(name) == f'"{name}"' else otherwise
