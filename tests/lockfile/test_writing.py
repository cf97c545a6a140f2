"""Writes: atomic, one at a time, between real processes that are really killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.exceptions import LockfileError
from llmring.lockfile import bind, convert, create, load, locking, unbind, writing

from ..holding import held

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


@pytest.mark.long
def test_eight_processes_lose_no_binding(write: Write, plain: str) -> None:
    path = write(plain)
    processes = [python(BINDER, path, number, 50) for number in range(8)]
    for process in processes:
        told = process.communicate()[0].splitlines()  # on a busy machine an edit may take more than a second
        assert ([it for it in told if not it.endswith("; waiting for it")], process.returncode) == ([], 0)
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
from llmring.lockfile import bind, load

path, rounds = Path(sys.argv[1]), int(sys.argv[2])
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
    assert len(left) <= 1 and all(name.endswith(".llmring-tmp") for name in left), left
    if turn % 5 == 4:
        bind(path, "after", [f"x:{turn}"])
        assert os.listdir(path.parent) == [path.name]
"""


@posix
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(write: Write, plain: str) -> None:
    path = write(plain)
    process = python(KILLER, path, 100)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    bind(path, "last", ["x:y"])
    assert beside(path) == []


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(write: Write, plain: str) -> None:
    path = write(plain)
    other = writing._prefix(path.with_name("other.lock")) + "0.llmring-tmp"
    for name in (writing._prefix(path) + "0a1b2c3d.llmring-tmp", ".llmring.lock.swp", "llmring.lock.orig", other):
        write("half", name)
    bind(path, "a", ["x:y"])
    assert beside(path) == sorted([".llmring.lock.swp", "llmring.lock.orig", other])


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
def test_a_link_to_nothing_is_made_good_only_beside_it(tmp_path: Path, plain: str) -> None:
    link = tmp_path / "llmring.lock"
    link.symlink_to("target.lock")
    create(link, plain)
    assert link.is_symlink()
    assert (tmp_path / "target.lock").read_text() == plain
    (tmp_path / "home").mkdir()
    elsewhere = tmp_path / "other.lock"
    elsewhere.symlink_to("home/.profile")
    with pytest.raises(LockfileError, match=r"is a link to .*/home/\.profile, where there is no file.*: rm "):
        create(elsewhere, plain)
    assert os.listdir(tmp_path / "home") == []


@posix
@pytest.mark.parametrize("text", ["key = canary\n", 'version = "1.0"\ncolour = "blue"\n', '{"version": "1.0"}', ""])
def test_a_link_is_followed_to_a_lockfile_alone(tmp_path: Path, plain: str, text: str) -> None:
    """A repository may hold a link to any file of the one who clones it."""
    target, link = tmp_path / "settings", tmp_path / "llmring.lock"
    target.write_text(text)
    link.symlink_to("settings")
    kept: list[Path] = []
    with pytest.raises(LockfileError, match=r"is a link to .*/settings, which is no lockfile.*: rm "):
        create(link, plain, force=True, keep=lambda path, content: kept.append(path))
    with pytest.raises(LockfileError):
        bind(link, "a", ["x:y"])
    with pytest.raises(LockfileError):
        convert(link, to_json=True)
    assert target.read_text() == text
    assert kept == []
    assert beside(link) == ["settings"]


@contextlib.contextmanager
def at_a_move(*events: str, to: Path, do: Callable[[], object]) -> Iterator[None]:
    """Something happens just before each move or link of a file to a path, but for those that it makes itself."""
    is_on = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal is_on
        if is_on and event in events and str(arguments[1]) == str(to):
            is_on = False
            try:
                do()
            finally:
                is_on = True

    sys.addaudithook(hear)  # for good, so it does nothing afterwards
    try:
        yield
    finally:
        is_on = False


@contextlib.contextmanager
def saving(path: Path, texts: list[str]) -> Iterator[None]:
    """An editor that saves each of the texts when somebody else is about to rename a file to that one."""
    waiting = list(texts)

    def save() -> None:
        if waiting:
            path.with_name("editor").write_text(waiting.pop(0))
            path.with_name("editor").replace(path)

    with at_a_move("os.rename", to=path, do=save):
        yield
    assert not waiting


@posix
def test_files_are_exchanged_wherever_the_system_can() -> None:
    """Else the tests below would be skipped, and nobody would know that they were needed."""
    name = "renamex_np" if sys.platform == "darwin" else "renameat2"
    assert (writing._exchanger() is not None) is hasattr(ctypes.CDLL(None), name)


@pytest.mark.skipif(writing._exchanger() is None, reason="no two files can be exchanged here")
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_save_at_the_very_moment_of_the_move_is_put_back(write: Write, plain: str, saves: int) -> None:
    """More of them come while the first is put back: the newest stays."""
    path = write(plain)
    texts = [f"{plain}\n# save {number}\n" for number in range(1, saves + 1)]
    with saving(path, texts):
        bind(path, "a", ["x:y"])
    assert path.read_text().endswith(f"# save {saves}\n")
    assert "a" in load(path).profile().bindings
    assert beside(path) == []


