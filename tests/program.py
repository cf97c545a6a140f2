"""The command line for tests: a fork of a process that has imported it.

Importing takes most of the time of most commands, and the tests run hundreds of them. `PROGRAM` is run as the installed
program would be. It has a process that has everything imported fork, and hands the fork its arguments, environment,
working directory, files and terminal; signals and the exit status are passed on. Where Python's own settings are others
than here, and on other systems than Linux, it runs the installed program.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import locale
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["INSTALLED", "PROGRAM", "TAKE_TERMINAL", "forks"]

INSTALLED = str(Path(sysconfig.get_path("scripts")) / "llmring")
"""What people run."""

_FOLDER = Path(tempfile.gettempdir()) / f"llmring-tests-{os.getpid()}"

PROGRAM = str(_FOLDER / "llmring") if sys.platform == "linux" else INSTALLED
"""The same, quicker to start, while `forks` is entered."""

TAKE_TERMINAL = "LLMRING_TESTS_TAKE_TERMINAL"
"""In the environment, it has the program make the terminal that is its standard input the one that controls it."""

_CLIENT = """\
import fcntl, marshal, os, signal, socket, sys, termios
settings = {name: it for name, it in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}
take = os.environ.pop(%(take)r, None)
if settings != %(settings)r:
    if take:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(%(installed)r, [%(installed)r, *sys.argv[1:]])
files = []
for number in range(3):
    try:
        os.fstat(number)
        files.append(number)
    except OSError:
        pass
here = os.open(".", os.O_RDONLY)
ignored = [int(it) for it in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(it) is signal.SIG_IGN]
told = sys.argv[1:], dict(os.environ), files, ignored, take
connection = socket.socket(socket.AF_UNIX)
connection.connect(%(address)r)
message = marshal.dumps(told)
socket.send_fds(connection, [len(message).to_bytes(4, "big")], [here, *files])
connection.sendall(message)
nowhere = os.open(os.devnull, os.O_RDWR)
for number in files:
    os.dup2(nowhere, number)
process = int.from_bytes(connection.recv(4), "big")
for number in {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}.difference(ignored):
    signal.signal(number, lambda it, _: os.kill(process, it))
status = int.from_bytes(connection.recv(4), "big")
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.WEXITSTATUS(status))
"""


@contextlib.contextmanager
def forks() -> Iterator[None]:
    """While it is entered, `PROGRAM` can be run."""
    if sys.platform != "linux":
        yield
        return
    _FOLDER.mkdir(mode=0o700)
    address = str(_FOLDER / "socket")
    client = _FOLDER / "client.py"
    told = {"take": TAKE_TERMINAL, "settings": _settings(), "installed": INSTALLED, "address": address}
    client.write_text(_CLIENT % told)
    Path(PROGRAM).write_text(f"#!/bin/sh\nexec '{sys.executable}' -IS '{client}' \"$@\"\n")
    Path(PROGRAM).chmod(0o700)
    with subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        try:
            assert parent.stdout.readline() == b"ready\n"
            yield
        finally:
            # It ends with its standard input.
            parent.communicate()
            shutil.rmtree(_FOLDER)


def _settings() -> dict[str, str]:
    return {name: it for name, it in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}


def _import_all() -> None:
    """Everything that a command may come to need, but what looks at the terminal when it is imported.

    What is known of models is what the tests have recorded.
    """
    import pkgutil
    from importlib import import_module

    import llmring

    for module in pkgutil.walk_packages(llmring.__path__, "llmring."):
        if not module.name.startswith("llmring.cli.conversation"):
            import_module(module.name)
    import_module("recorded").use()
    for name in ("rich.console", "rich.live", "rich.markdown", "rich.table"):
        import_module(name)


def _serve(address: str) -> None:
    """Fork for whoever asks, until standard input ends. Comes back in the forks, which are the program then."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready = select.select([0, listener.fileno()], [], [])[0]
            if 0 in ready:
                os._exit(0)
            connection = listener.accept()[0]
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(connection, 4, 4)
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += connection.recv(65536)
    process = os.fork()
    if process:
        _watch(connection, process, files)
    connection.close()
    _become(*marshal.loads(message), *files)


def _watch(connection: socket.socket, process: int, files: list[int]) -> NoReturn:
    """Pass on the status; whoever asked may be killed, and the program with it."""
    for file in (*range(3), *files):
        os.close(file)
    connection.sendall(process.to_bytes(4, "big"))
    ended = os.pidfd_open(process)
    if ended not in select.select([connection.fileno(), ended], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(OSError):
        connection.sendall(status.to_bytes(4, "big"))
    os._exit(0)


def _become(
    args: list[str], environ: dict[str, str], numbers: list[int], ignored: list[int], take: str | None, *files: int
) -> None:
    """Make this process what the program finds when it is started."""
    here, *given = files
    os.fchdir(here)
    for number in range(3):
        if number in numbers:
            os.dup2(given[numbers.index(number)], number)
        else:
            os.close(number)
    for file in files:
        os.close(file)
    for ignore in ignored:
        signal.signal(ignore, signal.SIG_IGN)
    os.setsid()
    if take:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environ)
    tempfile.tempdir = None  # the environment names it
    sys.argv[:] = [PROGRAM, *args]
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = _file(number, mode) if number in numbers else None
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)


def _file(number: int, mode: str) -> Any:
    """As Python opens its own."""
    error = number == 2
    return open(
        number,
        mode,
        buffering=1 if error else -1,
        encoding=locale.getpreferredencoding(False),
        errors="backslashreplace" if error else "strict",
        closefd=False,
    )


def _run() -> NoReturn:
    """Run the program to its end, but for taking all apart that was imported: that takes longer than most commands."""
    from llmring.cli import main

    status: Any = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        if file is not None:
            file.flush()
    os._exit(status)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()
    _serve(sys.argv[1])
    _run()
