"""The recipes of the documentation, run as they stand: programs, cells, sites, workers, and tests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from llmring.lockfile import bind, create
from llmring.testing import PracticeServer, RecordedRequest, Reply, Tokens, ToolCallScript

from ..test_docs import LOCKFILE, MODELS, WIRES
from .pages import RECIPES, files_of, write
from .relay import PLANS, Answers, serving, visits

pytestmark = pytest.mark.long

RUN = {
    "agent": {"agent.py"},
    "caching": {"manual.py"},
    "canary": {"llmring.lock", "support.py"},
    "celery": {"tasks.py"},
    "django": {"asgi.py"},
    "label": {"look.py"},
    "many": {"summaries.py"},
    "notebook": {f"cell {number}" for number in range(1, 7)},
    "relay": {"relay.py"},
    "script": {"commit_message.py"},
    "stand-by": {"llmring.lock", "ask.py"},
    "test": {"triage.py", "test_triage.py"},
}
"""What a test of this file runs of each page."""

WORKER = """
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control", "store_processed": False,
}
result_backend = "file://results"
task_ignore_result = False
worker_hijack_root_logger = False
"""
NOTEBOOK = """
import asyncio
from IPython.core.interactiveshell import InteractiveShell
from llmring.lockfile import bind

async def main():
    for model in {models!r}.values():
        bind("llmring.lock", "chatbot", [model])
        for cell in {cells!r}:
            done = await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))
            done.raise_error()

shell = InteractiveShell.instance()
asyncio.run(main())
"""
ASK = """
from tasks import summarize
print(summarize.delay("A long text.").get(timeout=60, interval=0.05))
"""

every_provider = pytest.mark.parametrize("provider", MODELS)


@pytest.fixture(autouse=True)
def chatbot(request: pytest.FixtureRequest, bare: Path) -> None:
    """The alias, bound to the provider of the test."""
    provider = request.node.callspec.params.get("provider", "anthropic") if hasattr(request.node, "callspec") else ""
    create("llmring.lock", LOCKFILE)
    bind("llmring.lock", "chatbot", [MODELS[provider or "anthropic"]])


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program is given; filled in by the test."""
    given: list[str] = []
    monkeypatch.setattr(sys, "argv", given)
    return given


def run(page: str, name: str, arguments: list[str], *given: str) -> int | str | None:
    """The program's exit status."""
    arguments[:] = [name, *given]
    code = compile(files_of(page)[name], name, "exec")
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as end:
        return end.code
    return 0


def test_every_recipe_is_run() -> None:
    pages = {path.stem for path in RECIPES.glob("*.md")} - {"index"}
    assert {page: set(files_of(page)) for page in pages} == RUN
    for page in pages:
        assert f"]({page}.md)" in (RECIPES / "index.md").read_text(encoding="utf-8")


