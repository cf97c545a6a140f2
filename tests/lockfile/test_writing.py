"""Writes: atomic, one at a time, between real processes that are really killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile import bind, create, load, unbind, writing

Write = Callable[..., Path]

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX has fork, modes and links of its own")


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def beside(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path.parent) if name != path.name)


BINDER = """
import sys
from llmring.lockfile import bind
path, number, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for turn in range(count):
    bind(path, f"alias-{number}-{turn}", [f"openai:model-{number}"], profile=["default", "dev", "new"][turn % 3])
    if turn % 10 == 0:
        bind(path, "shared", [f"openai:model-{number}", f"ollama:{turn}"])
"""


def test_eight_processes_lose_no_binding(write: Write, plain: str) -> None:
    path = write(plain)
    processes = [python(BINDER, path, number, 50) for number in range(8)]
    for process in processes:
        assert (process.communicate()[0], process.returncode) == ("", 0)
    bound = [alias for profile in load(path).profiles.values() for alias in profile.bindings if "-" in alias]
    assert sorted(bound) == sorted(f"alias-{number}-{turn}" for number in range(8) for turn in range(50))
    assert beside(path) == []
    assert all(line in path.read_text() for line in plain.splitlines())


def test_threads_lose_no_binding(write: Write, plain: str) -> None:
    path = write(plain)

    def work(number: int) -> None:
        for turn in range(10):
            bind(path, f"alias-{number}-{turn}", ["x:y"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load(path).profile().bindings) == 41


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from llmring.lockfile import bind, load, writing

path, rounds, is_named = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "named"
if is_named or writing._nameless(path.parent) is None:
    is_named = True
    writing._nameless = lambda folder: None
chance = random.Random(3)
begin = time.perf_counter()
for turn in range(20):
    bind(path, "warm", [f"x:{turn}"])
write_time = (time.perf_counter() - begin) / 20
known = 0
for turn in range(rounds):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            known += 1
            bind(path, "counted", [f"x:{known}-{it}" for it in range(known % 7 + 1)], params={"n": known})
            os.write(writer, b".")
    os.close(writer)
    os.read(reader, 1)
    time.sleep(chance.uniform(0, 2 * write_time))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = 1
    while part := os.read(reader, 4096):
        done += len(part)
    os.close(reader)
    binding = load(path).profile().bindings["counted"]
    found = binding.params["n"]
    assert list(binding.models) == [f"x:{found}-{it}" for it in range(found % 7 + 1)], binding
    assert known + done <= found <= known + done + 1, (known, done, found)
    known = found
    left = sorted(set(os.listdir(path.parent)) - {path.name})
    assert len(left) <= is_named and all(name.endswith(".llmring-tmp") for name in left), left
    if turn % 5 == 4:
        bind(path, "after", [f"x:{turn}"])
        assert os.listdir(path.parent) == [path.name]
        assert os.listdir(os.environ["TMPDIR"]) == []
"""


@posix
@pytest.mark.parametrize("kind", ["nameless", "named"])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, plain: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    path = tmp_path / "project" / "llmring.lock"
    path.write_text(plain)
    process = python(KILLER, path, 100, kind)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    bind(path, "last", ["x:y"])
    assert beside(path) == []
    assert os.listdir(tmp_path / "tmp") == []


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(write: Write, plain: str) -> None:
    path = write(plain)
    other = writing._prefix(path.with_name("other.lock")) + "0.llmring-tmp"
    for name in (writing._prefix(path) + "0a1b2c3d.llmring-tmp", ".llmring.lock.swp", "llmring.lock.orig", other):
        write("half", name)
    bind(path, "a", ["x:y"])
    assert beside(path) == sorted([".llmring.lock.swp", "llmring.lock.orig", other])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without names")
