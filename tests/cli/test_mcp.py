"""`llmring mcp`, driven by the SDK's own client: a process of its own, over standard input and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitRequestParams, ElicitResult, TextContent

from llmring import catalog

from ..program import PROGRAM
from .conftest import LOCKFILE, Command

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
HAIKU, LUNA = "anthropic:claude-haiku-5-5", "openai:gpt-6-luna"
BIND = {"alias": "fast", "models": [HAIKU, LUNA]}


class Person:
    """Who fills in the forms of a client, and what was asked."""

    def __init__(self, action: str = "accept", **content: Any) -> None:
        self.asked: list[str] = []
        self._answer = action, content or None
        self.meanwhile: Callable[[], object] = lambda: None

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        self.meanwhile()
        action, content = self._answer
        return ElicitResult.model_validate({"action": action, "content": content})


@asynccontextmanager
async def client(person: Person | None, *options: str, mode: str = "auto") -> AsyncIterator[Client]:
    started = StdioServerParameters(
        command=PROGRAM, args=["mcp", *options], env=dict(os.environ), cwd=Path.cwd(), encoding_error_handler="strict"
    )
    async with Client(started, mode=mode, elicitation_callback=person, read_timeout_seconds=120) as it:
        yield it


def text_of(path: Path) -> str:
    return path.read_text()


async def told(it: Client, tool: str, **arguments: Any) -> Any:
    """What a tool gives; what it says where it fails."""
    result = await it.call_tool(tool, arguments)
    [text] = [part.text for part in result.content if isinstance(part, TextContent)]
    return text if result.is_error else json.loads(text)


@MODES
async def test_what_can_be_asked(project: Path, mode: str) -> None:
    async with client(None, mode=mode) as it:
        tools = {tool.name: tool for tool in (await it.list_tools()).tools}
        reading = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
        assert reading == {"list_aliases", "resolve_alias", "list_models", "diff_lockfile", "check_lockfile"}
        assert tools.keys() - reading == {"bind_alias", "unbind_alias"}
        assert set(tools["bind_alias"].input_schema["properties"]) == {"alias", "models", "profile"}
        assert all(tool.description for tool in tools.values())
        said = await told(it, "list_aliases")
        assert said["aliases"]["chatbot"]["stand_bys"] == ["openai:gpt-5-mini"]
        assert said["profiles"] == ["default", "dev"]
        assert (await told(it, "list_aliases", profile="dev"))["aliases"]["chatbot"]["model"] == "ollama:llama3.2"
        [haiku, _] = (await told(it, "resolve_alias", name="chatbot"))["models"]
        info = catalog.model_info("anthropic:claude-haiku-4-5")
        assert (haiku["model"], haiku["input_price"]) == ("anthropic:claude-haiku-4-5", info.input_price)
        assert "ANTHROPIC_API_KEY" in haiku["problem"]
        [model] = (await told(it, "list_models", search="haiku 5.5"))["models"]
        assert model["model"] == HAIKU
        many = await told(it, "list_models")
        assert (len(many["models"]), many["more"] > 0) == (60, True)


@pytest.fixture
def committed(project: Path) -> None:
    """A lockfile that has been committed, and changed since."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    project.write_text(LOCKFILE.replace("claude-haiku-4-5", "claude-haiku-5-5").replace("params", "seed = 1\nparams"))


async def test_what_is_wrong_and_what_changed(committed: None) -> None:
    async with client(None) as it:
        found = await told(it, "check_lockfile")
        assert "params-misplaced" in {finding["code"] for finding in found["findings"]}
        [profile] = (await told(it, "diff_lockfile"))["profiles"]
        assert profile["aliases"][0]["after"]["models"][0] == HAIKU
        assert "and not a file" in await told(it, "diff_lockfile", since="llmring.lock")
        assert "no-such-branch" in await told(it, "diff_lockfile", since="no-such-branch")
        assert "No profile" in await told(it, "list_aliases", profile="nope")


@MODES
async def test_nothing_is_written_without_a_yes(project: Path, mode: str) -> None:
    for person, words in (
        (None, "cannot ask its user"),
        (Person("decline"), "did not agree"),
        (Person("cancel"), "did not agree"),
        (Person("accept", write=False), "did not agree"),
    ):
        async with client(person, mode=mode) as it:
            assert words in await told(it, "bind_alias", **BIND)
            assert words in await told(it, "unbind_alias", alias="chatbot")
        assert text_of(project) == LOCKFILE
        assert person is None or len(person.asked) == 2
    async with client(None, mode=mode) as it:
        said = await told(it, "bind_alias", **BIND, profile="dev")
        assert f"llmring bind fast {HAIKU},{LUNA} --profile dev." in said


