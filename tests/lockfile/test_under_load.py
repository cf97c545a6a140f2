"""The lockfile of a busy service edited over and over, and writers that are killed while others go on."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.lockfile import live, load
from llmring.testing import PracticeServer, RecordedRequest, Reply

from ..program import PROGRAM

pytestmark = pytest.mark.long

EDITS = 200
WORKERS = 6
PROVIDERS = ("openai", "anthropic", "ollama")
STEADY = "openai:steady"

LOCKFILE = """\
# who answers
version = "1.0"

[[profiles.default.bindings]]
alias = "chatbot"
models = ["{}"]   # edited all the time

[[profiles.default.bindings]]
alias = "steady"
models = ["openai:steady"]
"""
COMMANDS = """
import sys
from llmring.cli.app import app
for line in sys.stdin:
    app(line.split(), standalone_mode=False)
"""


@dataclass
class Edit:
    """A binding that somebody saved: between which moments, and thus from when on it may be in force."""

    model: str
    begun: float
    done: float = float("inf")


@dataclass
class Asked:
    """A request as its caller saw it."""

    text: str
    start: float
    end: float
    response: LLMResponse


class Editor:
    """Binds the alias to one model after another, as editors, git and other processes do it."""

    def __init__(self, path: Path, commands: subprocess.Popen[str]) -> None:
        self.path = path
        self.commands = commands
        self.edits: list[Edit] = []

    def edit(self) -> None:
        number = len(self.edits)
        ways = [self.rewrite, self.rename, self.bind, self.delete_and_restore]
        way = self.bind_by_a_process_of_its_own if number % 40 == 20 else ways[number % 4]
        edit = Edit(f"{PROVIDERS[number % len(PROVIDERS)]}:edit-{number}", time.monotonic())
        self.edits.append(edit)
        way(edit.model)
        edit.done = time.monotonic()

    def rewrite(self, model: str) -> None:
        """In place, and slowly: the service sees the file empty, half of it, and a first part that is valid."""
        text = LOCKFILE.format(model)
        half, whole_binding = text.index(model), text.rindex("\n[[")
        with self.path.open("w") as file:
            for part in ("", text[:half], text[half:whole_binding], text[whole_binding:]):
                file.write(part)
                file.flush()
                time.sleep(0.002)

    def rename(self, model: str) -> None:
        new = self.path.with_name("new")
        new.write_text(LOCKFILE.format(model))
        os.replace(new, self.path)

    def delete_and_restore(self, model: str) -> None:
        self.path.unlink()
        time.sleep(0.002)
        self.rename(model)

    def bind(self, model: str) -> None:
        assert self.commands.stdin is not None
        assert self.commands.stdout is not None
        self.commands.stdin.write(f"bind chatbot {model} --json\n")
        self.commands.stdin.flush()
        answer = itertools.takewhile(lambda line: line != "}\n", self.commands.stdout)
        assert model in "".join(answer)

    def bind_by_a_process_of_its_own(self, model: str) -> None:
        subprocess.run([PROGRAM, "bind", "chatbot", model], check=True, capture_output=True)

    def was_in_force(self, model: str, start: float, end: float) -> bool:
        """Whether a binding was in force at some time between two moments."""
        number = next(number for number, edit in enumerate(self.edits) if edit.model == model)
        until = self.edits[number + 1].done if number + 1 < len(self.edits) else float("inf")
        return self.edits[number].begun <= end and until >= start


@pytest.fixture
def editor(bare: Path, program: None) -> Iterator[Editor]:
    commands = subprocess.Popen(
        [sys.executable, "-c", COMMANDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with commands:
        yield Editor(bare / "llmring.lock", commands)


async def ask(service: LLMRing, text: str, *, stream: bool, alias: str = "chatbot") -> Asked:
    request = LLMRequest(model=alias, messages=[Message(role="user", content=text)])
    start = time.monotonic()
    if stream:
        models = set()
        async with service.chat_stream(request) as answer:
            async for chunk in answer:
                models.add(chunk.model)
        response = await answer.final_response()
        assert models == {response.model}
    else:
        response = await service.chat(request)
    return Asked(text, start, time.monotonic(), response)


async def test_a_busy_service_follows_every_edit_and_fails_no_request(
    server: PracticeServer, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a busy machine lets the editor wait in the middle of a save, the file is still being written.
    fine = live._FINE
    monkeypatch.setattr(live, "_FINE", 600.0)
    words = "one two three four five six seven eight "

    @server.script
    def reply(request: RecordedRequest) -> Reply:
        return Reply(text=words, interval=0.05 if "slow" in str(request.body) else 0.001)

    asked: list[Asked] = []
    numbers = itertools.count()
    done = False

    async def work(service: LLMRing) -> None:
        while not done:
            number = next(numbers)
            text = f"request-{number}. {'slow' if number % 5 == 0 else 'quick'}"
            alias = "steady" if number % 3 == 0 else "chatbot"
            asked.append(await ask(service, text, stream=number % 2 == 0, alias=alias))

    editor.edit()
    async with LLMRing(lockfile_path=editor.path, max_retries=0) as service:
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work(service))
            for number in range(1, EDITS + 1):
                await asyncio.to_thread(editor.edit)
                after = await ask(service, f"after-{number}.", stream=number % 2 == 0)
                assert after.response.model == editor.edits[-1].model, "the request after the save follows it"
                asked.append(after)
            done = True
        assert editor.path.read_text() == LOCKFILE.format(editor.edits[-1].model)

        # Nobody writes any more, and what the file lacks once it is settled is gone.
        monkeypatch.setattr(live, "_FINE", fine)
        assert set(service.list_aliases()) == {"chatbot", "steady"}
        editor.path.write_text(LOCKFILE.format("openai:last").rpartition("\n[[")[0])
        await asyncio.to_thread(_until, lambda: "steady" not in service.list_aliases())
        assert service.list_aliases() == {"chatbot": "openai:last"}

    seen = {_text(request): request for request in server.requests}
    assert len(seen) == len(server.requests) == len(asked)
    spanning = 0
    for one in asked:
        request = seen[one.text]
        assert one.response.model.partition(":")[2] == request.model
        assert (one.response.content, one.response.finish_reason) == (words, "stop")
        if one.response.model != STEADY:
            assert editor.was_in_force(one.response.model, one.start, request.started_at)
        spanning += any(one.start < edit.begun and edit.done < one.end for edit in editor.edits)
    assert spanning > 10, "edits fell into requests that were in flight"
    assert {one.response.model.partition(":")[0] for one in asked} == set(PROVIDERS)
    assert sorted(os.listdir(editor.path.parent)) == ["llmring.lock"]


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)


def _text(request: RecordedRequest) -> str:
    content = request.body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


KILLER = """
import os, random, select, signal, sys, time
from pathlib import Path
from llmring.lockfile import bind, copy_profile, load, remove_profile, unbind

path, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(5)


def models(count):
    return [f"x:{count}", "x:more", "x:yet-more"][: count % 3 + 1]


class Writer:
    '''A process that edits the file until it is killed, and says after each edit which one it was.'''

    def __init__(self, number):
        reader, writer = os.pipe()
        self.number, self.said, self.reader = number, b"", reader
        self.child = os.fork()
        if self.child == 0:
            while True:
                for step in self.edit(f"{self.number}"):
                    os.write(writer, f"{step}\\n".encode())
        os.close(writer)

    def edit(self, number):
        count = getattr(self, "count", 0) + 1
        self.count = count
        bind(path, f"life-{number}", models(count), params={"count": count})
        yield f"bound {count}"
        if count % 4 == 3:
            copy_profile(path, "default", f"copy-{number}")
            yield f"copied {count}"
            remove_profile(path, f"copy-{number}")
            yield f"removed {count}"
        elif count % 4 == 1:
            bind(path, f"passing-{number}", ["x:y"], profile="dev")
            unbind(path, f"passing-{number}", profile="dev")
            yield f"passed {count}"

    def kill(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        while part := os.read(self.reader, 65536):
            self.said += part
        os.close(self.reader)
        counts = [int(line.split()[1]) for line in self.said.decode().splitlines() if line.startswith("bound")]
        return max(counts, default=0)


def check(bound):
    for life, count in acknowledged.items():
        binding = bound.get(f"life-{life}")
        found = binding.params["count"] if binding else 0
        assert count <= found <= count + 1, (life, count, found)
        assert not found or list(binding.models) == models(found), binding


writers, acknowledged, edits = [Writer(number) for number in range(3)], {}, 0
try:
    for number in range(3, 3 + kills):
        time.sleep(chance.uniform(0, 0.06))
        victim = writers.pop(chance.randrange(3))
        acknowledged[victim.number] = victim.kill()
        writers.append(Writer(number))
        lockfile = load(path)  # it would fail on a torn file
        check(lockfile.profile().bindings)
        for name, profile in lockfile.profiles.items():
            assert "first" in profile.bindings or not name.startswith("copy-")
        if number % 25 == 0:  # the file stays small
            for life in acknowledged:
                if f"life-{life}" in lockfile.profile().bindings:
                    unbind(path, f"life-{life}")
            edits += sum(acknowledged.values())
            acknowledged.clear()
finally:
    for writer in writers:
        acknowledged[writer.number] = writer.kill()
check(load(path).profile().bindings)
edits += sum(acknowledged.values())
assert edits > kills, edits
bind(path, "last", ["x:y"])
print(*sorted(os.listdir(path.parent)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX has fork and SIGKILL")
def test_three_hundred_killed_writers_tear_and_lose_nothing(tmp_path: Path, plain: str) -> None:
    (tmp_path / "project").mkdir()
    path = tmp_path / "project" / "llmring.lock"
    path.write_text(plain + '\n# stays\n[[profiles.default.bindings]]\nalias = "first"\nmodels = ["x:y"]\n')
    killer = subprocess.run([sys.executable, "-c", KILLER, str(path), "300"], capture_output=True, text=True)
    assert (killer.returncode, killer.stdout) == (0, "llmring.lock\n"), killer.stderr
    bindings = load(path).profile().bindings
    assert {"chatbot", "first", "last"} <= bindings.keys()
    for line in (*plain.splitlines(), "# stays"):
        assert line in path.read_text()
