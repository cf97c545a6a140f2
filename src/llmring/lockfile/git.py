"""git, asked so that no folder's content chooses what runs: the one place that calls it.

What lies in a repository, its `.git/config` included, may be a stranger's: an unpacked archive, a shared folder, a bare
repository's files committed as plain ones. So every setting that names a program is overridden, nothing is fetched
(no protocol is allowed, a lazy fetch of a partial clone included), and a repository is only one that has a `.git`.
git finds it by itself, from the folder that it is run in: `GIT_DIR` would spare it its own check of who owns it
(`safe.directory`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from llmring.exceptions import LockfileError

from .checks import escaped

__all__ = ["git", "said"]

_PATIENCE = 60
"""Seconds."""
_SETTINGS = {
    "safe.bareRepository": "explicit",  # a folder with a bare repository's files is no repository (git 2.38)
    "protocol.allow": "never",
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "core.editor": "false",
    "core.sshCommand": "false",
    "core.askPass": "",
    "credential.helper": "",
    "diff.external": "",
    "log.showSignature": "false",
    "submodule.recurse": "false",
    "core.quotePath": "false",
}
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "none",  # which the `protocol.NAME.allow` of a repository cannot widen
    "GIT_NO_LAZY_FETCH": "1",  # git 2.45
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_SSH_COMMAND": "false",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
}
_KEPT = ("GIT_CONFIG_", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""What the user tells git of their own settings and where to look. All else could choose a repository or a program."""


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git on the repository that a folder is in.

    Args:
        folder: where to run; no link of a repository's may have chosen it.
        *arguments: a command of git's that reads objects, names or the index, and its arguments.

    Raises:
        LockfileError: git is not installed, gives no answer, or the folder belongs to a bare repository.
    """
    program = _program()
    if program is None:
        raise LockfileError("git is not installed. Install it, or compare with another file: llmring lock diff FILE")
    if bare := _bare(folder):
        raise LockfileError(
            f"git is not asked in {bare}, where a bare repository's files lie: they may be a stranger's. "
            "To compare with another file: llmring lock diff FILE"
        )
    settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(_KEPT)}
    try:
        return subprocess.run(  # noqa: S603
            [program, "--no-pager", *settings, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=kept | _ENVIRONMENT,
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise LockfileError(f"git cannot be run in {folder}: {error.strerror}. Try: git -C {folder} status") from None
    except subprocess.TimeoutExpired:
        raise LockfileError(f"git gave no answer within {_PATIENCE} s. Try: git -C {folder} status") from None


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Why git failed, as a sentence."""
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
    return escaped(lines[0].removeprefix("fatal: ").rstrip(".")) + "."


def _program() -> str | None:
    """git, from the absolute folders of `PATH`: what lies in the working directory is no program of the user's."""
    here = os.path.abspath(os.curdir)
    for folder in os.get_exec_path():
        if os.path.isabs(folder) and os.path.abspath(folder) != here:
            found = shutil.which(os.path.join(folder, "git"))
            if found is not None:
                return found
    return None


def _bare(folder: Path) -> Path | None:
    """The folder, at or above this one, that git before 2.38 takes for a bare repository; `None` if there is none."""
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        if os.path.lexists(place / ".git"):
            return None
        if place.name != ".git" and all(os.path.exists(place / it) for it in ("HEAD", "objects", "refs")):
            return place
    return None
