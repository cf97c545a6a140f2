"""The lockfile as git has it: real repositories, with the odd ones among them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile.revisions import at_revision, is_revision


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


def test_nothing_of_the_repository_is_run(repository: Path) -> None:
    """Whoever reviews a stranger's change runs none of the programs that its configuration names."""
    touch = f"touch {repository / 'ran'}; cat"
    for setting in ("core.fsmonitor", "diff.external", "core.pager", "filter.f.clean", "filter.f.smudge"):
        git(repository, "config", setting, touch)
    git(repository, "config", "diff.f.textconv", touch)
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=f diff=f\n")
    (repository / "ran").unlink(missing_ok=True)
    (repository / "new.lock").write_text("two\n")
    assert at_revision(repository / "new.lock", "HEAD").content is None
    assert at_revision(repository / "config" / "llmring.lock", "HEAD").content == b"one\r\n" * 30
    assert not (repository / "ran").exists()
