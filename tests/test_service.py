"""LLMRing: settings, aliases, requests that nobody can take, and providers that are not there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    LockfileNotFoundError,
    ProviderNotFoundError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, PracticeServer, Reply

from .conftest import Way, bind

ASKED = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
DIRECT = ASKED.model_copy(update={"model": "anthropic:m"})


async def ask(service: LLMRing, request: LLMRequest, stream: bool) -> str:
    if stream:
        return (await service.chat_stream(request).final_response()).content
    return (await service.chat(request)).content


streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])

# Timeouts


@streamed
@pytest.mark.parametrize(
    ("environment", "constructor", "request_"),
    [
        (None, {"timeout": 0.2}, {}),
        ("0.2", {}, {}),
        (" 0.2 ", {}, {}),
        ("30", {"timeout": 0.2}, {}),
        ("30", {"timeout": 30}, {"timeout": 0.2}),
        (None, {"timeout": None}, {"timeout": 0.2}),
    ],
)
async def test_the_timeout_that_counts(
    server: PracticeServer,
    monkeypatch: pytest.MonkeyPatch,
    environment: str | None,
    constructor: dict[str, Any],
    request_: dict[str, Any],
    stream: bool,
) -> None:
    """The request's over the constructor's over the environment's."""
    if environment is not None:
        monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", environment)
    server.reply(fault=Fault.never_answer())
    async with LLMRing(max_retries=0, **constructor) as service:
        service.get_provider("anthropic")
        began = time.monotonic()
        with pytest.raises(ProviderTimeoutError):
            await ask(service, DIRECT.model_copy(update={"model": "anthropic:m", **request_}), stream)
        assert 0.15 < time.monotonic() - began < 20


@streamed
@pytest.mark.parametrize(
    ("environment", "constructor", "request_"),
    [
        ("none", {}, {}),
        ("0.05", {"timeout": None}, {}),
        ("0.05", {"timeout": 30}, {}),
        ("0.05", {"timeout": 60.0}, {}),
        (None, {"timeout": 0.05}, {"timeout": None}),
        (None, {"timeout": 0.05}, {"timeout": 30}),
        ("", {}, {}),
    ],
)
async def test_a_longer_timeout_wins_too(
    server: PracticeServer,
    monkeypatch: pytest.MonkeyPatch,
    environment: str | None,
    constructor: dict[str, Any],
    request_: dict[str, Any],
    stream: bool,
) -> None:
    if environment is not None:
        monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", environment)
    server.reply("late", delay=0.2)
    async with LLMRing(max_retries=0, **constructor) as service:
        request = LLMRequest(model="anthropic:m", messages=ASKED.messages, **request_)
        assert await ask(service, request, stream) == "late"


async def test_the_requests_timeout_reaches_the_socket(way: Way, server: PracticeServer) -> None:
    """Past the one that the SDK's client was made with."""
    server.reply(chunks=["a", "b"], delay=0.2, interval=0.2)
    async with LLMRing(timeout=0.05, max_retries=0) as service:
        request = LLMRequest(model="chatbot", messages=ASKED.messages, timeout=None)
        assert await ask(service, request, True) == "ab"
        server.reply("late", delay=0.2)
        assert await ask(service, request.model_copy(update={"timeout": 5}), False) == "late"