@MODES
async def test_a_yes_writes_what_was_shown(project: Path, mode: str) -> None:
    person = Person("accept", write=True)
    async with client(person, mode=mode) as it:
        said = await told(it, "bind_alias", **BIND)
        assert (said["models"], said["changed"], said["notes"]) == ([HAIKU, LUNA], True, [])
        after = text_of(project)
        assert "# the bot on the front page" in after
        assert person.asked == [person.asked[0]], "one question"
        assert f'+    "{HAIKU}",' in person.asked[0].splitlines()
        assert str(project) in person.asked[0]
        assert (await told(it, "bind_alias", **BIND))["changed"] is False
        assert len(person.asked) == 1, "what is so already needs no yes"
        assert (await told(it, "unbind_alias", alias="fast"))["models"] == []
        assert "-" + 'alias = "fast"' in person.asked[1].splitlines()
    assert text_of(project).strip() == LOCKFILE.strip()


@MODES
async def test_what_was_shown_or_nothing(project: Path, mode: str) -> None:
    """The file changes while the person looks at the question."""
    other = LOCKFILE.replace("0.3", "0.4")
    person = Person("accept", write=True)
    person.meanwhile = lambda: project.write_text(other) if len(person.asked) == 1 else None
    async with client(person, mode=mode) as it:
        said = await told(it, "bind_alias", **BIND)
    if len(person.asked) == 1:
        assert "has changed since this was proposed" in said
        assert text_of(project) == other
    else:  # it was asked anew, about the file as it is
        assert "temperature = 0.4" in text_of(project)
        assert HAIKU in text_of(project)


async def test_allowed_from_the_start(project: Path) -> None:
    async with client(None, "--allow-writes") as it:
        assert (await told(it, "bind_alias", **BIND))["models"] == [HAIKU, LUNA]
        assert (await told(it, "bind_alias", alias="new", models=[LUNA], profile="dev"))["profile"] == "dev"
    assert 'alias = "new"' in text_of(project)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alias": "a", "models": ["opnai:gpt-6-luna"]}, "Did you mean openai:gpt-6-luna?"),
        ({"alias": "a", "models": ["gpt-6-luna"]}, "Did you mean openai:gpt-6-luna?"),
        ({"alias": "a b", "models": [LUNA]}, "holds white space"),
        ({"alias": "a", "models": []}, "models"),
        ({"alias": "a", "models": ["openai:sk-" + "a" * 40]}, "no secret"),
        ({"alias": "sk-" + "a" * 40, "models": [LUNA]}, "no secret"),
    ],
)
async def test_what_is_refused(project: Path, arguments: dict[str, Any], words: str) -> None:
    async with client(Person("accept", write=True), "--allow-writes") as it:
        said = await told(it, "bind_alias", **arguments)
        assert words in said
        assert "a" * 40 not in said
        assert "not bound" in await told(it, "unbind_alias", alias="chat")
    assert text_of(project) == LOCKFILE


async def test_no_lockfile_and_a_broken_one(bare: Path) -> None:
    async with client(None) as it:
        assert "llmring lock init" in await told(it, "list_aliases")
        (bare / "llmring.lock").write_text("<<<<<<< HEAD\n")
        assert "merge" in await told(it, "list_aliases")
        assert "merge" in (await told(it, "check_lockfile"))["findings"][0]["message"]
        (bare / "llmring.lock").write_text(LOCKFILE)
        assert "chatbot" in (await told(it, "list_aliases"))["aliases"], "a server lives on, and reads anew"


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_nothing_but_the_protocol_on_standard_output(project: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "check_lockfile", "arguments": {}}}
    lines = [HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}, call]
    with subprocess.Popen([PROGRAM, "mcp"], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("no protocol\n" + "".join(f"{json.dumps(line)}\n" for line in lines))
        process.stdin.flush()
        answers = {}
        while 2 not in answers:
            answer = json.loads(process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            answers[answer.get("id")] = answer
        process.stdin.close()
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()
    assert answers[1]["result"]["serverInfo"]["name"] == "llmring"


@pytest.mark.parametrize("how", ["at once", "at both ends", "while it is asked", "interrupted"])
def test_a_client_that_hangs_up(project: Path, how: str) -> None:
    with subprocess.Popen([PROGRAM, "mcp"], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if how != "at once":
            process.stdin.write(f"{json.dumps(HELLO)}\n")
            process.stdin.flush()
            process.stdout.readline()
        if how == "while it is asked":
            process.stdin.write('{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}\n' * 50)
            process.stdin.flush()
        if how in ("at both ends", "while it is asked"):
            process.stdout.close()
        if how == "interrupted":
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
        assert process.wait(60) == (130 if how == "interrupted" else 0)
        assert "Traceback" not in process.stderr.read()
    assert text_of(project) == LOCKFILE


def test_without_the_package(project: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys, importlib.metadata as metadata\n"
        "real = metadata.version\n"
        "def version(name):\n"
        "    if name == 'mcp':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "metadata.version = version\n"
        "sys.argv = ['llmring', 'mcp']\n"
        "from llmring.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, input="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Error: llmring mcp needs the package mcp. To install it: pip install 'mcp>=2.3,<3'" in done.stderr
