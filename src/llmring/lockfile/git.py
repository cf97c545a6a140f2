"""git, asked so that no folder's content chooses what runs: the one place that calls it.

What lies in a repository, its `.git/config` included, may be a stranger's: an unpacked archive, a shared folder, a bare
repository's files committed as plain ones. So every setting that names a program is overridden, nothing is fetched
(no protocol is allowed, a lazy fetch of a partial clone included), and a repository is only one that has a `.git`.
git finds it by itself, from the folder that it is run in: `GIT_DIR` would spare it its own check of who owns it
(`safe.directory`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import LockfileError
from ..references import escaped, shown

__all__ = ["Revision", "at_revision", "git", "is_revision"]

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
_REMOTE_BRANCH = re.compile(r"(?P<remote>[\w.-]+)/(?P<branch>[\w./-]+)")


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


def at_revision(path: Path, revision: str) -> Revision:
    """A file as it was at a revision, under the name that it had then.

    The repository is that of the file's folder; where a link leads to the file, that of the working directory, for a
    link may be a stranger's.

    Args:
        path: the file of today; a symbolic link is followed within the repository.
        revision: whatever git takes for one (`HEAD~3`, a branch, a tag), or `REVISION:PATH` for another file of it.

    Raises:
        LockfileError: git is not installed, this is no repository, or it knows no such revision.
    """
    folder, file = _place(path)
    found, kind = _object(folder, revision)
    if not kind:
        raise LockfileError(
            f"git knows no revision {shown(revision)} in {folder}, and there is no file of that name. "
            f"{_how_to_have(folder, revision)}"
        )
    if kind == "blob":
        return Revision(revision, found, revision.partition(":")[2], _content(folder, path.name, found))
    then: str | None = file
    blob, _ = _object(folder, f"{found}:{file}")
    if not blob and (then := _former_name(folder, found, file)):
        blob, _ = _object(folder, f"{found}:{then}")
    return Revision(revision, found, then if blob else None, _content(folder, path.name, blob) if blob else None)


def is_revision(path: Path, name: str) -> bool:
    """Whether git takes the name for a revision, where the file is. Without git, or a repository, nothing is."""
    try:
        return bool(_object(_place(path)[0], name)[1])
    except LockfileError:
        return False


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
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


def _place(path: Path) -> tuple[Path, str]:
    """The folder to ask git in, and the file as git calls it, from the top of the repository.

    Raises:
        LockfileError: this is no repository, or a link leads out of it.
    """
    here = Path(os.path.realpath(os.curdir))
    real = Path(os.path.realpath(here / path))
    path = Path(os.path.normpath(here / path))
    folder = path.parent if path == real else here
    done = git(folder, "rev-parse", "--show-cdup")
    if done.returncode:
        raise LockfileError(
            f"git has no history of {path}: {_said(done)} To compare with another file: llmring lock diff FILE"
        )
    top = os.path.normpath(folder / os.fsdecode(done.stdout.rstrip(b"\r\n")))
    file = os.path.relpath(real, top)
    if file.partition(os.sep)[0] == os.pardir or os.path.isabs(file):
        raise LockfileError(
            f"{path} is a link that leads out of the repository, to {real}. To compare with a file's own history, go "
            "to its folder first; with another file: llmring lock diff FILE"
        )
    return folder, file.replace(os.sep, "/")


def _how_to_have(folder: Path, revision: str) -> str:
    """What to do about a revision that is not there: a remote's branch can be fetched, and a shallow clone made whole.

    Continuous integration clones shallowly as a rule, and one branch alone.
    """
    named = _REMOTE_BRANCH.match(revision)
    if named and named["remote"] in git(folder, "remote").stdout.decode(errors="replace").split():
        remote, branch = named.groups()
        return f"To fetch it: git fetch {remote} {branch}:refs/remotes/{remote}/{branch}"
    if _word(folder, "rev-parse", "--is-shallow-repository") == "true":
        return "This clone is shallow. To fetch the rest: git fetch --unshallow"
    return "To see what there is: git log --oneline"


def _object(folder: Path, name: str) -> tuple[str, str]:
    """The id of what a name stands for, and its type; two empty words where there is nothing.

    An annotated tag stands for what it was put on.
    """
    if name.startswith("-") or "\0" in name:
        return "", ""
    found = _word(folder, "rev-parse", "--verify", "--quiet", name)
    kind = _word(folder, "cat-file", "-t", found) if found else ""
    return _object(folder, f"{found}^{{}}") if kind == "tag" else (found, kind)


def _word(folder: Path, *arguments: str) -> str:
    """The one word with which git answers; empty where it has no answer."""
    return git(folder, *arguments).stdout.decode("ascii", "replace").strip()


def _content(folder: Path, name: str, blob: str) -> bytes:
    done = git(folder, "cat-file", "blob", blob)
    if done.returncode:
        raise LockfileError(
            f"git cannot show {name} as it was: {_said(done)} Nothing is fetched here: in a partial clone, first "
            f"git cat-file -e {blob}. To check the repository: git fsck"
        )
    return done.stdout


def _former_name(folder: Path, commit: str, now: str) -> str | None:
    """What a file that has been moved since was called, as git recognises it."""
    # The plumbing: `git diff` would look at the files of the working tree, through filters that the repository chooses.
    options = ("--cached", "--no-ext-diff", "--no-textconv", "--no-relative", "-M", "--diff-filter=R", "--name-status")
    fields = git(folder, "diff-index", *options, "-z", commit, "--").stdout.split(b"\0")
    for _, old, new in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if os.fsdecode(new) == now:
            return os.fsdecode(old)
    return None
