"""What the shell offers when a word is begun: aliases, models, profiles, providers.

Nothing here fails or asks the network, and the catalogue is read only once a provider has been typed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from io import StringIO

import typer

from .. import catalog
from ..catalog import ROLES, suggested
from ..lockfile import find_lockfile
from ..providers import kinds
from ..vendors import SDKS
from .project import bindings_in, lockfile_if_any

_PLAIN = re.compile(r"[\w./:@+-]+")
"""What a shell takes as one word with no further meaning: nothing else gets onto a command line."""


def aliases(ctx: typer.Context, incomplete: str) -> list[str]:
    """The aliases of the profile that the command line names, else of the one in force."""
    return _offered(lambda: _bound(ctx), incomplete)


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Models as `provider:model`, the last of several separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{model}" for model in _offered(lambda: _models(last), last)]


def names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Aliases, and models as `provider:model`."""
    return [*aliases(ctx, incomplete), *_offered(lambda: _models(incomplete), incomplete)]


def profiles(ctx: typer.Context, incomplete: str) -> list[str]:
    """The lockfile's profiles."""
    return _offered(_profiles, incomplete)


def providers(ctx: typer.Context, incomplete: str) -> list[str]:
    """The providers that are built in or declared."""
    return _offered(_providers, incomplete)


def templates(ctx: typer.Context, incomplete: str) -> list[str]:
    """The templates beside the lockfile."""
    return _offered(_templates, incomplete)


def complete_in_bash(run: Callable[[], None]) -> None:
    """Answer bash, to which a colon ends a word, by what `run` answers where it is part of one.

    `anthropic:cl` comes as three words, and only the last of them is replaced by what is answered.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")
    at = int(os.environ.get("COMP_CWORD") or 0)
    joined: list[str] = []
    where = at
    for number, word in enumerate(words):
        glued = bool(joined) and (word == ":" or joined[-1].endswith(":"))
        joined[-1:] = [joined[-1] + word] if glued else [*joined[-1:], word]
        if number == at:
            where = len(joined) - 1
    os.environ.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(where))
    begun = joined[where] if where < len(joined) else ""
    given = begun.rpartition(":")[0] + ":" if len(joined) < len(words) and ":" in begun else ""
    answer = StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            run()
    finally:
        sys.stdout.write("".join(line.removeprefix(given) for line in answer.getvalue().splitlines(keepends=True)))


def _offered(candidates: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    """Those that begin as the word does; none where they cannot be had."""
    try:
        return [name for name in dict.fromkeys(candidates()) if name.startswith(incomplete) and _PLAIN.fullmatch(name)]
    except Exception:  # a word on the terminal, in the middle of a command line, would help nobody
        return []


def _templates() -> Iterable[str]:
    from ..templates import listed  # with what checks a request

    lockfile = find_lockfile()
    return listed(lockfile) if lockfile is not None else []


def _profiles() -> Iterable[str]:
    lockfile = lockfile_if_any()
    return lockfile.profiles if lockfile is not None else ()


def _bound(ctx: typer.Context) -> Iterable[str]:
    lockfile = lockfile_if_any()
    if lockfile is None:
        return ()
    profile = ctx.params.get("profile") or os.environ.get("LLMRING_PROFILE") or None
    return bindings_in(lockfile, lockfile.profile(profile), quietly=True)


def _providers() -> Iterable[str]:
    lockfile = lockfile_if_any()
    return [*kinds.names(), *(lockfile.providers if lockfile is not None else ())]


def _models(incomplete: str) -> Iterable[str]:
    """The models that are bound; and those that the catalogue knows of the providers that are begun."""
    lockfile = lockfile_if_any()
    declared = lockfile.providers if lockfile is not None else {}
    bound = lockfile.profiles.values() if lockfile is not None else ()
    found = [model for profile in bound for binding in profile.bindings.values() for model in binding.models]
    if not incomplete:
        return found + [f"{name}:{model}" for role in ROLES for name, model in suggested(role).items() if name in SDKS]
    for name in (name for name in _providers() if f"{name}:".startswith(incomplete.partition(":")[0])):
        base_url = declared[name].base_url if name in declared else None
        found += [f"{name}:{it.name}" for it in catalog.models(name, base_url=base_url) if not it.retired]
    return found
