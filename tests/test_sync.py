"""The synchronous face: in scripts, threads, running loops and a notebook's shell, over a real socket."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import llmring
import llmring.files
from llmring import LLMRequest, LLMResponse, sync
from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    LLMRingError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderRateLimitError,
    ProviderTimeoutError,
)
from llmring.schemas import StreamChunk
from llmring.testing import Fault, PracticeServer, Reply, ToolCallScript

from .faults.ground import KEY_VARIABLE, PROVIDERS, Ground, ask

ENDLESS = Reply(chunks=["x"] * 500, interval=0.02)
SECRET = "sesame-open-7-practice"


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


@pytest.fixture
def service(practice: Ground, server: PracticeServer) -> Iterator[sync.LLMRing]:
    with sync.LLMRing(practice.path, api_keys=dict.fromkeys(PROVIDERS.values(), SECRET), timeout=30) as made:
        yield made


def closed(server: PracticeServer) -> bool:
    return server.requests[-1].closed_by_client.wait(60)


# The same as the asynchronous one


def public(kind: type) -> dict[str, object]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def arguments(method: Any) -> list[tuple[str, Any, Any]]:
    return [(it.name, it.kind, it.default) for it in inspect.signature(method).parameters.values()]


def test_every_method_is_there_with_the_same_arguments() -> None:
    theirs, ours = public(llmring.LLMRing), public(sync.LLMRing)
    assert theirs.keys() - ours.keys() == set()
    assert ours.keys() - theirs.keys() == {"run"}
    for name, method in theirs.items():
        if callable(method):
            assert arguments(method) == arguments(ours[name]), name
            assert getattr(ours[name], "__doc__", None)
    assert arguments(llmring.LLMRing) == arguments(sync.LLMRing)
    files, ours_of_files = public(llmring.files.Files), public(sync.LLMRing(aliases={}).files.__class__)
    assert files.keys() - ours_of_files.keys() == {"placing"}
    assert {name: arguments(it) for name, it in ours_of_files.items()} == {
        name: arguments(files[name]) for name in ("forget", "list", "register")
    }


def test_no_method_is_awaited() -> None:
    for kind in (sync.LLMRing, sync.ChatStream):
        for name, method in public(kind).items():
            assert not asyncio.iscoroutinefunction(method) or inspect.unwrap(method) is not method, name


@pytest.mark.parametrize("wire", PROVIDERS)
def test_a_stream_and_a_whole_answer(service: sync.LLMRing, server: PracticeServer, wire: str) -> None:
    server.default = Reply(chunks=["On", "e, ", "two"], reasoning=["Hm"] if wire != "openai-responses" else [])
    request = ask(f"{PROVIDERS[wire]}:m")
    stream = service.chat_stream(request)
    seen: list[tuple[str, LLMResponse]] = [(chunk.delta, stream.response) for chunk in stream]
    whole = service.chat(request)
    assert "".join(delta for delta, _ in seen) == "One, two" == whole.content
    # What had been handed over by then, and no more.
    said = ""
    for delta, response in seen:
        said += delta
        assert response.content == said
    assert (stream.response.finish_reason, stream.response.usage) == (whole.finish_reason, whole.usage)
    assert whole.finish_reason == "stop"
    assert isinstance(whole, LLMResponse)


def test_tools_and_forms(service: sync.LLMRing, server: PracticeServer) -> None:
    class Sum(BaseModel):
        total: int

    server.reply('{"total": 4}')
    server.reply(tool_calls=[ToolCallScript("add", {"a": 1})])
    with service.chat_stream(ask("anthropic:m", response_format=Sum)) as stream:
        assert [*stream][-1].parsed == Sum(total=4)
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    answer = service.chat_stream(ask("anthropic:m", tools=[tool])).final_response()
    assert answer.tool_calls is not None
    assert json.loads(answer.tool_calls[0]["function"]["arguments"]) == {"a": 1}


def test_an_answer_that_does_not_fit_is_the_same_error(service: sync.LLMRing, server: PracticeServer) -> None:
    class Sum(BaseModel):
        total: int

    server.reply('{"total": "many"}')
    with pytest.raises(LLMRingError) as raised:
        list(service.chat_stream(ask("anthropic:m", response_format=Sum)))
    assert "total" in str(raised.value)


# Errors


@pytest.mark.parametrize(("status", "kind"), [(401, ProviderAuthenticationError), (429, ProviderRateLimitError)])
def test_errors_are_the_same(practice: Ground, server: PracticeServer, status: int, kind: type[LLMRingError]) -> None:
    server.reply(status=status)
    with (
        sync.LLMRing(practice.path, api_keys={"anthropic": SECRET}, max_retries=0) as service,
        pytest.raises(kind) as raised,
    ):
        service.chat(ask("anthropic:m"))
    assert SECRET not in shown(raised.value)


def shown(error: BaseException) -> str:
    """All that a reporter with the variables of each frame would show."""
    said, traceback = [repr(error), str(error)], error.__traceback__
    while traceback is not None:
        said += [f"{name}={value!r}" for name, value in traceback.tb_frame.f_locals.items()]
        traceback = traceback.tb_next
    return "\n".join(said)


def test_a_wrong_argument_shows_no_key(practice: Ground) -> None:
    with pytest.raises(ConfigurationError) as raised:
        sync.LLMRing(practice.path, api_keys={"anthropic": SECRET}, max_retries=-1)
    ours = shown(raised.value).split("\n")
    # The frame of this test knows it: it is its own.
    assert not [line for line in ours if SECRET in line and not line.startswith(("practice=", "raised="))]


def test_a_cut_keeps_what_had_come(service: sync.LLMRing, server: PracticeServer) -> None:
    server.reply(chunks=["On", "e"], fault=Fault("cut", after=2))
    seen: list[str] = []
    with pytest.raises(ProviderConnectionError) as raised:
        seen.extend(chunk.delta for chunk in service.chat_stream(ask("anthropic:m")))
    assert raised.value.partial is not None
    assert "".join(seen) == "One" == raised.value.partial.content


def test_silence_ends_in_time(practice: Ground, server: PracticeServer) -> None:
    server.default = Reply(chunks=["x"] * 3, interval=60)
    with sync.LLMRing(practice.path, api_keys={"anthropic": SECRET}, timeout=0.3) as service:
        stream = service.chat_stream(ask("anthropic:m"))
        with pytest.raises(ProviderTimeoutError):
            list(stream)
    assert closed(server)


def test_an_unknown_alias(service: sync.LLMRing) -> None:
    with pytest.raises(AliasNotFoundError):
        service.resolve_alias("nobody")
    with pytest.raises(AliasNotFoundError):
        list(service.chat_stream(ask("nobody")))


# Leaving


@pytest.mark.parametrize("wire", PROVIDERS)
def test_leaving_closes_the_connection(service: sync.LLMRing, server: PracticeServer, wire: str) -> None:
    server.default = ENDLESS
    request = ask(f"{PROVIDERS[wire]}:m")
    for chunk in service.chat_stream(request):
        assert isinstance(chunk, StreamChunk)
        break
    assert closed(server)
    with service.chat_stream(request) as stream:
        next(stream)
    assert closed(server)
    assert list(stream) == []
    stream = service.chat_stream(request)
    next(stream)
    stream.close()
    assert closed(server)


def test_cancelled_from_another_thread(service: sync.LLMRing, server: PracticeServer) -> None:
    server.default = ENDLESS
    stream = service.chat_stream(ask("anthropic:m"))
    next(stream)
    threading.Thread(target=stream.cancel).start()
    rest = list(stream)
    assert all(chunk.finish_reason is None for chunk in rest)
    assert closed(server)


def test_closing_the_service_ends_what_is_open(practice: Ground, server: PracticeServer) -> None:
    server.default = ENDLESS
    service = sync.LLMRing(practice.path, api_keys={"anthropic": SECRET})
    stream = service.chat_stream(ask("anthropic:m"))
    next(stream)
    service.close()
    assert closed(server)
    with pytest.raises(LLMRingError, match="closed"):
        list(stream)
    with pytest.raises(LLMRingError, match="closed"):
        service.chat(ask("anthropic:m"))


# Where it is called


def test_from_many_threads(service: sync.LLMRing, server: PracticeServer) -> None:
    server.default = Reply(chunks=["a", "b", "c"])

    def work(number: int) -> str:
        request = ask(f"{[*PROVIDERS.values()][number % 5]}:m")
        if number % 2:
            return service.chat(request).content
        return "".join(chunk.delta for chunk in service.chat_stream(request))

    with ThreadPoolExecutor(16) as pool:
        assert [*pool.map(work, range(64))] == ["abc"] * 64
    assert sum(thread.name == "llmring-sync" for thread in threading.enumerate()) == 1


async def test_inside_a_running_loop(practice: Ground, server: PracticeServer) -> None:
    """As in a notebook: the loop stands while it waits, as it does for any synchronous call."""
    server.default = Reply(chunks=["a", "b"])
    with sync.LLMRing(practice.path, api_keys={"anthropic": SECRET}) as service:
        assert service.chat(ask("anthropic:m")).content == "ab"
        assert [chunk.delta for chunk in service.chat_stream(ask("anthropic:m"))][:2] == ["a", "b"]
        async with llmring.LLMRing(practice.path, api_keys={"anthropic": SECRET}) as other:
            assert (await other.chat(ask("anthropic:m"))).content == "ab"


def test_edits_are_made_when_they_return(tmp_path: Path) -> None:
    with sync.LLMRing(tmp_path / "llmring.lock") as service:
        service.init_lockfile()
        service.bind_alias("chatbot", "ollama:llama3.2")
        assert service.list_aliases() == {"chatbot": "ollama:llama3.2"}
        service.unbind_alias("chatbot")
        assert not service.has_alias("chatbot")


def test_in_the_loop_itself_it_says_so(service: sync.LLMRing) -> None:
    async def within() -> str:
        return service.resolve_alias("anthropic:m")

    with pytest.raises(RuntimeError, match=r"llmring\.LLMRing there"):
        service.run(within())


def test_the_client_of_a_provider(service: sync.LLMRing, server: PracticeServer) -> None:
    client = service.get_provider("openai").client
    server.default = Reply("hello")
    listed = service.run(client.get("/models", cast_to=object))
    assert listed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_in_a_forked_process(practice: Ground, server: PracticeServer) -> None:
    server.default = Reply("forked")
    program = """
