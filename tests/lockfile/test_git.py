"""The lockfile as git has it: real repositories, with the odd ones among them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from llmring.checking.files import project_files
from llmring.exceptions import LockfileError
from llmring.lockfile.git import at_revision, is_revision


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of `config/llmring.lock`, whose text is then changed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    folder = bare / "config"
    folder.mkdir()
    (folder / "llmring.lock").write_bytes(b"one\r\n" * 30)
    git(bare, "init", "-q", "-b", "main")
    git(bare, "add", ".")
    git(bare, "commit", "-q", "-m", "first")
    (folder / "llmring.lock").write_text("two\n")
    return bare


def test_a_file_below_the_top_is_found_as_it_was(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "annotated")
    for name in ("HEAD", "main", head, head[:10], "v1", "HEAD^{tree}", ":/first"):
        found = at_revision(repository / "config" / "llmring.lock", name)
        assert (found.name, found.file, found.content) == (name, "config/llmring.lock", b"one\r\n" * 30)
    for name in ("HEAD", "v1"):
        assert at_revision(repository / "config" / "llmring.lock", name).commit == head, name
    git(repository, "tag", "-a", "v1-again", "-m", "a tag of a tag", "v1")
    assert at_revision(repository / "config" / "llmring.lock", "v1-again").commit == head


def test_another_file_of_a_revision(repository: Path) -> None:
    found = at_revision(repository / "llmring.lock", "HEAD:config/llmring.lock")
    assert (found.file, found.content) == ("config/llmring.lock", b"one\r\n" * 30)


def test_a_file_that_was_moved_is_found_under_its_old_name(repository: Path) -> None:
    path = repository / "config" / "llmring.lock"
    path.write_bytes(b"one\r\n" * 30 + b"two\r\n")
    git(repository, "mv", "config/llmring.lock", "llmring.lock")
    git(repository, "add", ".")
    found = at_revision(repository / "llmring.lock", "HEAD")
    assert (found.file, found.content) == ("config/llmring.lock", b"one\r\n" * 30)
    git(repository, "commit", "-q", "-m", "second")
    assert at_revision(repository / "llmring.lock", "HEAD~1").file == "config/llmring.lock"


def test_a_file_that_was_not_there(repository: Path) -> None:
    (repository / "other.lock").write_text("new")
    found = at_revision(repository / "other.lock", "HEAD")
    assert (found.file, found.content) == (None, None)


@pytest.mark.parametrize("name", ["-x.lock", "two words.lock", 'a"b.lock', "ü:é.lock", "*.lock", "line\nbreak.lock"])
def test_odd_paths(repository: Path, name: str) -> None:
    folder = repository / "-odd folder"
    folder.mkdir()
    (folder / name).write_text("odd")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "odd")
    found = at_revision(folder / name, "HEAD")
    assert (found.file, found.content) == (f"-odd folder/{name}", b"odd")
    git(repository, "mv", "--", f"-odd folder/{name}", "moved.lock")
    assert at_revision(repository / "moved.lock", "HEAD").file == f"-odd folder/{name}"


@pytest.mark.parametrize(
    "revision", ["nope", "-x", "--output=x", "--branches", "", "HEAD~9", "0" * 40, "HEAD..HEAD", "a b", "HEAD:x"]
)
def test_no_such_revision(repository: Path, revision: str) -> None:
    with pytest.raises(LockfileError, match=r"git knows no revision .*git log"):
        at_revision(repository / "config" / "llmring.lock", revision)
    assert not is_revision(repository / "config" / "llmring.lock", revision)
    assert not (repository / "x").exists()


@pytest.mark.parametrize(
    ("revision", "command"),
    [
        ("origin/main", "git fetch origin main:refs/remotes/origin/main"),
        ("origin/main:config/llmring.lock", "git fetch origin main:refs/remotes/origin/main"),
        ("HEAD~1", "git fetch --unshallow"),
    ],
)
def test_what_a_shallow_clone_lacks_can_be_fetched(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, revision: str, command: str
) -> None:
    (repository / "config" / "llmring.lock").write_bytes(b"two\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    git(repository, "switch", "-q", "-c", "feature")
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", "--depth", "1", "--branch", "feature", repository.as_uri(), ".")
    path = clone / "config" / "llmring.lock"
    with pytest.raises(LockfileError, match="git knows no revision") as caught:
        at_revision(path, revision)
    assert str(caught.value).endswith(f": {command}")
    git(clone, *command.split()[1:])
    assert at_revision(path, revision).content == (b"two\n" if "main" in revision else b"one\r\n" * 30)


def test_what_is_a_revision(repository: Path) -> None:
    assert is_revision(repository / "config" / "llmring.lock", "main")
    assert not is_revision(repository / "config" / "llmring.lock", "./main")


def test_no_repository(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(bare.parent))
    (bare / "llmring.lock").touch()
    with pytest.raises(LockfileError, match=r"not a git repository.*llmring lock diff FILE"):
        at_revision(bare / "llmring.lock", "HEAD")
    assert not is_revision(bare / "llmring.lock", "HEAD")


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(LockfileError, match="git is not installed"):
        at_revision(repository / "config" / "llmring.lock", "HEAD")


def test_a_link_leads_to_the_file_that_it_names(repository: Path) -> None:
    (repository / "llmring.lock").symlink_to(Path("config", "llmring.lock"))
    assert at_revision(repository / "llmring.lock", "HEAD").file == "config/llmring.lock"


def test_it_is_the_repository_that_the_file_is_in(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / "no-index"))
    assert at_revision(repository / "config" / "llmring.lock", "HEAD").content == b"one\r\n" * 30


PROGRAMS = (
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.sshCommand",
    "core.askPass",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "credential.helper",
    "diff.external",
    "diff.f.command",
    "diff.f.textconv",
    "filter.f.clean",
    "filter.f.smudge",
    "filter.f.process",
    "gpg.program",
    "gpg.ssh.program",
    "interactive.diffFilter",
    "merge.f.driver",
    "pager.cat-file",
    "pager.ls-files",
    "pager.rev-parse",
    "sequence.editor",
    "uploadpack.packObjectsHook",
)
"""Settings of a repository that name a program."""


@pytest.fixture
def hostile(repository: Path) -> Path:
    """A repository, as out of an archive, whose settings, hooks and attributes all run something: `ran` is there."""
    program = repository / ".git" / "program"
    program.write_text(f"#!/bin/sh\necho $0 $* >> '{repository / 'ran'}'\ncat\n")
    program.chmod(0o755)
    included = repository / ".git" / "included"
    for setting in PROGRAMS:
        git(repository, "config", "--file", str(included), setting, str(program))
    for key, value in {
        "core.hooksPath": str(program.parent / "hooks"),
        "log.showSignature": "true",
        "protocol.ext.allow": "always",
        "protocol.allow": "always",
        "remote.origin.url": f"ext::{program} %S",
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "submodule.recurse": "true",
        "include.path": str(included),
    }.items():
        git(repository, "config", key, value)
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / hook).write_bytes(program.read_bytes())
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=f diff=f merge=f\n")
    (repository / "ran").unlink(missing_ok=True)
    return repository


def lose(repository: Path, name: str) -> None:
    """Without an object, as a partial clone is: git would fetch it."""
    blob = git(repository, "-c", "core.fsmonitor=false", "rev-parse", name)
    path = repository / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.unlink()


def test_nothing_of_the_repository_is_run(hostile: Path) -> None:
    """Whoever reviews a stranger's change runs none of the programs that its configuration names."""
    (hostile / "new.lock").write_text("two\n")
    assert at_revision(hostile / "new.lock", "HEAD").content is None
    assert at_revision(hostile / "config" / "llmring.lock", "HEAD").content == b"one\r\n" * 30
    assert project_files([hostile]).source == []
    with pytest.raises(LockfileError, match="git knows no revision"):
        at_revision(hostile / "config" / "llmring.lock", "origin/main")
    assert not (hostile / "ran").exists()


