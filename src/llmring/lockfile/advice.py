"""What a message advises: commands, fit to be copied into a shell, and what to write into a lockfile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .checks import shown
from .discovery import FILE_NAME

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["bind", "declare", "extend", "unbind", "word"]


def bind(alias: str, profile: str | None = None) -> str:
    """The command that binds an alias, in a profile or in the default one."""
    return f"llmring bind {word(alias, 'ALIAS')} provider:model{_option(profile)}"


def unbind(alias: str, profile: str | None = None) -> str:
    """The command that takes an alias out of a profile, or out of the default one."""
    return f"llmring unbind {word(alias, 'ALIAS')}{_option(profile)}"


def declare(lockfile: Lockfile, provider: str) -> str:
    """What declares a provider in a lockfile."""
    if lockfile.is_json:
        return f'under "providers", "{provider}": {{"sdk": "openai", "base_url": "https://..."}}'
    return f'[providers.{provider}] with sdk = "openai" and its base_url'


def extend(lockfile: Lockfile | None, packages: Iterable[str]) -> str:
    """What to write where, to have the aliases of these packages and no others; `None`: there is no lockfile yet."""
    listed = ", ".join(f'"{it}"' for it in packages)
    where = (lockfile.path if lockfile is not None else None) or FILE_NAME
    if lockfile is not None and lockfile.is_json:
        return f'write in {where}: "extends": {{"packages": [{listed}]}}'
    return f"write under [extends] in {where}: packages = [{listed}]"


def word(name: str, otherwise: str) -> str:
    """A name as a shell takes it; a stand-in for none, and for one that is better not repeated."""
    import shlex

    return shlex.quote(name) if name and shown(name) == f'"{name}"' else otherwise


def _option(profile: str | None) -> str:
    return f" --profile {word(profile, 'NAME')}" if profile else ""
