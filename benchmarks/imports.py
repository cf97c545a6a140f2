"""What starting costs: the library's import, the first request to a provider, and the command line.

Imports are CPU of a process of their own: a busy machine cannot add to it, and a warm disk cache takes nothing away.
The library is measured as the others are, compiled as pip leaves it; one that is edited is compiled anew each time
where Python may write no bytecode.
"""

from __future__ import annotations

import asyncio
import compileall
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import llmring

from .measuring import US, Bound, Figure, Sample, Scale, alternate
from .peers import installed
from .serving import ServerProcess
from .targets import MODEL, SDK, lockfile

__all__ = ["imports"]

_WIRES = ("openai", "anthropic", "google", "ollama")
_CLI = "from llmring.cli import main; main()"
_IMPORT = """import time
begun = time.process_time()
{}
print(time.process_time() - begun)
"""
_A_MODEL = """import asyncio, pydantic
class Model(pydantic.BaseModel):
    text: str
"""
_OURS = """
from llmring import LLMRequest, LLMRing, Message
async def stream():
    return LLMRing({lockfile!r}).chat_stream(LLMRequest(model="bench", messages=[Message(role="user", content="Hi")]))
"""
_THEIRS = {
    "openai": """
import openai
async def stream():
    client = openai.AsyncOpenAI(api_key="practice", base_url={url!r} + "/v1")
    messages = [{{"role": "user", "content": "Hi"}}]
    return await client.chat.completions.create(model={model!r}, messages=messages, stream=True)
""",
    "anthropic": """
import anthropic
async def stream():
    client = anthropic.AsyncAnthropic(api_key="practice", base_url={url!r})
    messages = [{{"role": "user", "content": "Hi"}}]
    return await client.messages.create(model={model!r}, max_tokens=100, messages=messages, stream=True)
""",
    "google": """
from google import genai
async def stream():
    client = genai.Client(api_key="practice", http_options=genai.types.HttpOptions(base_url={url!r}))
    stream.client = client
    return await client.aio.models.generate_content_stream(model={model!r}, contents="Hi")
""",
    "ollama": """
import ollama
async def stream():
    client = ollama.AsyncClient(host={url!r})
    messages = [{{"role": "user", "content": "Hi"}}]
    return await client.chat(model={model!r}, messages=messages, stream=True)
""",
}
_FIRST = """
import asyncio, os
{stream}
async def main():
    async for chunk in await stream():
        break
    os._exit(0)
asyncio.run(main())
"""


async def imports(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    server.choose("text", 5)
    compileall.compile_dir(Path(llmring.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        return [
            *await _library(scale.rounds, installed() if peers else []),
            *await _first_requests(server.url, (scale.rounds + 1) // 2, Path(folder)),
            *await _commands(server.url, scale.rounds, Path(folder)),
        ]


async def _library(rounds: int, peers: Sequence[str]) -> list[Figure]:
    """A program that only names the package pays nothing; one that uses it needs pydantic's models and asyncio, too."""
    who = {US: _imported("import llmring"), "import pydantic": _imported("import pydantic")}
    named = Figure("import llmring", "ms CPU", await alternate(rounds, who), [Bound("import pydantic", 1.3)])
    base = "a pydantic model, asyncio"
    figures = [named]
    for names in ("LLMRing", "LLMRequest, LLMRing, Message"):
        who = {US: _imported(f"from llmring import {names}"), base: _imported(_A_MODEL)}
        who |= {f"import {peer}": _imported(f"import {peer}") for peer in peers}
        figures.append(
            Figure(f"from llmring import {names}", "ms CPU", await alternate(rounds, who), [Bound(base, 1.3)])
        )
    return figures


async def _first_requests(url: str, rounds: int, folder: Path) -> list[Figure]:
    """A process that imports, asks, and sees the first chunk."""
    figures = []
    for wire in _WIRES:
        path = folder / f"{wire}.lock"
        path.write_text(lockfile(wire, url))
        ours = _FIRST.format(stream=_OURS.format(lockfile=str(path)))
        theirs = _FIRST.format(stream=_THEIRS[wire].format(url=url, model=MODEL[wire]))
        who = {US: _process(["-c", ours]), SDK: _process(["-c", theirs])}
        figures.append(Figure(f"from start to first chunk, {wire}", "ms CPU", await alternate(rounds, who, warm=False)))
    return figures


async def _commands(url: str, rounds: int, folder: Path) -> list[Figure]:
    (folder / "llmring.lock").write_text(lockfile("openai", url))
    figures = []
    for command, limit in (("--help", None), ("aliases", 1.6)):
        who = {US: _process(["-c", _CLI, command], folder), "import typer": _process(["-c", "import typer"])}
        samples = await alternate(rounds, who)
        bounds = [Bound("import typer", limit)] if limit else []
        figures.append(Figure(f"llmring {command}", "ms CPU", samples, bounds))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        (folder / "llmring.lock").write_text(lockfile("openai", address))
        theirs = _FIRST.format(stream=_THEIRS["openai"].format(url=address, model=MODEL["openai"]))
        who = {
            US: _first_byte(listening, ["-c", _CLI, "chat", "Hi", "--model", "bench"], folder),
            SDK: _first_byte(listening, ["-c", theirs], folder),
        }
        figures.append(Figure("llmring chat, to the first byte sent", "ms", await alternate(rounds, who)))
    return figures


def _imported(statement: str) -> Sample:
    """The CPU that an import takes, in a process that has started."""

    def sample() -> float:
        done = subprocess.run([sys.executable, "-c", _IMPORT.format(statement)], stdout=subprocess.PIPE, check=True)
        return float(done.stdout) * 1e3

    return lambda: asyncio.to_thread(sample)


def _process(arguments: Sequence[str], folder: Path | None = None) -> Sample:
    """The CPU that a whole process takes."""

    def sample() -> float:
        process = _started(arguments, folder)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
        return (used.ru_utime + used.ru_stime) * 1e3

    return lambda: asyncio.to_thread(sample)


def _first_byte(listening: socket.socket, arguments: Sequence[str], folder: Path) -> Sample:
    """The time until a process has sent a byte of its request."""

    def sample() -> float:
        begun = time.perf_counter()
        process = _started(arguments, folder)
        connection, _ = listening.accept()
        with connection:
            connection.recv(1)
            took = time.perf_counter() - begun
            process.kill()
            process.wait()
        return took * 1e3

    return lambda: asyncio.to_thread(sample)


def _started(arguments: Sequence[str], folder: Path | None) -> subprocess.Popen[bytes]:
    keys = {"OPENAI_API_KEY": "practice", "ANTHROPIC_API_KEY": "practice", "GEMINI_API_KEY": "practice"}
    environment = {**os.environ, **keys}
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, cwd=folder, env=environment)
