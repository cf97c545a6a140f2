"""What the pytest plugin wants to know: which keys and which recordings there are, and what a test left undone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..exceptions import LLMRingError
from ..lockfile import Lockfile, load
from ..providers.headers import variables_in
from ..references import shown
from ..vendors import BUILT_IN
from . import files
from .exchanges import Exchange
from .meaning import question
from .naming import divided
from .session import USED, Session

__all__ = ["judged", "recordings_of", "secret_variables"]

_SHOWN = 5


def _read(path: Path) -> Lockfile | None:
    """A lockfile as far as it can be read: what is wrong with it, the program is told."""
    try:
        return load(path) if path.is_file() else None
    except LLMRingError:
        return None


def secret_variables(lockfile: Path) -> set[str]:
    """The environment variables that hold a key: of every vendor, and of the providers that a lockfile declares."""
    names = {it for row in BUILT_IN.values() for it in (*row.key_variables, row.header_variable) if it}
    found = _read(lockfile)
    for settings in found.providers.values() if found is not None else ():
        names.update([settings.api_key_env] if settings.api_key_env else [])
        names.update(it for value in settings.headers.values() for it in variables_in(value))
    return names


def recordings_of(lockfile: Path, profile: str | None, folder: Path) -> list[Path]:
    """The recordings that a profile's bindings name."""
    found = _read(lockfile)
    if found is None:
        return []
    try:
        bindings = found.profile(profile or os.environ.get("LLMRING_PROFILE") or None).bindings
        models = [it for binding in bindings.values() for it in binding.models]
        named = [it.partition(":")[2] for it in models if it.startswith(("record:", "replay:"))]
        return [*dict.fromkeys(files.place(divided(it)[0], folder) for it in named)]
    except LLMRingError:
        return []


def judged(session: Session, bound: Iterable[Path]) -> list[str]:
    """What is wrong with what a test has asked for, in words."""
    said = [f"Asked for what was not recorded: {it}" for it in session.missed]
    unused = session.unused(*dict.fromkeys([*bound, *session.files]))
    if session.mode == "all":
        drop(unused)
    elif unused and not os.environ.get(USED):  # else who prunes is about to take them out
        lines = [f"  {path}, line {it.number}: {shown(question(it.request))}" for path, it in unused[:_SHOWN]]
        lines += [f"  ... and {len(unused) - _SHOWN} more"] if len(unused) > _SHOWN else []
        lines.append("Record the test anew, by --llmring-record=all, or take them out: llmring replay prune.")
        was = "was" if len(unused) == 1 else "were"
        said.append("\n".join((f"{len(unused)} of what this test has recorded {was} not asked for:", *lines)))
    return said


def drop(unused: Sequence[tuple[Path, Exchange]]) -> None:
    """Take exchanges out of their files."""
    for path in dict.fromkeys(it[0] for it in unused):
        _without(path, {it.mark for where, it in unused if where == path})


def _without(path: Path, marks: set[tuple[bytes, int]]) -> None:
    files.changed(path, lambda before: [it for it in before if it.mark not in marks])
