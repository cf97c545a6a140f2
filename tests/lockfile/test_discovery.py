from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmring.exceptions import LockfileParseError
from llmring.lockfile import find_lockfile, load
from llmring.lockfile.files import none_found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project" / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "src" / "deep")
    return tmp_path / "project"


def test_the_nearest_one_above(project: Path) -> None:
    assert find_lockfile() is None
    (project / "llmring.lock").touch()
    assert find_lockfile() == project / "llmring.lock"
    (project / "src" / "llmring.lock").touch()
    assert find_lockfile() == project / "src" / "llmring.lock"
    assert find_lockfile(start=project) == project / "llmring.lock"


def test_the_nearest_of_that_name_is_it_whatever_it_is(project: Path) -> None:
    """What is no file is refused when it is read, and not passed over for one further up."""
    (project / "src" / "llmring.lock").mkdir()
    (project / "llmring.lock").touch()
    assert find_lockfile() == project / "src" / "llmring.lock"
    with pytest.raises(LockfileParseError, match="it is a folder"):
        load(project / "src" / "llmring.lock")


@pytest.mark.parametrize("kind", ["folder", "file"])  # a worktree and a submodule have a file of that name
def test_the_search_ends_at_the_top_of_the_repository(project: Path, kind: str) -> None:
    (project / "llmring.lock").touch()
    top = project / "src"
    (top / ".git").mkdir() if kind == "folder" else (top / ".git").touch()
    assert find_lockfile() is None
    (top / "llmring.lock").touch()
    assert find_lockfile() == top / "llmring.lock"


def test_the_search_ends_at_the_home_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = project.parent / "home"
    link.symlink_to(project / "src")
    (project / "llmring.lock").touch()
    for home in (project / "src", link):
        monkeypatch.setenv("HOME", str(home))
        assert find_lockfile() is None
    (project / "src" / "llmring.lock").touch()
    assert find_lockfile() == project / "src" / "llmring.lock"
    monkeypatch.setenv("HOME", str(project))
    (project / "src" / "llmring.lock").unlink()
    assert find_lockfile() == project / "llmring.lock", "that of the home folder itself counts"


root = pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="giving a file away takes root")
NOBODY = 65534


@root
def test_another_users_file_above_is_passed_over(project: Path) -> None:
    planted, own = project / "src" / "llmring.lock", project / "llmring.lock"
    planted.touch()
    own.touch()
    os.chown(planted, NOBODY, NOBODY)
    assert find_lockfile() == own
    own.unlink()
    assert find_lockfile() is None
    assert f"{planted} is another user's" in none_found()
    assert f"export LLMRING_LOCKFILE_PATH={planted}" in none_found()
    os.chown(planted.parent, NOBODY, NOBODY)
    assert find_lockfile() is None, "whosever the folder above is"


@root
def test_another_users_link_above_is_passed_over(project: Path) -> None:
    (project / "own").touch()
    link = project / "src" / "llmring.lock"
    link.symlink_to(project / "own")
    assert find_lockfile() == link
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert find_lockfile() is None
    link.unlink()
    link.symlink_to(project / "own")
    os.chown(project / "own", NOBODY, NOBODY)
    assert find_lockfile() is None, "nor a link of one's own to another user's file"


@root
def test_in_the_working_directory_whose_folder_it_is_counts_too(project: Path) -> None:
    """As root in a container one works in a folder that belongs to the user outside."""
    here = Path.cwd()
    (here / "llmring.lock").touch()
    os.chown(here / "llmring.lock", NOBODY, NOBODY)
    assert find_lockfile() is None
    os.chown(here, NOBODY, NOBODY)
    assert find_lockfile() == here / "llmring.lock"


def test_what_is_given_comes_first_and_need_not_exist(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "llmring.lock").touch()
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", "named/by.env")
    assert find_lockfile() == Path("named/by.env")
    assert find_lockfile("given.lock") == Path("given.lock")
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", "")
    assert find_lockfile() == project / "llmring.lock"


def test_the_home_folder_is_expanded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("USERPROFILE", str(project))
    assert find_lockfile("~/a.lock") == project / "a.lock"
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", "~/b.lock")
    assert find_lockfile() == project / "b.lock"
