"""The lock of an edit: what becomes of its file and its handles, and what is said of who holds it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile import bind, locking, unbind, writing

from ..holding import held

Write = Callable[..., Path]

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX has locks and links of its own")


class Waiting(logging.Handler):
    """Sets an event when it is said that somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.set()


@posix
def test_who_finds_the_lock_file_taken_away_keeps_no_handle_of_it(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(plain)
    monkeypatch.setattr(locking, "_SAID_AFTER", 0.0)
    waiting, entered = Waiting(), threading.Event()

    def next_one() -> None:
        with locking.exclusive(path):
            entered.set()

    thread = threading.Thread(target=next_one, daemon=True)
    logging.getLogger("llmring.lockfile").addHandler(waiting)
    try:
        before = len(os.listdir("/dev/fd"))
        with locking.exclusive(path):
            thread.start()
            assert waiting.said.wait(60)
            assert not entered.is_set()
        thread.join(60)
    finally:
        logging.getLogger("llmring.lockfile").removeHandler(waiting)
    assert entered.is_set()
    assert len(os.listdir("/dev/fd")) == before


@posix
def test_no_edit_leaves_a_file_open(write: Write, plain: str, tmp_path: Path) -> None:
    """Whether it is done, refused or held up."""
    path = write(plain)
    before = len(os.listdir("/dev/fd"))
    bind(path, "a", ["x:y"])
    writing.copy(path, path.read_bytes(), path.with_name("copy"))
    assert not writing._is_immutable(path)
    with pytest.raises(LockfileError, match="is not bound"):
        unbind(path, "nobody")
    with held(path):
        held_up = len(os.listdir("/dev/fd"))
        with pytest.raises(locking.HeldError):
            bind(path, "a", ["x:z"], patience=0)
        assert len(os.listdir("/dev/fd")) == held_up
    assert len(os.listdir("/dev/fd")) == before


@posix
def test_it_is_said_once_who_is_waited_for(
    write: Write, plain: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(plain)
    monkeypatch.setattr(locking, "_SAID_AFTER", 0.0)
    looks = 0
    look = locking._try_lock

    def counted(handle: int) -> bool:
        nonlocal looks
        looks += 1
        return look(handle)

    monkeypatch.setattr(locking, "_try_lock", counted)
    with (
        held(path) as process,
        pytest.raises(locking.HeldError, match=f"The process {process.pid} has been editing"),
        locking.exclusive(path, patience=0.2),
    ):
        pytest.fail("two edit it")
    assert looks > 3
    assert [record.getMessage() for record in caplog.records] == [
        f"The process {process.pid} is editing {path}; waiting for it"
    ]


@posix
def test_who_holds_a_lock_without_a_number_in_it_is_another_process(write: Write, plain: str) -> None:
    path = write(plain)
    with held(path):
        Path(locking._place(path)).write_text("nobody")
        with (
            pytest.raises(locking.HeldError, match=r"^Another process has been editing"),
            locking.exclusive(path, patience=0),
        ):
            pytest.fail("two edit it")


@posix
def test_no_link_is_followed_to_the_file_that_is_locked(write: Write, plain: str, tmp_path: Path) -> None:
    path, elsewhere = write(plain), tmp_path / "elsewhere"
    place = locking._place(path)
    os.symlink(elsewhere, place)
    try:
        with pytest.raises(LockfileError, match="cannot be locked for an edit"), locking.exclusive(path):
            pytest.fail("it is locked")
    finally:
        os.unlink(place)
    assert not elsewhere.exists()