@every_provider
def test_many(
    provider: str, server: PracticeServer, arguments: list[str], bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = bare / "texts"
    texts.mkdir()
    for number in range(20):
        (texts / f"{number:02}.txt").write_text(f"The text of number {number}.")
    most = 0

    def busy(request: RecordedRequest) -> Reply:
        nonlocal most
        most = max(most, sum(it.finished_at is None for it in server.requests))
        if "number 7." in request.question:
            return Reply(status=400, error="No.")
        return Reply(f"In short: {request.question[-10:]}", delay=0.02)

    server.script(busy)
    assert run("many", "summaries.py", arguments, str(texts)) == 1
    assert len(list(texts.glob("*.summary"))) == 19
    assert (texts / "03.summary").read_text().startswith("In short:")
    assert most <= 5
    said = capsys.readouterr()
    assert "19 of 20 summarized" in said.out
    assert re.search(rf"07\.txt: .*{provider}", said.err)


@every_provider
def test_agent(
    provider: str, server: PracticeServer, arguments: list[str], bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bare / "notes.md").write_text("The meeting is on Tuesday.")
    server.reply(Reply(tool_calls=[ToolCallScript("list_files", {}), ToolCallScript("read_file", {"path": "../x"})]))
    server.reply(Reply(tool_calls=[ToolCallScript("read_file", {"path": "notes.md"})]))
    server.reply("On Tuesday.")
    assert run("agent", "agent.py", arguments, "When", "is", "the", "meeting?") == 0
    said = capsys.readouterr()
    assert "On Tuesday." in said.out
    assert "[read_file failed: " in said.err
    assert "is outside the project" in said.err
    assert "notes.md" in str(server.requests[1].body)
    assert "The meeting is on Tuesday." in str(server.requests[2].body)
    assert {it.wire for it in server.requests} == {WIRES[provider]}


def test_agent_that_calls_and_calls(server: PracticeServer, arguments: list[str], bare: Path) -> None:
    server.script(lambda request: Reply(tool_calls=[ToolCallScript("list_files", {})]))
    assert run("agent", "agent.py", arguments) == 1
    assert len(server.requests) <= 9


def test_many_rows_are_tried_without_a_key(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example of the page about them, by the practice server that it starts."""
    page = (RECIPES.parent / "bulk.md").read_text(encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0]
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with subprocess.Popen(["bash", "-ec", commands], stdout=-1, stderr=-1, text=True) as shell:
        assert shell.stdout is not None
        assert shell.stderr is not None
        server = int(shell.stderr.readline().rsplit("kill ", 1)[1])
        try:
            said = shell.stdout.read()
        finally:
            os.kill(server, signal.SIGTERM)
        assert shell.wait(60) == 0, shell.stderr.read()
    answers, _, summaries = said.partition("{\n")
    assert len(answers.splitlines()) == 3
    assert [json.loads("{" + it)["answered"] for it in summaries.split("\n{\n")] == [100, 0]
    assert len((bare / "labels.jsonl").read_text().splitlines()) == 100


def test_label(server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the page, in order, as a shell has them."""
    write("label", bare)
    page = (RECIPES / "label.md").read_text(encoding="utf-8")
    (bare / "label.json").write_text(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    (bare / "reviews.jsonl").write_text("".join(json.dumps({"text": f"Review {n}."}) + "\n" for n in range(30)))
    (bare / "llmring.lock").write_text(LOCKFILE)
    bind("llmring.lock", "chatbot", [MODELS["openai"]])
    server.script(lambda request: Reply('{"label": "good"}'))
    (commands,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # At an address that nobody bills for, there is no cost to keep to.
    done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "{'good': 30}"
    assert len(server.requests) == 30


@every_provider
def test_script(
    provider: str, server: PracticeServer, arguments: list[str], bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    assert run("script", "commit_message.py", arguments) == 1
    (bare / "new.txt").write_text("Something new.\n")
    subprocess.run(["git", "add", "new.txt"], check=True)
    server.reply("Add something new")
    assert run("script", "commit_message.py", arguments) == 0
    assert "+Something new." in server.requests[0].question
    server.reply(status=401)
    assert run("script", "commit_message.py", arguments) == 1
    said = capsys.readouterr()
    assert said.out == "Add something new\n"
    assert provider in said.err


def test_notebook(server: PracticeServer, bare: Path) -> None:
    """As a notebook does it: each cell by itself, in a loop that goes on between them."""
    server.script(lambda request: Reply(f"You asked: {request.question}"))
    (bare / "notebook.py").write_text(NOTEBOOK.format(cells=list(files_of("notebook").values()), models=MODELS))
    environ = {**os.environ, "IPYTHONDIR": str(bare / "ipython")}
    done = subprocess.run([sys.executable, "notebook.py"], capture_output=True, text=True, timeout=300, env=environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("You asked: And an alias?") == len(MODELS)
    assert "total_tokens" in done.stdout
    assert [it.wire for it in server.requests] == [wire for wire in WIRES.values() for _ in range(4)]


def test_test(server: PracticeServer, bare: Path) -> None:
    write("test", bare)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@every_provider
def test_caching(
    provider: str, server: PracticeServer, arguments: list[str], bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bare / "manual.txt").write_text("Chapter one. " * 100)
    server.reply("Three.", usage=Tokens(prompt=1000, completion=2, cache_write=980 if provider == "anthropic" else 0))
    server.reply("Four.", usage=Tokens(prompt=1000, completion=2, cache_read=0 if provider == "ollama" else 980))
    assert run("caching", "manual.py", arguments, "manual.txt", "Brakes?", "Lights?") == 0
    said = capsys.readouterr()
    assert said.out == "Three.\nFour.\n"
    assert f"1000 tokens in, {0 if provider == 'ollama' else 980} of them from the cache" in said.err
    marked = ["cache_control" in str(request.body) for request in server.requests]
    assert marked == [provider == "anthropic"] * 2


def test_canary(server: PracticeServer, arguments: list[str], bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("canary", bare)
    users = [f"user{number}" for number in range(120)]
    assert run("canary", "support.py", arguments, *users) == 0
    first = {request.wire for request in server.requests}
    assert first == {"anthropic", "openai-chat"}
    share = sum(request.wire == "openai-chat" for request in server.requests)
    assert 1 <= share <= 20
    said = capsys.readouterr().out
    assert f"openai:gpt-6-luna: {share} asked, 0 failed" in said

    def sides() -> dict[str, str | None]:
        server.clear()
        assert run("canary", "support.py", arguments, *users) == 0
        return {user: it.wire for user, it in zip(users, server.requests, strict=True)}

    lockfile = bare / "llmring.lock"
    before = sides()
    lockfile.write_text(lockfile.read_text().replace("[95, 5]", "[75, 25]"))
    after = sides()
    assert {user for user, wire in before.items() if wire == "openai-chat"} < {
        user for user, wire in after.items() if wire == "openai-chat"
    }
    lockfile.write_text(lockfile.read_text().replace("[75, 25]", "[100, 0]"))
    assert set(sides().values()) == {"anthropic"}


@pytest.mark.parametrize("running", [True, False], ids=["local", "hosted"])
def test_stand_by(
    server: PracticeServer,
    arguments: list[str],
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    running: bool,
) -> None:
    write("stand-by", bare)
    server.script(lambda request: Reply(f"By {request.wire}."))
    if not running:
        monkeypatch.setenv("OLLAMA_HOST", server.refused_url())
    assert run("stand-by", "ask.py", arguments, "Hello") == 0
    said = capsys.readouterr()
    assert said.out == ("By ollama." if running else "By openai-chat.")
    assert ("[ollama: " in said.err) is not running
    assert said.err.rstrip().endswith("[ollama:llama3.2]" if running else "[openai:gpt-6-luna]")


@every_provider
def test_celery_task(
    provider: str, server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    names: dict[str, object] = {"__name__": "tasks"}
    exec(compile(files_of("celery")["tasks.py"], "tasks.py", "exec"), names)
    request.addfinalizer(lambda: names["service"]().close())  # type: ignore[operator]
    task = names["summarize"]
    server.reply("Short.")
    assert task.apply(args=["A long text."]).get()["summary"] == "Short."  # type: ignore[attr-defined]
    server.script(lambda request: Reply(status=401))
    failed = task.apply(args=["A long text."])  # type: ignore[attr-defined]
    assert type(failed.result).__name__ == "ProviderAuthenticationError"
    assert len(server.requests) == 2
    assert {it.wire for it in server.requests} == {WIRES[provider]}


@pytest.mark.skipif(sys.platform == "win32", reason="Celery has no workers there")
def test_celery_worker(server: PracticeServer, bare: Path) -> None:
    write("celery", bare)
    (bare / "settings.py").write_text(WORKER)
    for folder in ("queue", "control", "results"):
        (bare / folder).mkdir()
    server.script(lambda request: Reply("Short."))
    environ = {**os.environ, "CELERY_SETTINGS": "settings", "PYTHONPATH": str(bare)}
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--concurrency=1", "--without-mingle"]
    with subprocess.Popen(
        [*command, "--without-gossip", "--without-heartbeat", "--loglevel=warning"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            done = subprocess.run(
                [sys.executable, "-c", ASK], env=environ, capture_output=True, text=True, timeout=120, check=False
            )
        finally:
            worker.terminate()
            _, said = worker.communicate(timeout=60)
    assert done.returncode == 0, f"{done.stderr}\n{said}"
    assert "'summary': 'Short.'" in done.stdout
    assert "'model': 'anthropic:claude-haiku-5-5'" in done.stdout


def test_django(server: PracticeServer, bare: Path) -> None:
    write("django", bare)
    server.script(lambda request: Reply(f"You asked: {request.question}"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with serving("asgi:application", bare, server) as port:
        for provider, model in MODELS.items():
            bind("llmring.lock", "chatbot", [model])  # the site goes on, and asks another
            with opener.open(f"http://127.0.0.1:{port}/ask?q=Why", timeout=60) as said:
                assert said.read() == b"You asked: Why"
            with opener.open(f"http://127.0.0.1:{port}/summary?q=How", timeout=60) as said:
                assert json.load(said) == {"text": "You asked: How"}
            server.reply(status=401)
            with opener.open(f"http://127.0.0.1:{port}/ask?q=Why", timeout=60) as said:
                assert said.read() == b"\n[The model did not answer.]"
            assert {it.wire for it in server.requests} == {WIRES[provider]}
            server.clear()
            server.script(lambda request: Reply(f"You asked: {request.question}"))


def test_relay(server: PracticeServer, bare: Path) -> None:
    """`make relay` has a thousand clients, and measures."""
    write("relay", bare)
    clients = 3 * len(PLANS)
    with serving("relay:app", bare, server) as port:
        for provider, model in MODELS.items():
            bind("llmring.lock", "chatbot", [model])
            answers = Answers()
            server.script(answers)
            made = asyncio.run(visits(port, answers, clients, at_once=clients))
            assert len(made.waits(server)) == clients - made.whole
            assert made.whole == clients // len(PLANS)
            assert {it.wire for it in server.requests} == {WIRES[provider]}
            server.clear()
