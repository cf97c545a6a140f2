from __future__ import annotations

from pathlib import Path

import pytest

from llmring.lockfile import find_lockfile


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


def test_a_folder_of_that_name_is_no_lockfile(project: Path) -> None:
    (project / "src" / "llmring.lock").mkdir()
    (project / "llmring.lock").touch()
    assert find_lockfile() == project / "llmring.lock"


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
