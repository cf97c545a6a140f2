"""Spans and metrics, as the SDK exports them, against what the conventions say."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

import llmring.sync
from llmring import LLMRequest, LLMRing, Message, image
from llmring.exceptions import ConfigurationError, LLMRingError, ProviderError
from llmring.telemetry import OpenTelemetry
from llmring.telemetry.conventions import conventions, provider_name
from llmring.testing import Fault, PracticeServer, Tokens, ToolCallScript
from llmring.vendors import VENDORS

from ..faults.ground import PROVIDERS, Ground, ask
from .seen import USAGE, Seen, attributes

streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
every_wire = pytest.mark.parametrize("provider", PROVIDERS.values())


class Sum(BaseModel):
    total: int


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


@pytest.fixture
def seen() -> Seen:
    return Seen()


def bound(practice: Ground, seen: Seen, *models: str, **options: Any) -> LLMRing:
    practice.bind({"chatbot": models})
    return practice.service(**{"timeout": 5.0, "max_retries": 0, "on_event": seen.listener} | options)


async def read(service: LLMRing, request: LLMRequest, *, stream: bool) -> Any:
    return await (service.chat_stream(request).final_response() if stream else service.chat(request))


def used(seen: Seen, name: str) -> int:
    """What the spans say was used of one kind of tokens."""
    return sum(attributes(it).get(name, 0) for it in seen.spans())


def adds_up(seen: Seen, usage: Mapping[str, Any] | None) -> None:
    """What was billed is on the spans, and in the metrics, once."""
    for name, key in USAGE.items():
        billed = (usage or {}).get(key, 0)
        assert used(seen, name) == billed
        assert seen.counted(name.replace("gen_ai.usage.", "gen_ai.client.inference.usage.")) == billed


@streamed
@every_wire
async def test_an_answer_on_every_wire(
    practice: Ground, server: PracticeServer, seen: Seen, provider: str, stream: bool
) -> None:
    server.reply("one two three", usage=Tokens(100, 30, cache_read=20), response_model="m-2026")
    ends = {} if provider == "responses" else {"stop": ["END"]}  # which has no such parameter
    request = ask("chatbot", temperature=0.5, max_tokens=50, metadata={"conversation": "c1"}, **ends)
    async with bound(practice, seen, f"{provider}:m") as service:
        response = await read(service, request, stream=stream)
    seen.keeps_to_the_conventions()
    adds_up(seen, response.usage)
    (span,), (attempt,) = seen.requests(), seen.attempts()
    of_request, of_attempt = attributes(span), attributes(attempt)
    for of in (of_request, of_attempt):
        assert of["gen_ai.operation.name"] == "chat"
        assert of["gen_ai.request.model"] == "m"
        assert (of["gen_ai.request.temperature"], of["gen_ai.request.max_tokens"]) == (0.5, 50)
        assert of.get("gen_ai.request.stop_sequences") == (("END",) if ends else None)
        assert of["gen_ai.conversation.id"] == "c1"
        assert of["gen_ai.response.finish_reasons"] == ("stop",)
        assert of["gen_ai.response.model"] == response.response_model
        assert (of["llmring.alias"], of["llmring.profile"]) == ("chatbot", "default")
        assert of.get("gen_ai.request.stream", False) is stream
        assert ("gen_ai.response.time_to_first_chunk" in of) is stream
    assert of_attempt["llmring.attempt"] == 1
    assert of_attempt["server.address"] == "127.0.0.1"
    assert of_attempt["server.port"] == int(server.url.rpartition(":")[2])
    assert of_request["llmring.outcome"] == "finished"
    assert [it.status.status_code for it in seen.spans()] == [StatusCode.UNSET] * 2
    points = seen.points()
    assert [it.count for it in points["gen_ai.client.inference.duration"]] == [1]
    assert ("gen_ai.client.inference.time_to_first_chunk" in points) is stream
    assert (points["gen_ai.client.inference.duration"][0].sum) == pytest.approx(
        ((attempt.end_time or 0) - (attempt.start_time or 0)) / 1e9, abs=1e-3
    )
    assert [it.name for it in span.events] == ["llmring.first_chunk"] * stream


@streamed
async def test_the_other_candidate(practice: Ground, server: PracticeServer, seen: Seen, stream: bool) -> None:
    server.reply(status=503, model="first")
    server.reply("good", model="second", usage=Tokens(10, 3))
    async with bound(practice, seen, "anthropic:first", "openai:second") as service:
        response = await read(service, ask("chatbot"), stream=stream)
    seen.keeps_to_the_conventions()
    adds_up(seen, response.usage)
    (span,), (first, second) = seen.requests(), seen.attempts()
    assert span.name == "chat first"
    assert (first.name, second.name) == ("chat first", "chat second")
    assert attributes(first)["error.type"] == "ProviderResponseError"
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "HTTP 503")
    assert attributes(first)["gen_ai.response.finish_reasons"] == ("error",)
    assert span.status.status_code is StatusCode.UNSET
    moved = next(it for it in span.events if it.name == "llmring.moved_on")
    assert dict(moved.attributes or {}) == {
        "llmring.model": "anthropic:first",
        "llmring.to": "openai:second",
        "llmring.attempt": 1,
        "error.type": "ProviderResponseError",
    }
    failed = [it for it in seen.points()["gen_ai.client.inference.duration"] if "error.type" in it.attributes]
    assert [it.attributes["gen_ai.request.model"] for it in failed] == ["first"]


async def test_a_retry(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    server.reply(status=503, retry_after=0.01)
    server.reply("good")
    async with bound(practice, seen, "ollama:m", max_retries=1) as service:
        await service.chat(ask("chatbot"))
    seen.keeps_to_the_conventions()
    (span,), (_,) = seen.requests(), seen.attempts()
    (event,) = span.events
    assert (event.name, dict(event.attributes or {})["llmring.retry"]) == ("llmring.retried", 1)
    assert attributes(span)["llmring.retries"] == 1


async def test_a_hedge(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    server.reply(fault=Fault.never_answer(), model="first")
    server.reply("good", model="second", usage=Tokens(10, 3))
    practice.bind({"chatbot": ["anthropic:first", "openai:second"]})
    text = practice.path.read_text()
    practice.path.write_text(text.replace("[providers.", "hedge_after = 0.05\n[providers.", 1))
    async with practice.service(timeout=5.0, max_retries=0, on_event=seen.listener) as service:
        response = await service.chat_stream(ask("chatbot")).final_response()
    seen.keeps_to_the_conventions()
    adds_up(seen, response.usage)
    (span,), (first, second) = seen.requests(), seen.attempts()
    assert attributes(first)["error.type"] == "HedgedError"
    assert attributes(second)["gen_ai.response.finish_reasons"] == ("stop",)
    (hedged,) = (it for it in span.events if it.name == "llmring.hedged")
    assert dict(hedged.attributes or {})["llmring.to"] == "openai:second"


async def test_going_on(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    server.reply(chunks=["One", " two"], fault=Fault.cut_after(2), model="first", usage=Tokens(10, 3))
    server.reply(" three", model="second", usage=Tokens(20, 4))
    async with bound(practice, seen, "anthropic:first", "openai:second") as service:
        response = await service.chat_stream(ask("chatbot", on_interrupt="resume")).final_response()
    seen.keeps_to_the_conventions()
    adds_up(seen, response.usage)
    (span,), (first, second) = seen.requests(), seen.attempts()
    assert [it.name for it in span.events] == ["llmring.first_chunk", "llmring.resumed"]
    assert [attributes(it)["gen_ai.usage.input_tokens"] for it in (first, second)] == [
        it.usage["prompt_tokens"] for it in response.served if it.usage
    ]


@streamed
async def test_an_answer_without_its_form(practice: Ground, server: PracticeServer, seen: Seen, stream: bool) -> None:
    server.reply('{"total": "much"}', usage=Tokens(10, 3))
    server.reply('{"total": 3}', usage=Tokens(20, 4))
    async with bound(practice, seen, "openai:m") as service:
        request = ask("chatbot", response_format=Sum, retries_on_misfit=1)
        response = await read(service, request, stream=stream)
    seen.keeps_to_the_conventions()
    adds_up(seen, response.usage)
    (span,), (first, second) = seen.requests(), seen.attempts()
    assert attributes(span)["gen_ai.output.type"] == "json"
    assert ["error.type" in attributes(it) for it in (first, second)] == [True, False]
    assert "much" not in repr([attributes(it) for it in seen.spans()] + [it.status.description for it in seen.spans()])


@every_wire
async def test_a_cut(practice: Ground, server: PracticeServer, seen: Seen, provider: str) -> None:
    server.reply(chunks=["one", " two"], fault=Fault.cut_after(2), usage=Tokens(10, 3))
    async with bound(practice, seen, f"{provider}:m") as service:
        with pytest.raises(ProviderError) as raised:
            await service.chat_stream(ask("chatbot")).final_response()
    seen.keeps_to_the_conventions()
    assert raised.value.partial is not None
    adds_up(seen, raised.value.partial.usage)
    (span,), (attempt,) = seen.requests(), seen.attempts()
    for it in (span, attempt):
        assert it.status.status_code is StatusCode.ERROR
        assert attributes(it)["error.type"] == "ProviderConnectionError"
        assert attributes(it)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(span)["llmring.outcome"] == "failed"


@pytest.mark.parametrize("way", ["closed", "cancelled"])
async def test_what_is_left(practice: Ground, server: PracticeServer, seen: Seen, way: str) -> None:
    server.reply(chunks=["one", " two"], fault=Fault.stall_after(1), usage=Tokens(10, 3))
    async with bound(practice, seen, "anthropic:m") as service:
        stream = service.chat_stream(ask("chatbot"))
        await anext(stream)
        if way == "closed":
            await stream.aclose()
        else:
            stream.cancel()
        usage = stream.response.usage
    seen.keeps_to_the_conventions()
    adds_up(seen, usage)
    (span,), (attempt,) = seen.requests(), seen.attempts()
    assert (attributes(span)["llmring.outcome"], attributes(span)["llmring.left"]) == ("left", way)
    assert [it.status.status_code for it in (span, attempt)] == [StatusCode.UNSET] * 2
    assert "error.type" not in attributes(span)


async def test_a_request_that_nobody_is_asked_for(practice: Ground, seen: Seen) -> None:
    async with bound(practice, seen, "openai:m") as service:
        with pytest.raises(LLMRingError):
            await service.chat(ask("nobody"))
    seen.keeps_to_the_conventions()
    (span,) = seen.spans()
    assert span.name == "chat nobody"
    assert attributes(span)["error.type"] == "AliasNotFoundError"


async def test_all_candidates_fail(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    server.reply(status=503, times=2)
    async with bound(practice, seen, "openai:a", "google:b", "refused-ollama:c") as service:
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot"))
    seen.keeps_to_the_conventions()
    adds_up(seen, None)
    assert len(seen.attempts()) == 3
    assert len(seen.points()["gen_ai.client.inference.usage.input_tokens"]) == 3  # a zero for each that failed


async def test_the_parent_is_the_callers(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    """Whatever is current when the answer is read, and in generators, which are run in steps."""
    tracer = seen.tracers.get_tracer("program")

    async def words(service: LLMRing) -> AsyncIterator[str]:
        async for chunk in service.chat_stream(ask("chatbot")):
            yield chunk.delta

    async def asks(name: str, service: LLMRing) -> None:
        with tracer.start_as_current_span(name):
            text = ""
            async for word in words(service):
                assert trace.get_current_span().name == name  # type: ignore[attr-defined]
                text += word
        with tracer.start_as_current_span(f"{name} 2"):
            stream = service.chat_stream(ask("chatbot"))
        await stream.final_response()

    async with bound(practice, seen, "openai:m") as service:
        await asyncio.gather(asks("Ada", service), asks("Grace", service))
        async for _ in service.chat_stream(ask("chatbot")):
            break
    seen.keeps_to_the_conventions()
    names = {it.context.span_id: it.name for it in seen.spans() if it.context is not None}
    parents = [names[it.parent.span_id] if it.parent is not None else None for it in seen.requests()]
    assert sorted(map(str, parents)) == ["Ada", "Ada 2", "Grace", "Grace 2", "None"]


def test_the_synchronous_face_has_the_callers_parent_too(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    practice.bind({"chatbot": ["openai:m"]})
    keys = dict.fromkeys(PROVIDERS.values(), "practice")
    with (
        llmring.sync.LLMRing(practice.path, api_keys=keys, on_event=seen.listener) as service,
        seen.tracers.get_tracer("program").start_as_current_span("page") as page,
    ):
        service.chat(ask("chatbot"))
        for _ in service.chat_stream(ask("chatbot")):
            pass
    seen.keeps_to_the_conventions()
    assert [it.parent.span_id if it.parent else 0 for it in seen.requests()] == [page.get_span_context().span_id] * 2


async def test_each_round_of_tools(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    server.reply(tool_calls=[ToolCallScript("add", {"a": 1, "b": 2})])
    server.reply("three")
    async with bound(practice, seen, "google:m") as service:
        run = await service.run_tools(ask("chatbot"), [add])
    seen.keeps_to_the_conventions()
    adds_up(seen, run.usage)
    reasons = [attributes(it)["gen_ai.response.finish_reasons"] for it in seen.requests()]
    assert reasons == [("tool_calls",), ("stop",)]


@pytest.mark.parametrize("names", ["latest", "older", "both"])
async def test_older_names(practice: Ground, server: PracticeServer, names: Any) -> None:
    seen = Seen(names=names)
    server.reply("one", usage=Tokens(10, 3, cache_read=2, cache_write=3))
    async with bound(practice, seen, "anthropic:m") as service:
        await service.chat(ask("chatbot"))
    seen.keeps_to_the_conventions()
    (attempt,) = seen.attempts()
    of, points = attributes(attempt), seen.points()
    assert ("gen_ai.system" in of) is (names != "latest")
    assert ("gen_ai.provider.name" in of) is (names != "older")
    assert ("gen_ai.usage.cache_creation.input_tokens" in of) is (names != "latest")
    assert ("gen_ai.usage.cache_write.input_tokens" in of) is (names != "older")
    assert ("gen_ai.client.inference.duration" in points) is (names != "older")
    assert ("gen_ai.client.operation.duration" in points) is (names != "latest")
    if names != "latest":
        by_type = {it.attributes["gen_ai.token.type"]: it.sum for it in points["gen_ai.client.token.usage"]}
        assert by_type == {"input": of["gen_ai.usage.input_tokens"], "output": of["gen_ai.usage.output_tokens"]}
    with pytest.raises(ConfigurationError, match="names"):
        OpenTelemetry(names="newest")  # type: ignore[arg-type]


CANARY = "canary-of-content"


def a_talk() -> LLMRequest:
    call: Any = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": CANARY})}}
    return LLMRequest(
        model="chatbot",
        messages=[
            Message(role="system", content=f"system {CANARY}"),
            Message(role="user", content=[{"type": "text", "text": f"user {CANARY}"}, image(b"\x89PNG\r\n\x1a\nx")]),
            Message(role="assistant", content="", tool_calls=[call]),
            Message(role="tool", tool_call_id="c1", content=f"result {CANARY}"),
        ],
        tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    )


@streamed
async def test_content_is_there_only_on_request(practice: Ground, server: PracticeServer, stream: bool) -> None:
    server.reply(f"answer {CANARY}", reasoning=f"thought {CANARY}", times=2)
    without, with_it = Seen(), Seen(content=True)
    for seen in (without, with_it):
        async with bound(practice, seen, "anthropic:m") as service:
            await read(service, a_talk(), stream=stream)
        seen.keeps_to_the_conventions()
    assert CANARY not in repr([(attributes(it), it.events) for it in without.spans()])
    assert CANARY not in repr([attributes(it) for it in with_it.attempts()])
    (of,) = map(attributes, with_it.requests())
    assert json.loads(of["gen_ai.system_instructions"]) == [{"type": "text", "content": f"system {CANARY}"}]
    user, assistant, tool = json.loads(of["gen_ai.input.messages"])
    assert user["parts"][0] == {"type": "text", "content": f"user {CANARY}"}
    assert set(user["parts"][1]) == {"type"}
    assert assistant["parts"] == [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": CANARY}}]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "c1", "response": f"result {CANARY}"}]
    (answer,) = json.loads(of["gen_ai.output.messages"])
    assert {"type": "text", "content": f"answer {CANARY}"} in answer["parts"]
    assert answer["finish_reason"] == "stop"
    assert json.loads(of["gen_ai.tool.definitions"]) == [{"type": "function", "name": "look"}]


async def test_content_is_cut(practice: Ground, server: PracticeServer) -> None:
    seen = Seen(content=True, content_limit=10)
    server.reply("x" * 1000)
    request = LLMRequest(
        model="chatbot",
        messages=[
            Message(role="user", content="a" * 1000),
            Message(role="assistant", content="b" * 1000),
            Message(role="user", content="ccc"),
        ],
    )
    async with bound(practice, seen, "openai:m") as service:
        await service.chat(request)
    (of,) = map(attributes, seen.requests())
    texts = [it["parts"][0]["content"] for it in json.loads(of["gen_ai.input.messages"])]
    assert texts == ["…", "bbbbbbb…", "ccc"]
    assert json.loads(of["gen_ai.output.messages"])[0]["parts"][0]["content"] == "xxxxxxxxxx…"
    for wrong in (-1, 1.5, True):
        with pytest.raises(ConfigurationError, match="content_limit"):
            OpenTelemetry(content_limit=wrong)  # type: ignore[arg-type]


async def test_no_key_is_in_it(practice: Ground, server: PracticeServer) -> None:
    key = "sk-canary-" + "k" * 24
    seen = Seen(content=True)
    server.reply(status=401, error=f"The key {key} is wrong")
    async with bound(practice, seen, "openai:m", api_keys={"openai": key}) as service:
        with pytest.raises(ProviderError):
            await service.chat(ask("chatbot"))
    seen.keeps_to_the_conventions()
    assert key not in "".join(it.to_json() for it in seen.spans())


async def test_a_request_at_a_time_or_many(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    server.reply("good", times=20, usage=Tokens(10, 3))
    async with bound(practice, seen, "openai:m") as service:
        await asyncio.gather(*(service.chat_stream(ask("chatbot")).final_response() for _ in range(20)))
    seen.keeps_to_the_conventions()
    assert len(seen.requests()) == len(seen.attempts()) == 20
    assert used(seen, "gen_ai.usage.input_tokens") == 200


async def test_without_an_sdk_nothing_happens(practice: Ground, server: PracticeServer) -> None:
    practice.bind({"chatbot": ["openai:m"]})
    async with practice.service(on_event=OpenTelemetry()) as service:
        assert (await service.chat_stream(ask("chatbot")).final_response()).content


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from llmring.exceptions import ConfigurationError\n"
        "try:\n    from llmring.telemetry import OpenTelemetry\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    advice = "To install it: pip install opentelemetry-api"
    assert done.stdout == f"OpenTelemetry's API (the extra otel) is not installed. {advice}\n"


@pytest.mark.parametrize(
    ("model", "host", "name"),
    [
        ("google:m", None, "gcp.gemini"),
        ("mine:m", "api.openai.com", "openai"),
        ("openai:m", "company.openai.azure.com", "azure.ai.openai"),
        ("google:m", "europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("mistral:m", None, "mistral_ai"),
        ("mine:m", "notapi.openai.com.example", "mine"),
        ("ollama:m", "127.0.0.1", "ollama"),
    ],
)
def test_what_a_provider_is_called(model: str, host: str | None, name: str) -> None:
    assert provider_name(model, host) == name


def test_the_names_of_providers_are_those_that_there_are() -> None:
    assert set(conventions()["providers"]["names"]) <= set(VENDORS)


def test_an_sdk_that_is_set_up_later_is_used() -> None:
    """What is set for a process can be set once: this is one of its own."""
    program = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from llmring import LLMRequest, LLMRing, Message
from llmring.telemetry import OpenTelemetry
from llmring.testing import PracticeServer

async def main(url):
    exporter = InMemorySpanExporter()
    async with LLMRing(on_event=OpenTelemetry()) as service:
        request = LLMRequest(model="ollama:m", messages=[Message(role="user", content="Hi")])
        await service.chat(request)
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(tracers)
        await service.chat(request)
    print(*(it.name for it in exporter.get_finished_spans()))

with PracticeServer() as server:
    import os
    os.environ.update(server.environ())
    asyncio.run(main(server.url))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "chat m chat m\n"


async def test_what_no_exporter_takes_is_left_out(practice: Ground, server: PracticeServer, seen: Seen) -> None:
    """One number that is too large, or half a letter, would lose all spans that are sent with it."""
    request = ask("chatbot", max_tokens=2**70, metadata={"conversation": "half \ud800"})
    async with bound(practice, seen, "ollama:m") as service:
        await service.chat(request)
    seen.keeps_to_the_conventions()
    (of,) = map(attributes, seen.requests())
    assert "gen_ai.request.max_tokens" not in of
    assert of["gen_ai.conversation.id"] == "half ?"
