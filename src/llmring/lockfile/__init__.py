"""The lockfile: which file it is, what it says, how it is read, followed, edited and written.

    from llmring import lockfile

    live = lockfile.LiveLockfile(lockfile.find_lockfile())
    binding = lockfile.resolve(live.current(), "chatbot")

Each name is imported when it is first asked for, so that naming this package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .checks import secrets_in
    from .discovery import find_lockfile
    from .extends import package_lockfile
    from .live import LiveLockfile
    from .model import Binding, Lockfile, Profile, ProviderSettings, split_reference
    from .parsing import parse
    from .reading import load
    from .resolution import bound, reachable, resolve
    from .storage import add_profile, bind, convert, copy_profile, create, remove_profile, replace_models, unbind

__all__ = [
    "Binding",
    "LiveLockfile",
    "Lockfile",
    "Profile",
    "ProviderSettings",
    "add_profile",
    "bind",
    "bound",
    "convert",
    "copy_profile",
    "create",
    "find_lockfile",
    "load",
    "package_lockfile",
    "parse",
    "reachable",
    "remove_profile",
    "replace_models",
    "resolve",
    "secrets_in",
    "split_reference",
    "unbind",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "checks": ("secrets_in",),
            "discovery": ("find_lockfile",),
            "extends": ("package_lockfile",),
            "live": ("LiveLockfile",),
            "model": ("Binding", "Lockfile", "Profile", "ProviderSettings", "split_reference"),
            "parsing": ("parse",),
            "reading": ("load",),
            "resolution": ("bound", "reachable", "resolve"),
            "storage": (
                "add_profile",
                "bind",
                "convert",
                "copy_profile",
                "create",
                "remove_profile",
                "replace_models",
                "unbind",
            ),
        },
        later=("advice", "checks", "discovery", "extends", "locking"),
    )