import os, sys
from llmring import LLMRequest, Message
from llmring.sync import LLMRing
request = LLMRequest(model="anthropic:m", messages=[Message(role="user", content="hi")])
with LLMRing() as service:
    service.chat(request)
    if (child := os.fork()) == 0:
        print(service.chat(request).content, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(service.chat(request).content)
"""
    assert run(practice, program) == (0, "forked\nforked\n", "")


# Scripts


def run(practice: Ground, program: str, *how: str) -> tuple[int, str, str]:
    environment = os.environ | {"LLMRING_LOCKFILE_PATH": str(practice.path), KEY_VARIABLE: SECRET}
    ran = subprocess.run(
        [*(how or (sys.executable, "-W", "error", "-c")), program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    return ran.returncode, ran.stdout, ran.stderr


HEAD = """
from llmring import LLMRequest, Message
from llmring.sync import LLMRing
request = LLMRequest(model="{model}", messages=[Message(role="user", content="hi")])
"""
ENDS = {
    "closed": "with LLMRing() as service: print(next(service.chat_stream(request)).delta)",
    "not closed": "service = LLMRing(); print(service.chat_stream(request).__next__().delta)",
    "held": "service = LLMRing(); stream = service.chat_stream(request); print(next(stream).delta)",
    "in a thread": (
        "import threading; service = LLMRing(); stream = service.chat_stream(request); print(next(stream).delta); "
        "threading.Thread(target=lambda: list(stream), daemon=True).start()"
    ),
    "by an exit": "import sys; service = LLMRing(); print(next(service.chat_stream(request)).delta); sys.exit(0)",
}


@pytest.mark.parametrize(
    ("end", "wire"), [*((end, "anthropic") for end in ENDS), ("held", "ollama"), ("held", "gemini")]
)
def test_nothing_is_said_at_exit(practice: Ground, server: PracticeServer, end: str, wire: str) -> None:
    server.default = ENDLESS
    program = HEAD.format(model=f"{PROVIDERS[wire]}:m") + ENDS[end]
    assert run(practice, program) == (0, "x\n", "")
    assert closed(server)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_ends_the_request(practice: Ground, server: PracticeServer) -> None:
    server.default = Reply(chunks=["x", "y"], interval=600)
    program = HEAD.format(model="anthropic:m") + (
        "service = LLMRing()\n"
        "try:\n"
        "    for chunk in service.chat_stream(request): print(chunk.delta, flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
    )
    environment = os.environ | {"LLMRING_LOCKFILE_PATH": str(practice.path), KEY_VARIABLE: SECRET}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "x\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (0, "stopped\n", "")
    assert closed(server)


def test_in_the_shell_of_notebooks(practice: Ground, server: PracticeServer) -> None:
    """IPython runs what awaits in a loop, and so does a notebook."""
    server.default = Reply("hello")
    program = HEAD.format(model="anthropic:m") + (
        "import asyncio\n"
        "await asyncio.sleep(0)\n"
        "service = LLMRing()\n"
        "print(asyncio.get_running_loop() is not None and service.chat(request).content)\n"
        "print(''.join(chunk.delta for chunk in service.chat_stream(request)))\n"
    )
    ipython = (sys.executable, "-W", "ignore", "-m", "IPython", "--no-banner", "--quick", "--colors=nocolor", "-c")
    code, out, err = run(practice, program, *ipython)
    assert (code, out.splitlines()[-2:], err) == (0, ["hello", "hello"], "")


# The asynchronous classes, used as if they were not


MISUSED: dict[str, tuple[Callable[[llmring.LLMRing, LLMRequest], object], str]] = {
    "for": (lambda it, request: [*it.chat_stream(request)], "async for chunk in"),
    "with a service": (lambda it, _: it.__enter__(), "async with LLMRing"),
    "with a stream": (lambda it, request: it.chat_stream(request).__enter__(), "async with service"),
    "await a stream": (lambda it, request: it.chat_stream(request).__await__(), "async for chunk in"),
}


@pytest.mark.parametrize("how", MISUSED)
def test_the_form_that_was_meant(practice: Ground, how: str) -> None:
    use, words = MISUSED[how]
    with pytest.raises(TypeError, match=words) as raised:
        use(llmring.LLMRing(practice.path), ask("anthropic:m"))
    assert "llmring.sync" in str(raised.value) or "await service.chat" in str(raised.value)


async def test_a_missing_await(practice: Ground, server: PracticeServer) -> None:
    server.default = Reply("hello")
    async with practice.service() as service:
        waiting = service.chat(ask("anthropic:m"))
        with pytest.raises(AttributeError, match=r"chat\(\) was not awaited, so it has no 'content'.*llmring\.sync"):
            waiting.content  # type: ignore[attr-defined]  # noqa: B018 - what is forgotten
        assert (await waiting).content == "hello"
        assert asyncio.iscoroutinefunction(service.chat)
        # It goes wherever a coroutine goes.
        made = await asyncio.gather(
            asyncio.create_task(service.chat(ask("anthropic:m"))),
            service.chat(ask("anthropic:m")),
            asyncio.wait_for(service.chat(ask("anthropic:m")), 60),
        )
        assert [it.content for it in made] == ["hello"] * 3


def test_a_forgotten_request_is_warned_of(practice: Ground) -> None:
    with pytest.warns(RuntimeWarning, match=r"LLMRing\.chat' was never awaited"):
        llmring.LLMRing(practice.path).chat(ask("anthropic:m")).__sizeof__()