def test_nothing_is_fetched(hostile: Path) -> None:
    git(hostile, "config", "core.repositoryFormatVersion", "1")
    git(hostile, "config", "extensions.partialClone", "origin")
    lose(hostile, "HEAD:config/llmring.lock")
    (hostile / "ran").unlink(missing_ok=True)
    with pytest.raises(LockfileError, match=r"Nothing is fetched here.*git cat-file -e [0-9a-f]{40}\."):
        at_revision(hostile / "config" / "llmring.lock", "HEAD")
    assert not (hostile / "ran").exists()


def bare_files(folder: Path, ran: Path) -> None:
    """A bare repository that fetches a lost commit with a program of its own, as plain files."""
    git(folder.parent, "init", "-q", "--bare", folder.name)
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.partialClone", "origin")
    git(folder, "config", "remote.origin.url", "ssh://127.0.0.1/x")
    git(folder, "config", "remote.origin.promisor", "true")
    git(folder, "config", "core.sshCommand", f"touch {ran}; false")
    (folder / "refs" / "heads" / "main").write_text("1234567890" * 4 + "\n")
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "llmring.lock").write_text("one\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "llmring.lock").write_text("one\n")


@pytest.mark.parametrize("target", ["docs/llmring.lock", "docs/sub/llmring.lock"])
def test_a_link_chooses_no_repository(repository: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    ran = repository / "ran"
    bare_files(repository / "docs", ran)
    (repository / "llmring.lock").symlink_to(target)
    found = at_revision(repository / "llmring.lock", "HEAD")
    assert (found.file, found.content) == (None, None), "it is looked for in the repository around"
    (repository / "linked").symlink_to(Path(target).parent)
    assert at_revision(repository / "linked" / "llmring.lock", "HEAD").content is None
    for place in (repository / target, repository / "docs" / "llmring.lock"):
        with pytest.raises(LockfileError, match="a bare repository's files lie"):
            at_revision(place, "HEAD")
        assert not is_revision(place, "HEAD")
    assert not project_files([repository / "linked"]).source
    monkeypatch.chdir(repository / "docs")
    with pytest.raises(LockfileError, match="a bare repository's files lie"):
        at_revision(Path("llmring.lock"), "HEAD")
    assert not ran.exists()


def test_a_link_out_of_the_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.lock"
    elsewhere.touch()
    (repository / "llmring.lock").symlink_to(elsewhere)
    with pytest.raises(LockfileError, match=r"leads out of the repository.*llmring lock diff FILE"):
        at_revision(repository / "llmring.lock", "HEAD")


def test_a_path_through_a_link_and_back_is_where_the_link_leads(repository: Path) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    (repository / "deep" / "llmring.lock").write_text("deep\n")
    (repository / "llmring.lock").write_text("top\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    (repository / "linked").symlink_to("deep/er")
    assert at_revision(Path("linked/../llmring.lock"), "HEAD").content == b"deep\n"


def test_a_submodule_has_a_history_of_its_own(repository: Path) -> None:
    (repository / "sub").mkdir()
    git(repository / "sub", "init", "-q")
    (repository / "sub" / "llmring.lock").write_text("one\n")
    git(repository / "sub", "add", ".")
    git(repository / "sub", "commit", "-q", "-m", "first")
    assert at_revision(repository / "sub" / "llmring.lock", "HEAD").content == b"one\n"


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="giving a folder away takes root")
def test_gits_own_check_of_the_owner_stays(repository: Path) -> None:
    os.chown(repository / ".git", 65534, 65534)
    os.chown(repository, 65534, 65534)
    with pytest.raises(LockfileError, match="dubious ownership"):
        at_revision(repository / "config" / "llmring.lock", "HEAD")


def test_a_program_in_the_working_directory_is_not_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "git").write_text(f"#!/bin/sh\ntouch '{repository / 'ran'}'\n")
    (repository / "git").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", str(repository), os.environ["PATH"]]))
    assert at_revision(repository / "config" / "llmring.lock", "HEAD").content == b"one\r\n" * 30
    assert not (repository / "ran").exists()