async def test_a_timeout_that_was_not_set_on_the_request_is_the_services(server: PracticeServer) -> None:
    assert LLMRing().timeout == 60.0
    assert LLMRing(timeout=None).timeout is None
    assert LLMRing(timeout=7).timeout == 7


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_timeouts_that_are_none(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        LLMRing(timeout=timeout)
    async with LLMRing() as service:
        with pytest.raises(ConfigurationError, match="timeout"):
            await service.chat(LLMRequest(model="anthropic:m", messages=ASKED.messages, timeout=timeout))
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", str(timeout))
    with pytest.raises(ConfigurationError):
        LLMRing()
    assert server.requests == []


def test_a_timeout_of_the_environment_that_is_no_number(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "-1")
    with pytest.raises(ConfigurationError, match=r"^LLMRING_PROVIDER_TIMEOUT_S is -1\.0; it takes a number of seconds"):
        LLMRing()
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "soon")
    with pytest.raises(ConfigurationError, match="LLMRING_PROVIDER_TIMEOUT_S is 'soon'"):
        LLMRing()
    assert LLMRing(timeout=5).timeout == 5


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timeout", [0, True, "5", float("nan"), float("inf")]),
        ("deadline", [0, -1, True, "5", float("nan")]),
        ("max_retries", [-1, True, 1.5, "2", None]),
        ("max_connections", [0, -1, True, 2.5, "9"]),
        ("breaker_threshold", [-1, True, 0.5, None]),
        ("breaker_cooldown", [0, -1, float("nan"), float("inf"), "9", None]),
    ],
)
def test_settings_that_cannot_work(bare: Path, name: str, values: list[Any]) -> None:
    """Each is refused when it is made, by its name, and not when it is too late."""
    for value in values:
        with pytest.raises(ConfigurationError, match=rf"^{name} is "):
            LLMRing(**{name: value})


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [True, "5"])
def test_a_time_that_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        LLMRequest(model="anthropic:m", messages=ASKED.messages, **{name: value})


@streamed
async def test_a_profile_by_position(server: PracticeServer, stream: bool) -> None:
    dev = '[profiles.dev]\nname = "dev"\n[[profiles.dev.bindings]]\nalias = "chatbot"\nmodels = ["openai:n"]\n'
    bind({"chatbot": ["anthropic:m"]}, dev)
    async with LLMRing() as service:
        request = ASKED.model_copy(update={"model": "chatbot"})
        answer = service.chat_stream(request, "dev").final_response() if stream else service.chat(request, "dev")
        assert (await answer).model == "openai:n"


# Requests that nobody can take

USER = Message(role="user", content="Hi")
CALL: Any = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@streamed
@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "no messages"),
        ([Message(role="system", content="Be brief.")], "only system messages"),
        ([USER, Message(role="tool", content="x", tool_call_id="a")], r"messages\[1\] is a tool's result"),
        ([USER, Message(role="tool", content="x")], r"messages\[1\] is a tool's result that names no call"),
        (
            [USER, Message(role="assistant", tool_calls=[CALL]), Message(role="tool", content="x", tool_call_id="b")],
            r"messages\[2\].*'b'",
        ),
        ([Message(role="user", content="Hi", tool_calls=[CALL])], r"messages\[0\] has tool_calls.*'user'"),
    ],
)
async def test_messages_out_of_place(server: PracticeServer, messages: list[Message], words: str, stream: bool) -> None:
    async with LLMRing() as service:
        with pytest.raises(InvalidRequestError, match=words) as raised:
            await ask(service, LLMRequest(model="anthropic:m", messages=messages), stream)
    assert isinstance(raised.value, ValueError)
    assert server.requests == []


def test_a_role_that_is_none() -> None:
    with pytest.raises(ValidationError):
        Message(role="robot", content="Hi")  # type: ignore[arg-type]


def test_a_field_that_is_none() -> None:
    with pytest.raises(ValidationError):
        LLMRequest(model="m", messages=[USER], temprature=0.5)  # type: ignore[call-arg]


@streamed
async def test_parameters_that_are_no_json(way: Way, server: PracticeServer, stream: bool) -> None:
    async with LLMRing() as service:
        with pytest.raises(LLMRingError) as raised:
            await ask(service, ASKED.model_copy(update={"extra_params": {"x": object()}}), stream)
    assert "object" in str(raised.value)
    assert server.requests == []


# Names


@streamed
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mystery:m", r"no provider 'mystery'.*anthropic.*google.*ollama.*openai.*\[providers.mystery\]"),
        ("gemini:m", "called 'google'"),
        ("claude:m", "called 'anthropic'"),
    ],
)
async def test_an_unknown_provider(server: PracticeServer, model: str, words: str, stream: bool) -> None:
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=words) as raised:
            await ask(service, ASKED.model_copy(update={"model": model}), stream)
        with pytest.raises(ProviderNotFoundError, match=words):
            service.get_provider(model.partition(":")[0])
    assert raised.value.provider == model.partition(":")[0]


@streamed
async def test_an_unknown_alias(server: PracticeServer, stream: bool) -> None:
    bind({"chatbot": ["anthropic:m"]})
    async with LLMRing() as service:
        with pytest.raises(AliasNotFoundError, match="chatbot"):
            await ask(service, ASKED.model_copy(update={"model": "chatbo"}), stream)


