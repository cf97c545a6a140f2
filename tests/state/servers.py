"""Redis servers of the tests' own: each on a port of its own, with nothing on the disk, ended with the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="there is no redis-server here")


def free_port() -> int:
    """A port that nobody has now; a cluster's nodes have one 10,000 above it, too."""
    while True:
        with socket.socket() as found, socket.socket() as bus:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port


class Server:
    """A Redis server.

    Args:
        folder: for what it writes.
        settings: its own, as on its command line.
    """

    def __init__(self, folder: Path, *settings: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._settings = settings
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        assert PROGRAM is not None
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, *self._settings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise AssertionError("".join(said))

    def kill(self) -> None:
        """End it at once, and wait until it has ended."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def pause(self) -> None:
        """Have it stand still, its connections open."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def ask_with(self, password: str, *words: str) -> str:
        """The same of one that asks for a password."""
        return self.ask(*words, password=password)

    def ask(self, *words: str, password: str = "") -> str:
        """What it answers to one command, as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            for command in ([("AUTH", password)] if password else []) + [words]:
                said = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{said}".encode())
            connection.settimeout(10)
            answer = connection.recv(65536)
            with contextlib.suppress(TimeoutError):
                connection.settimeout(0.005)
                while more := connection.recv(65536):
                    answer += more
        return answer.decode()


@contextlib.contextmanager
def redis_server(folder: Path, *settings: str) -> Iterator[Server]:
    """A server that is ended in the end."""
    server = Server(folder, *settings)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.go_on()
        server.kill()