@posix
@pytest.mark.skipif(writing._exchanger() is None, reason="no two files can be exchanged here")
def test_a_pipe_that_comes_at_that_moment_stays_one(write: Write, plain: str) -> None:
    path = write(plain)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    with (
        at_a_move("os.rename", to=path, do=lambda: pipe.exists() and pipe.replace(path)),
        pytest.raises(LockfileError, match="it is a pipe"),
    ):
        bind(path, "a", ["x:y"])
    assert path.is_fifo()
    assert beside(path) == []


def test_what_is_deleted_at_that_moment_stays_deleted(write: Write, plain: str) -> None:
    path = write(plain)
    if writing._exchanger() is None:
        return
    with at_a_move("os.rename", to=path, do=path.unlink), pytest.raises(LockfileError, match="There is no lockfile"):
        bind(path, "a", ["x:y"])
    assert os.listdir(path.parent) == []


def test_an_editor_that_saves_meanwhile_loses_nothing(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync = write(plain), os.fsync
    saved: list[int] = []

    def save_first(handle: int) -> None:
        fsync(handle)
        if not saved:
            saved.append(1)
            write(plain + "\n# saved by an editor\n")

    monkeypatch.setattr(os, "fsync", save_first)
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

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(LockfileError, match=r"No space left on device\. It is as it was\. .*Make room") as caught:
            bind(path, "a", ["x:y"])
        with pytest.raises(LockfileError, match=r"No space left on device\. .*Make room"):
            create(path, "version = '1.0'", force=True, keep=lambda at, text: writing.copy(at, text, Path(f"{at}.bak")))
    assert caught.value.path == path
    assert path.read_text() == plain
    assert beside(path) == []


def refuse() -> None:
    raise OSError(errno.EBUSY, "Device or resource busy")


def test_a_move_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(write: Write, plain: str) -> None:
    path = write(plain)
    with (
        at_a_move("os.rename", to=path, do=refuse),
        pytest.raises(LockfileError, match=r"busy\. It is as it was\. It is"),
    ):
        bind(path, "a", ["x:y"])
    assert path.read_text() == plain
    assert beside(path) == []


def test_a_new_file_that_cannot_get_its_name_is_not_there(tmp_path: Path, plain: str) -> None:
    path = tmp_path / "llmring.lock"
    with (
        at_a_move("os.link", "os.rename", to=path, do=refuse),
        pytest.raises(LockfileError, match="could not be written"),
    ):
        create(path, plain)
    assert os.listdir(tmp_path) == []
    with at_a_move("os.link", to=path, do=refuse):
        create(path, plain)  # there are drives without links
    assert path.read_text() == plain
    assert beside(path) == []


def test_a_copy_that_cannot_get_its_name_is_not_there(write: Write, plain: str) -> None:
    path = write(plain)
    copied = path.with_name("llmring.lock.bak")
    with (
        at_a_move("os.rename", to=copied, do=refuse),
        pytest.raises(LockfileError, match=r"stays as it is, because no copy of it can be made: .*\.bak: .* busy"),
    ):
        writing.copy(path, path.read_bytes(), copied)
    assert os.listdir(path.parent) == [path.name]


def test_new_content_has_a_name_beside_the_file_until_it_takes_its_place(write: Write, plain: str) -> None:
    path, seen = write(plain), list[str]()
    with at_a_move("os.rename", to=path, do=lambda: seen.extend(beside(path))):
        bind(path, "a", ["x:y"])
    (name,) = seen
    assert name.startswith(writing._prefix(path))
    assert name.endswith(".llmring-tmp")


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    path = tmp_path / "no" / "llmring.lock"
    with (
        pytest.raises(LockfileError, match=r"llmring\.lock cannot be locked for an edit: No such file") as caught,
        locking.exclusive(path),
    ):
        pytest.fail("it is locked")
    assert caught.value.path == path


@posix
def test_where_no_folder_can_be_kept_for_locks_nothing_is_edited(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both places are there, and neither belongs to whoever edits."""
    path = write(plain)
    monkeypatch.setenv("HOME", str(path.with_name("home")))
    somebody = 2**31 - 2 - os.getpid()
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    common = Path(f"/tmp/llmring-{somebody}")
    try:
        with pytest.raises(LockfileError, match=f"no folder can be kept for locks in {common} or .*home") as caught:
            bind(path, "a", ["x:y"])
    finally:
        common.rmdir()
    assert "Make one of them writable" in str(caught.value)
    assert path.read_text() == plain
    assert beside(path) == ["home"]


@posix
def test_a_copy_is_as_what_it_was_made_of(write: Write, plain: str) -> None:
    path = write(plain)
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    copied = path.with_name("llmring.lock.bak")
    writing.copy(path, path.read_bytes(), copied)
    assert copied.read_text() == plain
    assert stat.S_IMODE(copied.stat().st_mode) == 0o640
    assert copied.stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize("patience", [None, 600.0])
def test_one_waits_for_the_other_but_not_for_ever(
    write: Write,
    plain: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    patience: float | None,
) -> None:
    path = write(plain)
    with held(path) as process:
        with pytest.raises(LockfileError, match=rf"The process {process.pid} has been editing .* for [0-9.]+ seconds"):
            bind(path, "a", ["x:y"], patience=0.05)
        assert not caplog.records
        monkeypatch.setattr(locking, "_SAID_AFTER", 0.0)

        class Ending(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                process.kill()

        ending = Ending()
        logging.getLogger("llmring.lockfile").addHandler(ending)
        try:
            bind(path, "a", ["x:y"], patience=patience)
        finally:
            logging.getLogger("llmring.lockfile").removeHandler(ending)
    assert [record.getMessage() for record in caplog.records] == [
        f"The process {process.pid} is editing {path}; waiting for it"
    ]
    assert "a" in load(path).profile().bindings
    assert beside(path) == []


@posix
async def test_who_waits_for_a_stopped_process_does_not_hold_up_the_loop(write: Write, plain: str) -> None:
    path = write(plain)
    async with LLMRing(lockfile_path=path) as service:
        with held(path) as process:
            process.send_signal(signal.SIGSTOP)
            bound = service.bind_alias("a", "x:y")
            again = service.bind_alias("a", "x:z")
            gone = service.unbind_alias("nobody")
            with pytest.raises(LockfileError, match=f"The process {process.pid} has been editing"):
                service.init_lockfile(force=True)
            ticks = asyncio.create_task(asyncio.sleep(0))
            await ticks
            assert not service.has_alias("a"), "it goes on in a thread, and waits there"
        await bound
        await again
        with pytest.raises(LockfileError, match='"nobody" is not bound'):
            await gone
        assert service.resolve_alias("a") == "x:z", "in the order of the calls"
        await service.unbind_alias("a")
        assert not service.has_alias("a")


@posix
async def test_closing_the_service_loses_no_edit(write: Write, plain: str) -> None:
    path = write(plain)
    with held(path) as process:
        async with LLMRing(lockfile_path=path) as service:
            service.bind_alias("a", "x:y")
            process.kill()
    assert "a" in load(path).profile().bindings


@posix
def test_what_others_may_lock_holds_up_nobody(write: Write, plain: str) -> None:
    """Whoever may read a file or a folder may lock it, for as long as they like."""
    import fcntl

    path = write(plain)
    with contextlib.ExitStack() as open_handles:
        for place in (path, path.parent):
            handle = os.open(place, os.O_RDONLY)
            open_handles.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        bind(path, "a", ["x:y"], patience=0)
    with locking.exclusive(path):
        place = Path(locking._place(path))
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert place.parent.stat().st_uid == os.geteuid()
    assert not place.exists()


@posix
def test_a_folder_of_another_user_keeps_no_lock(tmp_path: Path) -> None:
    theirs = tmp_path / "locks"
    theirs.mkdir()
    theirs.chmod(0o777)
    with pytest.raises(PermissionError):
        locking._own(str(theirs))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        locking._own(str(tmp_path / "link"))


MOUNTED = """
import os, subprocess, sys
from llmring.exceptions import LockfileError
from llmring.lockfile import bind
path, other = sys.argv[1:]
def said():
    try:
        bind(path, "a", ["x:y"])
    except LockfileError as error:
        print(str(error).replace(path, "FILE").replace(os.path.dirname(path), "FOLDER"))
subprocess.run(["mount", "--bind", other, path], check=True)
said()
subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
said()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts of Linux")
def test_a_file_that_is_mounted_alone_is_said_to_be_that(write: Write, plain: str) -> None:
    path, other = write(plain), write(plain, "other.lock")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", MOUNTED, str(path), str(other)], capture_output=True, text=True
    )
    if (done.returncode and "Error" in done.stderr + done.stdout) or "unshare" in done.stderr:
        pytest.skip("nothing may be mounted here")
    alone, read_only = done.stdout.splitlines()
    assert alone.startswith(
        "FILE could not be written: Device or resource busy. It is as it was. It is mounted by itself"
    )
    assert "Mount its folder instead" in alone
    assert read_only.startswith("FILE lies on a drive that is mounted read-only. Mount it for writing")
    assert path.read_text() == other.read_text() == plain
    assert beside(path) == ["other.lock"]


@pytest.mark.skipif(sys.platform != "linux", reason="attributes of Linux")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_immutable_is_said_to_be_that(write: Write, plain: str, what: str) -> None:
    path = write(plain)
    place = path if what == "file" else path.parent
    try:
        done = subprocess.run(["chattr", "+i", place], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no chattr here")
    if done.returncode:
        pytest.skip("no file can be made immutable here")
    try:
        with pytest.raises(LockfileError, match=rf"immutable, for everybody\. To .*: sudo chattr -i -a {place}$"):
            bind(path, "a", ["x:y"])
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert path.read_text() == plain


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
            "LockfileError FILE could not be written: Permission denied. It is as it was. Its folder takes no new "
            f"file. To change that: chmod u+w {root}/closed",
            "LockfileParseError FILE cannot be read: Permission denied",
        ]
        assert file.read_text() == closed.read_text() == unreadable.read_text() == plain
        (root / "closed").chmod(0o755)
