"""Which files are source code, with git and without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from llmring.checking.files import project_files
from llmring.exceptions import ConfigurationError

from .conftest import Write

TREE = [
    "app.py",
    "book.ipynb",
    "notes.md",
    "pkg/mod.py",
    "pkg/build.py",
    "build/lib/mod.py",
    "dist/mod.py",
    ".hidden/mod.py",
    "node_modules/x/setup.py",
    "env/pyvenv.cfg",
    "env/lib/mod.py",
    "pkg/__pycache__/mod.py",
    "ignored/mod.py",
]


@pytest.fixture
def tree(bare: Path, write: Write) -> Path:
    for name in TREE:
        write(name, "")
    return bare


def git(*args: str) -> None:
    subprocess.run(["git", *args], check=True, capture_output=True)


def listed(*roots: Path) -> list[str]:
    return [str(path.relative_to(Path.cwd())) for path in project_files(roots).source]


def test_without_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    expected = ["app.py", "book.ipynb", "ignored/mod.py", "pkg/build.py", "pkg/mod.py"]
    assert listed(tree) == expected
    assert listed(tree / "pkg", tree / "pkg" / "mod.py") == ["pkg/build.py", "pkg/mod.py"]


def test_with_git(tree: Path, write: Write) -> None:
    git("init")
    write(".gitignore", "ignored/\n/dist/\n")
    git("add", "app.py", "build/lib/mod.py")
    write("gone.py", "")
    git("add", "gone.py")
    (tree / "gone.py").unlink()
    write("ünïcode.py", "")
    assert listed(tree) == ["app.py", "book.ipynb", "build/lib/mod.py", "pkg/build.py", "pkg/mod.py", "ünïcode.py"]
    assert listed(tree / "pkg") == ["pkg/build.py", "pkg/mod.py"]
    assert listed(tree / "ignored") == ["ignored/mod.py"], "a folder that is named is looked into"


def test_what_git_ignores_is_not_walked_instead_where_nothing_else_is_there(bare: Path, write: Write) -> None:
    git("init")
    write(".gitignore", "*.py\n")
    write("pkg/mod.py", "")
    assert listed(bare) == []
    assert listed(bare / "pkg") == []


def test_a_git_that_runs_us_does_not_lend_us_its_repository(
    tree: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init")
    write(".gitignore", "ignored/\n")
    expected = listed(tree)
    assert "ignored/mod.py" not in expected
    monkeypatch.setenv("GIT_DIR", str(tree / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tree / "no-index"))
    assert listed(tree) == expected


CLOSED = """
import os, sys
from pathlib import Path
from llmring.checking.files import project_files

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print([path.name for path in project_files([Path(sys.argv[1])]).source])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_may_not_be_entered_is_passed_by(mode: int) -> None:
    with tempfile.TemporaryDirectory() as name:  # not below pytest's own, which nobody else may enter
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "app.py").touch()
        (folder / "closed").mkdir()
        (folder / "closed" / "mod.py").touch()
        (folder / "closed").chmod(mode)
        try:
            command = [sys.executable, "-c", CLOSED, name]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": ""})
        finally:
            (folder / "closed").chmod(0o755)
    assert (done.stdout, done.stderr) == ("['app.py']\n", "")


def test_a_file_that_is_named_is_taken(tree: Path) -> None:
    assert listed(tree / ".hidden" / "mod.py") == [".hidden/mod.py"]


def test_a_path_that_is_not_there(tree: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere"):
        project_files([tree / "nowhere"])


def test_a_pipe_is_no_file_and_a_loop_no_endless_tree(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    before = listed(tree)
    os.mkfifo(tree / "pipe.py")
    (tree / "pkg" / "loop").symlink_to(tree, target_is_directory=True)
    assert listed(tree) == before
