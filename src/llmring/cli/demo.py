"""`llmring demo`: one program and one alias, four providers, no key and no network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from difflib import ndiff
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..catalog import suggested
from ..exceptions import ConfigurationError, LLMRingError
from ..lockfile import create
from ..lockfile.rendering import new_data, toml
from ..providers.creation import installed_version, requirement
from ..schemas import LLMRequest, Message
from ..service import LLMRing
from ..vendors import SDKS
from .facts import usage_line
from .terminal import note, paint, say, stream, warn

if TYPE_CHECKING:
    from ..testing import RecordedRequest, Reply

QUESTION = "Count from one to ten, and say who you are."
PACE = 0.06
"""Seconds between two words: slow enough to be seen."""
_LOCAL_MODEL = "ollama:llama3.2"
_PROGRAM = """\
async with LLMRing() as service:
    async for chunk in service.chat_stream(request):      # request.model == "chatbot"
        print(chunk.delta, end="", flush=True)
"""


def demo() -> None:
    """Stream from four providers, with no key and no network.

    One program asks the same question four times; between two of them only the lockfile changes. A provider whose SDK
    is not installed is left out.

    The SDKs, the HTTP and the streams are real; the answers come from a practice server on this machine.

    \b
    Example:
      llmring demo
    """
    missing = _missing()
    from ..testing import PracticeServer  # whose h11 may be missing

    with tempfile.TemporaryDirectory(prefix="llmring-demo-") as folder, PracticeServer() as server:
        server.script(_reply)
        with _environment(server.environ()):
            answered, asked = asyncio.run(_run(Path(folder) / "llmring.lock", server.url))
    if answered < asked:
        raise LLMRingError(f"{answered} of {asked} answers came.")
    came = "Four answers" if answered == 4 else f"{answered} answers" if answered > 1 else "One answer"
    providers = came.split()[0].lower() + (" providers" if answered > 1 else " provider")
    say(f"{came} came: one program, one alias, {providers}. With your own: llmring lock init")
    if missing:
        note(f"Left out, since not installed: {', '.join(missing)}. To see all four: {_installing(missing)}", dim=False)


def _missing() -> list[str]:
    """The SDKs that are not installed.

    Raises:
        ConfigurationError: with what is, nothing can be asked.
    """
    sdks = [it.package for it in SDKS.values()]
    missing = [package for package in (*sdks, "h11") if installed_version(package) is None]
    if "h11" in missing or len(missing) == len(sdks):
        raise ConfigurationError(f"the demo needs {', '.join(missing)}: {_installing(missing)}")
    return missing


def _installing(packages: Sequence[str]) -> str:
    wanted = (f"'{it}'" if (it := requirement(package)) != package else package for package in packages)
    return f"pip install {' '.join(wanted)}"


def _models() -> list[str]:
    models = [*(f"{provider}:{name}" for provider, name in suggested("fast").items() if provider in SDKS), _LOCAL_MODEL]
    return [it for it in models if installed_version(SDKS[it.partition(":")[0]].package) is not None]


def _reply(request: RecordedRequest) -> Reply:
    from ..testing import Reply

    text = (
        "One, two, three, four, five, six, seven, eight, nine, ten. "
        f"I am {request.model} as the practice server plays it, asked through {request.method} {request.path}."
    )
    return Reply(text, interval=PACE)


_LEADING = ("LLMRING_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "OLLAMA_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, and none of the person's own that would lead a request or the lockfile elsewhere."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(_LEADING) or name.lower() in _PROXIES:
            os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _run(lockfile: Path, url: str) -> tuple[int, int]:
    """How many answers came, and how many were asked for."""
    models = _models()
    first = toml(new_data([("chatbot", models[:1])]))
    create(lockfile, first)
    say(f"A practice server plays the providers at {url}; the SDKs and the streams are real.")
    say("This program runs once, unchanged:\n")
    say(paint(_PROGRAM, dim=True))
    say(f"Every time it asks: {QUESTION}\n")
    answered = 0
    async with LLMRing(lockfile) as service:
        for number, model in enumerate(models, start=1):
            say(paint(f"{number}. {model}", bold=True))
            if number == 1:
                say(f"llmring.lock says:\n{first[first.index('[[') :]}".replace("\n", "\n  ").rstrip())
            else:
                _rebind(service, lockfile, model)
            try:
                await _answer(service)
            except LLMRingError as error:
                warn(f"no answer from {model}: {error}")
            else:
                answered += 1
            say()
    return answered, len(models)


def _rebind(service: LLMRing, lockfile: Path, model: str) -> None:
    """Bind the alias to another model while the service runs, and show the edit."""
    before = lockfile.read_text(encoding="utf-8").splitlines()
    service.bind_alias("chatbot", model)
    for line in ndiff(before, lockfile.read_text(encoding="utf-8").splitlines()):
        if line.startswith(("- ", "+ ")):
            say(paint(line, fg="red" if line.startswith("-") else "green"))


async def _answer(service: LLMRing) -> None:
    begun = monotonic()
    request = LLMRequest(model="chatbot", messages=[Message(role="user", content=QUESTION)])
    async for chunk in service.chat_stream(request):
        stream(chunk.delta)
    say()
    say(paint(usage_line(chunk, service.calculate_cost(chunk).total, monotonic() - begun), dim=True))