@streamed
async def test_an_alias_without_a_lockfile(server: PracticeServer, stream: bool) -> None:
    async with LLMRing() as service:
        with pytest.raises(LockfileNotFoundError, match="llmring lock init") as raised:
            await ask(service, ASKED, stream)
    assert isinstance(raised.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("provider", "variables"),
    [
        ("openai", ["OPENAI_API_KEY"]),
        ("anthropic", ["ANTHROPIC_API_KEY"]),
        ("google", ["GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"]),
    ],
)
@streamed
async def test_no_key(bare: Path, provider: str, variables: list[str], stream: bool) -> None:
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError) as raised:
            await ask(service, ASKED.model_copy(update={"model": f"{provider}:m"}), stream)
    assert raised.value.provider == provider
    for variable in variables:
        assert variable in str(raised.value)


async def test_no_key_for_a_provider_of_the_lockfile(bare: Path) -> None:
    bind({"chatbot": ["mine:m"]}, '[providers.mine]\nsdk = "openai"\napi_key_env = "MINE_KEY"\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match="MINE_KEY"):
            await service.chat(ASKED)


@pytest.mark.parametrize("variable", ["GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"])
async def test_every_variable_for_googles_key(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY")
    monkeypatch.setenv(variable, "mine-practice")
    async with LLMRing() as service:
        await service.chat(ASKED.model_copy(update={"model": "google:m"}))
    assert server.requests[0].headers["x-goog-api-key"] == "mine-practice"


@pytest.mark.parametrize("variable", ["OLLAMA_HOST", "OLLAMA_BASE_URL"])
async def test_every_variable_for_ollamas_address(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("OLLAMA_HOST")
    monkeypatch.setenv(variable, f"{server.url}/behind/a/path")
    async with LLMRing() as service:
        await service.chat(ASKED.model_copy(update={"model": "ollama:m"}))
    assert server.requests[0].path == "/behind/a/path/api/chat"


async def test_a_key_that_is_given_wins(server: PracticeServer) -> None:
    async with LLMRing(api_keys={"openai": "given-practice"}) as service:
        await service.chat(ASKED.model_copy(update={"model": "openai:m"}))
    assert server.requests[0].headers["authorization"] == "Bearer given-practice"


@pytest.mark.parametrize("nothing", [None, "", " "])
async def test_a_key_that_is_given_as_nothing_is_none(server: PracticeServer, nothing: str | None) -> None:
    """As `os.environ.get` gives it of a variable that is not set."""
    async with LLMRing(api_keys={"openai": nothing}) as service:
        await service.chat(ASKED.model_copy(update={"model": "openai:m"}))
    assert server.requests[0].headers["authorization"] == "Bearer practice-key"


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"api_keys\['openai'\] is of type bytes; it takes text"):
        LLMRing(api_keys={"openai": b"practice"})  # type: ignore[dict-item]


async def test_a_new_key_in_the_environment_is_used(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ASKED.model_copy(update={"model": "openai:m"})
    async with LLMRing() as service:
        await service.chat(request)
        monkeypatch.setenv("OPENAI_API_KEY", "rotated-practice")
        await service.chat(request)
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer practice-key", "Bearer rotated-practice"]


MISSING = """
import asyncio, sys, warnings

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r} or name.startswith({module!r} + "."):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from llmring import LLMRing, LLMRequest, Message
from llmring.exceptions import ProviderNotFoundError

async def main():
    request = LLMRequest(model="{provider}:m", messages=[Message(role="user", content="Hi")])
    async with LLMRing() as service:
        for ask in (service.chat, lambda request: service.chat_stream(request).final_response()):
            try:
                await ask(request)
            except ProviderNotFoundError as error:
                print(error)
        try:
            service.get_provider("{provider}")
        except ProviderNotFoundError as error:
            print(error)
        response = await service.chat(request.model_copy(update={{"model": "chatbot"}}))
        print(response.content, *response.attempts)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("provider", "module", "package"),
    [
        ("openai", "openai", "openai"),
        ("anthropic", "anthropic", "anthropic"),
        ("google", "google.genai", "google-genai"),
        ("ollama", "ollama", "ollama"),
    ],
)
def test_no_sdk(server: PracticeServer, provider: str, module: str, package: str) -> None:
    program = MISSING.format(provider=provider, module=module)
    other = "ollama:other" if provider == "anthropic" else "anthropic:other"
    bind({"chatbot": [f"{provider}:m", other]})
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert "Traceback" not in done.stderr
    assert "moving on" in done.stderr  # the warning, where nobody has set up logging
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(re.search(rf"pip install '{package}>=[\d.]+,<[\d.]+'", line) for line in lines)
    assert lines[3].startswith("You said: Hi")
    assert [request.model for request in server.requests] == ["other"]


# Providers come to life on their first use


def test_making_a_service_touches_nothing(server: PracticeServer) -> None:
    program = textwrap.dedent(
        """
        import sys
        from llmring import LLMRing
        service = LLMRing()
        assert service.has_alias("chatbot")
        assert service.resolve_alias("chatbot") == "anthropic:m"
        assert service.list_aliases() == {"chatbot": "anthropic:m"}
        loaded = {"openai", "anthropic", "google", "ollama", "httpx", "httpx2", "typer"} & set(sys.modules)
        assert not loaded, loaded
        service.get_provider("ollama")
        assert "ollama" in sys.modules
        assert not {"openai", "anthropic", "google.genai"} & set(sys.modules)
        """
    )
    bind({"chatbot": ["anthropic:m", "openai:m"]})
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
    assert server.requests == []


async def test_an_sdk_is_imported_beside_the_loop(server: PracticeServer) -> None:
    """A stream that is under way does not wait for the import of another provider's SDK."""
    program = textwrap.dedent(
        """
        import asyncio, sys, time
        from llmring import LLMRing, LLMRequest, Message
        request = LLMRequest(model="anthropic:m", messages=[Message(role="user", content="Hi")])

        async def main():
            longest = 0.0
            async def tick():
                nonlocal longest
                while True:
                    began = time.monotonic()
                    await asyncio.sleep(0.005)
                    longest = max(longest, time.monotonic() - began)
            ticking = asyncio.create_task(tick())
            await asyncio.sleep(0.01)
            began = time.monotonic()
            async with LLMRing() as service:
                await service.chat(request)
                took = time.monotonic() - began
            ticking.cancel()
            print(longest, took)

        asyncio.run(main())
        """
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    longest, took = map(float, done.stdout.split())
    assert longest < max(0.25, took / 2)


async def test_a_provider_of_ones_own(server: PracticeServer) -> None:
    from llmring.providers.base import ProviderConfig
    from llmring.providers.openai import OpenAIProvider

    closed = []

    class Mine(OpenAIProvider):
        async def close(self) -> None:
            closed.append(self.name)
            await super().close()

    async with LLMRing() as service:
        mine = Mine(ProviderConfig(name="mine", key="practice", base_url=f"{server.url}/v1", api="chat"))
        service.register_provider("mine", mine)
        assert service.get_provider("mine") is mine
        response = await service.chat(ASKED.model_copy(update={"model": "mine:m"}))
        assert response.model == "mine:m"
        for name in ("", "a:b", " a"):
            with pytest.raises(ConfigurationError):
                service.register_provider(name, mine)
    assert closed == ["mine"]


# The lockfile, live


async def test_an_edit_is_in_force_for_the_next_request(server: PracticeServer) -> None:
    path = bind({"chatbot": ["anthropic:first"]})
    async with LLMRing() as service:
        assert (await service.chat(ASKED)).model == "anthropic:first"
        for model in ("openai:second", "google:third", "ollama:fourth"):
            service.bind_alias("chatbot", model)
            assert (await service.chat_stream(ASKED).final_response()).model == model
        path.write_text(path.read_text().replace("ollama:fourth", "anthropic:fifth"))
        assert (await service.chat(ASKED)).model == "anthropic:fifth"
    assert [request.model for request in server.requests] == ["first", "second", "third", "fourth", "fifth"]


async def test_a_stream_stays_with_the_model_it_began_with(server: PracticeServer) -> None:
    bind({"chatbot": ["anthropic:first"]})
    server.reply(chunks=["x"] * 20, interval=0.01)
    async with LLMRing() as service:
        stream = service.chat_stream(ASKED)
        await anext(stream)
        service.bind_alias("chatbot", "openai:second")
        assert {chunk.model async for chunk in stream} == {"anthropic:first"}


async def test_profiles(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    more = "".join(
        f'[profiles.{name}]\nname = "{name}"\n[[profiles.{name}.bindings]]\n'
        f'alias = "chatbot"\nmodels = ["anthropic:{name}"]\n'
        for name in ("one", "two", "three")
    )
    bind({"chatbot": ["anthropic:default"]}, more)

    async def served(service: LLMRing, **profile: Any) -> str:
        return (await service.chat(ASKED, **profile)).model

    async with LLMRing() as service:
        assert await served(service) == "anthropic:default"
        monkeypatch.setenv("LLMRING_PROFILE", "one")
        assert await served(service) == "anthropic:one"
        assert await served(service, profile="three") == "anthropic:three"
    async with LLMRing(profile="two") as service:
        assert await served(service) == "anthropic:two"
        assert (await service.chat_stream(ASKED, profile="three").final_response()).model == "anthropic:three"
        with pytest.raises(LLMRingError, match=r"four.*default, one, two, three"):
            await served(service, profile="four")


async def test_params_are_defaults(server: PracticeServer) -> None:
    """What the binding sets stands where the request says nothing; an unknown name goes to the provider as it is."""
    path = bind({"chatbot": ["anthropic:m"]})
    params = (
        '["anthropic:m"]\nparams = { temperature = 0.3, max_tokens = 7, top_k = 5, extra_params = { a = 1, b = 2 } }'
    )
    path.write_text(path.read_text().replace('["anthropic:m"]', params))
    server.lenient = True
    async with LLMRing() as service:
        await service.chat(ASKED)
        body = server.requests[-1].body
        assert {key: body[key] for key in ("temperature", "max_tokens", "top_k", "a", "b")} == {
            "temperature": 0.3,
            "max_tokens": 7,
            "top_k": 5,
            "a": 1,
            "b": 2,
        }
        mine = LLMRequest(model="chatbot", messages=ASKED.messages, temperature=0.9, extra_params={"a": 9, "top_k": 1})
        await service.chat(mine)
        body = server.requests[-1].body
        assert (body["temperature"], body["max_tokens"], body["top_k"], body["a"], body["b"]) == (0.9, 7, 1, 9, 2)
        # Setting it to nothing is saying something.
        await service.chat(LLMRequest(model="chatbot", messages=ASKED.messages, temperature=None))
        assert "temperature" not in server.requests[-1].body
        # The request itself is as it was.
        assert ASKED.temperature is None
        assert ASKED.extra_params == {}


async def test_a_timeout_among_the_params(server: PracticeServer) -> None:
    path = bind({"chatbot": ["anthropic:m"]})
    path.write_text(path.read_text().replace('["anthropic:m"]', '["anthropic:m"]\nparams = { timeout = 0.2 }'))
    server.reply(fault=Fault.never_answer())
    async with LLMRing() as service:
        with pytest.raises(ProviderTimeoutError):
            await service.chat(ASKED)


@pytest.mark.parametrize("param", ["messages = []", 'model = "openai:m"', "stream = false"])
async def test_params_that_are_no_defaults(server: PracticeServer, param: str) -> None:
    """Every request says these itself."""
    path = bind({"chatbot": ["anthropic:m"]})
    path.write_text(path.read_text().replace('["anthropic:m"]', f'["anthropic:m"]\nparams = {{ {param} }}'))
    async with LLMRing() as service:
        with pytest.raises(ConfigurationError, match=f"cannot hold {param.split()[0]}"):
            await service.chat(ASKED)
    assert server.requests == []


# Many at once


async def test_as_many_connections_as_are_allowed(way: Way, server: PracticeServer) -> None:
    seen = 0

    def decide(_: Any) -> Reply:
        nonlocal seen
        seen = max(seen, server.open_connections)
        return Reply("well", delay=0.02)

    server.script(decide)
    async with LLMRing(max_connections=3) as service:
        await asyncio.gather(*(service.chat(ASKED) for _ in range(12)))
    assert 1 < seen <= 3


async def test_one_service_one_client(server: PracticeServer) -> None:
    """Requests that come at once share the client that the first of them makes."""
    async with LLMRing() as service:
        await asyncio.gather(*(service.chat(DIRECT) for _ in range(20)))
        assert len(service._records.here().providers) == 1


async def test_cancelling_a_chat_closes_its_connection(way: Way, server: PracticeServer) -> None:
    """Before its answer begins, and in the middle of it."""
    async with LLMRing() as service:
        service.get_provider(way.provider)
        for fault in (Fault.never_answer(), Fault.stall_after(1)):
            server.requests.clear()
            server.reply("late", fault=fault)
            task = asyncio.create_task(service.chat(ASKED))
            async with asyncio.timeout(60):
                while not server.requests:  # noqa: ASYNC110 - the server is in another thread
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await server.requests[0].closed(60)


async def test_closing_while_a_chat_is_under_way(way: Way, server: PracticeServer) -> None:
    """It ends in an error of the contract; some SDKs try once more before they see that they are closed."""
    server.default = Reply("late", delay=30)
    service = LLMRing()
    task = asyncio.create_task(service.chat(ASKED))
    async with asyncio.timeout(60):
        while not server.requests:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.01)
        await service.close()
        with pytest.raises(LLMRingError):
            await task
    assert len(server.requests) == 1
    assert await server.requests[0].closed(60)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_the_proxy_of_the_environment_is_used(
    way: Way, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """As the SDKs themselves use it."""
    for name, value in server.environ("http://provider.invalid").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(variable, server.url)
    monkeypatch.setenv(variable.lower(), server.url)
    async with LLMRing() as service:
        assert (await service.chat(ASKED)).content == "You said: Hi"
    assert server.requests[0].headers["host"] == "provider.invalid"


# What it costs


def test_the_lockfiles_address_says_who_bills(bare: Path) -> None:
    path = bare / "llmring.lock"
    table = 'version = "1.0"\n[providers.openai]\nbase_url = "{}"\n'
    answer = LLMResponse("openai:gpt-4o", usage={"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010})
    for address, billed in (("http://localhost:8000/v1", False), ("https://models.example.com/v1", True)):
        path.write_text(table.format(address))
        service = LLMRing(lockfile_path=path)
        assert service.calculate_cost(answer).priced is billed
        assert (service.get_model_info("openai:gpt-4o").input_price is not None) is billed
    path.write_text('version = "1.0"\n[providers.mine]\nsdk = "openai"\nbase_url = "https://api.groq.com/openai/v1"\n')
    ours = LLMResponse("mine:openai/gpt-oss-20b", usage=answer.usage)
    assert LLMRing(lockfile_path=path).calculate_cost(ours).priced


async def test_the_environments_address_says_who_bills(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def priced(model: str) -> bool:
        answer = LLMResponse(model, usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10})
        return LLMRing().calculate_cost(answer).priced

    for address, billed in (("http://127.0.0.1:8000/v1", False), ("https://models.example.com/v1", True)):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        assert priced("openai:gpt-4o") is billed
        assert (LLMRing().get_model_info("openai:gpt-4o").input_price is not None) is billed
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    (bare / "llmring.lock").write_text(
        'version = "1.0"\n[providers.mine]\nsdk = "openai"\n'
        '[providers.openai]\nbase_url = "https://api.openai.com/v1"\n'
        '[providers.odd]\nsdk = "none of ours"\nbase_url = "https://api.groq.com/openai/v1"\n'
    )
    assert priced("openai:gpt-4o"), "the lockfile's address comes first"
    assert not priced("mine:gpt-4o"), "it is asked where the SDK asks"
    assert priced("odd:openai/gpt-oss-20b"), "whatever it is spoken to with"
    assert not priced("nobody:gpt-4o")


async def test_a_request_that_names_no_model(server: PracticeServer) -> None:
    bind({"chatbot": ["openai:m"]})
    async with LLMRing() as service:
        for ask in (service.chat, lambda request: service.chat_stream(request).final_response()):
            with pytest.raises(InvalidRequestError, match=r"^The request names no model; name an alias"):
                await ask(ASKED.model_copy(update={"model": ""}))
        with pytest.raises(AliasNotFoundError, match="To bind it: llmring bind ALIAS provider:model") as raised:
            service.resolve_alias("")
    assert raised.value.alias == ""
    assert server.requests == []
