"""The lockfile as a git revision has it. git is asked for objects alone: no hook, pager, filter or external diff."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileError

from .checks import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Revision", "at_revision", "git_environment", "is_revision"]

_KEPT = ("GIT_CONFIG", "GIT_CEILING", "GIT_DISCOVERY", "GIT_SSH")
_REMOTE_BRANCH = re.compile(r"(?P<remote>[\w.-]+)/(?P<branch>[\w./-]+)")
_PATIENCE = 60
"""Seconds. A partial clone may have to fetch what it is asked for."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a revision has of a file.

    Attributes:
        name: as it was asked for.
        commit: the id that it stands for.
        file: what the file was called then, from the top of the repository; `None` where it was not there.
        content: its bytes; `None` where it was not there.
    """

    name: str
    commit: str
    file: str | None
    content: bytes | None


def at_revision(path: Path, revision: str) -> Revision:
    """A file as it was at a revision, under the name that it had then.

    Args:
        path: the file of today; a symbolic link is followed.
        revision: whatever git takes for one (`HEAD~3`, a branch, a tag), or `REVISION:PATH` for another file of it.

    Raises:
        LockfileError: git is not installed, this is no repository, or it knows no such revision.
    """
    path = path.resolve()
    file: str | None = f"{_folder(path)}{path.name}"
    found, kind = _object(path, revision)
    if not kind:
        raise LockfileError(
            f"git knows no revision {shown(revision)} in {path.parent}, and there is no file of that name. "
            f"{_how_to_have(path, revision)}"
        )
    if kind == "blob":
        return Revision(revision, found, revision.partition(":")[2], _content(path, found))
    blob, kind = _object(path, f"{found}:{file}")
    if not kind and (file := _former_name(path, found, f"{file}")):
        blob, kind = _object(path, f"{found}:{file}")
    return Revision(revision, found, file if kind else None, _content(path, blob) if kind else None)


def is_revision(path: Path, name: str) -> bool:
    """Whether git takes the name for a revision, where the file is. Without git, or a repository, nothing is."""
    try:
        return bool(_object(path.resolve(), name)[1])
    except LockfileError:
        return False


def _how_to_have(path: Path, revision: str) -> str:
    """What to do about a revision that is not there: a remote's branch can be fetched, and a shallow clone made whole.

    Continuous integration clones shallowly as a rule, and one branch alone.
    """
    named = _REMOTE_BRANCH.match(revision)
    if named and named["remote"] in _git(path, "remote").stdout.decode(errors="replace").split():
        remote, branch = named.groups()
        return f"To fetch it: git fetch {remote} {branch}:refs/remotes/{remote}/{branch}"
    if _word(path, "rev-parse", "--is-shallow-repository") == "true":
        return "This clone is shallow. To fetch the rest: git fetch --unshallow"
    return "To see what there is: git log --oneline"


def _folder(path: Path) -> str:
    """The folder of a file, from the top of its repository."""
    done = _git(path, "rev-parse", "--show-prefix")
    if done.returncode:
        raise LockfileError(
            f"git has no history of {path}: {_said(done)} To compare with another file: llmring lock diff FILE"
        )
    return os.fsdecode(done.stdout.rstrip(b"\n"))


def _object(path: Path, name: str) -> tuple[str, str]:
    """The id of what a name stands for, and its type; two empty words where there is nothing.

    An annotated tag stands for what it was put on.
    """
    if name.startswith("-") or "\0" in name:
        return "", ""
    found = _word(path, "rev-parse", "--verify", "--quiet", name)
    kind = _word(path, "cat-file", "-t", found) if found else ""
    return _object(path, f"{found}^{{}}") if kind == "tag" else (found, kind)


def _word(path: Path, *arguments: str) -> str:
    """The one word with which git answers; empty where it has no answer."""
    return _git(path, *arguments).stdout.decode("ascii", "replace").strip()


def _content(path: Path, blob: str) -> bytes:
    done = _git(path, "cat-file", "blob", blob)
    if done.returncode:
        raise LockfileError(f"git cannot show {path.name} as it was: {_said(done)} To check the repository: git fsck")
    return done.stdout


def _former_name(path: Path, commit: str, now: str) -> str | None:
    """What a file that has been moved since was called, as git recognises it."""
    options = ("--cached", "--no-ext-diff", "--no-textconv", "--no-relative", "-M", "--diff-filter=R", "--name-status")
    fields = _git(path, "diff", *options, "-z", commit, "--").stdout.split(b"\0")
    for _, old, new in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if os.fsdecode(new) == now:
            return os.fsdecode(old)
    return None


def _git(path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in the folder of a file, on the repository that this folder is in."""
    settings = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.quotePath=false")
    try:
        return subprocess.run(  # noqa: S603
            ["git", "--no-pager", *settings, "-C", str(path.parent), *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=git_environment(),
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise LockfileError(
            "git is not installed. Install it, or compare with another file: llmring lock diff FILE"
        ) from None
    except subprocess.TimeoutExpired:
        raise LockfileError(f"git gave no answer within {_PATIENCE} s. Try: git -C {path.parent} status") from None


def git_environment() -> dict[str, str]:
    """The environment for a git that is to look at the repository of the folder that it is run in.

    A git that runs us, as for a hook, names its own repository and index in the environment.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(_KEPT)}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
    return lines[0].removeprefix("fatal: ").rstrip(".") + "."
