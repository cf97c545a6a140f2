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
    from ..references import split_reference
    from .edits import add_profile, bind, convert, copy_profile, create, remove_profile, replace_models, unbind
    from .extends import package_lockfile
    from .files import find_lockfile, load
    from .given import bindings_of
    from .live import LiveLockfile
    from .model import Binding, Lockfile, ModelSettings, Profile, ProviderSettings
    from .parsing import parse
    from .policy import Budget, Policy, Rate, Split, StateSettings
    from .proposals import Proposal, propose
    from .resolution import bound, fits, reachable, resolve, stated
    from .secrets import secrets_in

__all__ = [
    "Binding",
    "Budget",
    "LiveLockfile",
    "Lockfile",
    "ModelSettings",
    "Policy",
    "Profile",
    "Proposal",
    "ProviderSettings",
    "Rate",
    "Split",
    "StateSettings",
    "add_profile",
    "bind",
    "bindings_of",
    "bound",
    "convert",
    "copy_profile",
    "create",
    "find_lockfile",
    "fits",
    "load",
    "package_lockfile",
    "parse",
    "propose",
    "reachable",
    "remove_profile",
    "replace_models",
    "resolve",
    "secrets_in",
    "split_reference",
    "stated",
    "unbind",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            ".references": ("split_reference",),
            "edits": (
                "add_profile",
                "bind",
                "convert",
                "copy_profile",
                "create",
                "remove_profile",
                "replace_models",
                "unbind",
            ),
            "extends": ("package_lockfile",),
            "given": ("bindings_of",),
            "files": ("find_lockfile", "load"),
            "live": ("LiveLockfile",),
            "model": ("Binding", "Lockfile", "ModelSettings", "Profile", "ProviderSettings"),
            "parsing": ("parse",),
            "policy": ("Budget", "Policy", "Rate", "Split", "StateSettings"),
            "proposals": ("Proposal", "propose"),
            "resolution": ("bound", "fits", "reachable", "resolve", "stated"),
            "secrets": ("secrets_in",),
        },
        later=("changes", "extends", "files", "locking", "places", "policy_keys", "rendering", "writing"),
    )