@pytest.mark.parametrize("folder", ["/nowhere", "/dev/shm"])
def test_without_a_folder_to_move_from_the_write_goes_on(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setenv("HOME", folder)
    path = write(plain)
    bind(path, "a", ["x:y"])
    assert "a" in load(path).profile().bindings
    assert beside(path) == []


@pytest.mark.skipif(os.utime not in os.supports_fd, reason="an open file is given no times here")
def test_no_write_looks_like_one_into_the_file(write: Write, plain: str) -> None:
    """A move changes the ctime alone, by which it is told from an edit in place; clocks have coarse steps."""
    path = write(plain)
    for number in range(20):
        bind(path, "a", [f"x:{number}"])
        status = path.stat()
        assert status.st_mtime_ns != status.st_ctime_ns


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_stay(write: Write, plain: str, mode: int) -> None:
    path = write(plain)
    path.chmod(mode)
    bind(path, "a", ["x:y"])
    assert stat.S_IMODE(path.stat().st_mode) == mode
    create(path, plain, force=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_permissions_that_new_files_have(tmp_path: Path, plain: str) -> None:
    create(tmp_path / "llmring.lock", plain)
    (tmp_path / "other").touch()
    assert (tmp_path / "llmring.lock").stat().st_mode == (tmp_path / "other").stat().st_mode


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_stays(write: Write, plain: str) -> None:
    path = write(plain)
    os.chown(path, 1234, 4321)
    bind(path, "a", ["x:y"])
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@posix
def test_symbolic_links_stay(write: Write, plain: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = write(plain, "real/shared.lock")
    link = tmp_path / "llmring.lock"
    link.symlink_to("real/shared.lock")
    second = tmp_path / "second.lock"
    second.symlink_to(link)
    assert bind(second, "a", ["x:y"]).path == second
    unbind(link, "chatbot")
    assert os.readlink(link) == "real/shared.lock"
    assert second.is_symlink()
    assert not target.is_symlink()
    assert list(load(target).profile().bindings) == ["a"]
    create(link, plain, force=True)
    assert link.is_symlink()
    assert target.read_text() == plain
    assert sorted(os.listdir(tmp_path)) == ["llmring.lock", "real", "second.lock"]
    assert os.listdir(tmp_path / "real") == ["shared.lock"]


@posix
def test_a_link_to_nothing_is_made_good(tmp_path: Path, plain: str) -> None:
    link = tmp_path / "llmring.lock"
    link.symlink_to("target.lock")
    create(link, plain)
    assert link.is_symlink()
    assert (tmp_path / "target.lock").read_text() == plain


def test_an_editor_that_saves_meanwhile_loses_nothing(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(plain)
    fill = writing._fill
    saved: list[int] = []

    def save_first(*arguments: object) -> None:
        fill(*arguments)  # type: ignore[arg-type]
        if not saved:
            saved.append(1)
            write(plain + "\n# saved by an editor\n")

    monkeypatch.setattr(writing, "_fill", save_first)
    bind(path, "a", ["x:y"])
    assert path.read_text().endswith("# saved by an editor\n")
    assert "a" in load(path).profile().bindings
    assert beside(path) == []


def test_a_write_that_fails_leaves_the_file_as_it_was(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(plain)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            if name == "link" and writing._nameless(path.parent) is None:
                continue
            with pytest.raises(LockfileError, match=r"No space left on device\. It is as it was") as caught:
                bind(path, "a", ["x:y"])
            assert caught.value.path == path
        assert path.read_text() == plain
        assert beside(path) == []


HOLDER = """
import sys
from pathlib import Path
from llmring.lockfile.writing import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("lock", ["folder", "file"])
def test_one_waits_for_the_other_but_not_for_ever(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    script = HOLDER
    if lock == "file":
        monkeypatch.setattr(writing, "_lockable", writing._lock_file)
        script = script.replace(
            "with ", "from llmring.lockfile import writing\nwriting._lockable = writing._lock_file\nwith "
        )
    path = write(plain)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with monkeypatch.context() as patch:
        patch.setattr(writing, "PATIENCE", 0.05)
        with pytest.raises(LockfileError, match="Another process has been editing"):
            bind(path, "a", ["x:y"])
    threading.Timer(0.05, process.kill).start()
    bind(path, "a", ["x:y"])
    assert process.wait() != 0
    process.stdin.close()
    process.stdout.close()
    assert "a" in load(path).profile().bindings
    assert beside(path) == []


READ_ONLY = """
import os, sys
from llmring.exceptions import LockfileError, LockfileParseError
from llmring.lockfile import bind, load
file, folder, unreadable = sys.argv[1:]
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for path in (file, folder, unreadable):
    try:
        bind(path, "a", ["x:y"])
    except LockfileError as error:
        print(type(error).__name__, str(error).replace(path, "FILE"))
"""


@posix
def test_what_may_not_be_written_is_not(plain: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in ("open", "closed"):
            (root / folder).mkdir()
        file, closed, unreadable = root / "open/llmring.lock", root / "closed/llmring.lock", root / "open/other.lock"
        for path in (file, closed, unreadable):
            path.write_text(plain)
        file.chmod(0o444)
        closed.chmod(0o666)
        unreadable.chmod(0o200)
        (root / "open").chmod(0o777)
        (root / "closed").chmod(0o555)
        process = python(READ_ONLY, file, closed, unreadable)
        assert process.communicate()[0].splitlines() == [
            "LockfileError FILE is read-only. To edit it: chmod u+w FILE",
            "LockfileError FILE could not be written: Permission denied. It is as it was",
            "LockfileParseError FILE cannot be read: Permission denied",
        ]
        assert file.read_text() == closed.read_text() == unreadable.read_text() == plain
        (root / "closed").chmod(0o755)
