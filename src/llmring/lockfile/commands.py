"""The commands that a message advises, fit to be copied into a shell."""

from __future__ import annotations

from .checks import shown

__all__ = ["bind", "unbind", "word"]


def bind(alias: str, profile: str | None = None) -> str:
    """The command that binds an alias, in a profile or in the default one."""
    return f"llmring bind {word(alias, 'ALIAS')} provider:model{_option(profile)}"


def unbind(alias: str, profile: str | None = None) -> str:
    """The command that takes an alias out of a profile, or out of the default one."""
    return f"llmring unbind {word(alias, 'ALIAS')}{_option(profile)}"


def word(name: str, otherwise: str) -> str:
    """A name as a shell takes it; a stand-in for one that is better not repeated."""
    import shlex

    return shlex.quote(name) if shown(name) == f'"{name}"' else otherwise


def _option(profile: str | None) -> str:
    return f" --profile {word(profile, 'NAME')}" if profile else ""
