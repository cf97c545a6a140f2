"""Who is asked first, and with which params: own params, shares, conversations that stay where they were."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, Message
from llmring.exceptions import ConfigurationError, ContextLengthError, ProviderResponseError, ProviderTimeoutError
from llmring.policy import side_of
from llmring.policy.conversations import Here, conversation_of
from llmring.testing import PracticeServer, RecordedRequest, Reply

from .ground import Practice, answer, ask, practice

ways = pytest.mark.parametrize("way", ["whole", "gathered", "chunks"])
ONE, TWO, THREE = "openai:one", "anthropic:two", "ollama:three"


@pytest.fixture(scope="module")
def made() -> Iterator[Practice]:
    with practice() as it:
        yield it


@pytest.fixture
def server(made: Practice) -> PracticeServer:
    made.server.clear()
    return made.server


def asked(server: PracticeServer) -> list[str]:
    return [it.model for it in server.requests]


@ways
async def test_own_params_win_over_the_bindings_and_the_requests_over_both(
    made: Practice, server: PracticeServer, way: str
) -> None:
    made.policy(
        [
            {"model": ONE, "params": {"temperature": 0.1, "seed": 1, "top_k": 5, "extra_params": {"top_a": 1}}},
            {"model": "openai:other", "params": {"max_tokens": 7}},
        ],
        params={"temperature": 0.9, "top_p": 0.5, "top_k": 9, "max_tokens": 99, "min_p": 0.5},
    )
    server.reply(status=503, model="one", times=3)
    async with made.service(max_retries=0) as service:
        response = await answer(service, ask(seed=3, extra_params={"top_a": 2}), way=way)
    assert response.model == "openai:other"
    first, second = (it.body for it in server.requests)
    names = ("temperature", "top_p", "seed", "top_k", "top_a", "min_p", "max_tokens", "max_completion_tokens")
    said = [{name: body[name] for name in names if name in body} for body in (first, second)]
    tokens = [next(body[name] for name in ("max_completion_tokens", "max_tokens") if name in body) for body in said]
    assert tokens == [99, 7]
    for body in said:
        body.pop("max_tokens", None)
        body.pop("max_completion_tokens", None)
    assert said[0] == {"temperature": 0.1, "top_p": 0.5, "seed": 3, "top_k": 5, "top_a": 2, "min_p": 0.5}
    assert said[1] == {"temperature": 0.9, "top_p": 0.5, "seed": 3, "top_k": 9, "top_a": 2, "min_p": 0.5}


async def test_what_a_request_leaves_out_on_purpose_stays_out(made: Practice, server: PracticeServer) -> None:
    made.policy([{"model": ONE, "params": {"temperature": 0.1}}])
    async with made.service() as service:
        await service.chat(ask(temperature=None))
        await service.chat(ask())
    assert [it.body.get("temperature") for it in server.requests] == [None, 0.1]


async def test_a_models_own_time(made: Practice, server: PracticeServer) -> None:
    made.policy([{"model": ONE, "params": {"timeout": 0.05}}, TWO])
    server.reply("late", delay=5.0, model="one")
    async with made.service() as service:
        response = await service.chat(ask())
    assert response.model == TWO
    assert "0.05 s" in str(response.attempts[0])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"tools": []}, "cannot hold tools: that is of the whole request"),
        ({"response_format": {"type": "json_object"}}, "cannot hold response_format"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"messages": []}, "cannot hold messages"),
    ],
)
async def test_own_params_that_cannot_be_used(
    made: Practice, server: PracticeServer, params: dict[str, Any], says: str
) -> None:
    made.policy([ONE, {"model": TWO, "params": params}])
    async with made.service() as service:
        with pytest.raises(ConfigurationError, match=says) as caught:
            await service.chat(ask())
    assert TWO in str(caught.value)
    assert server.requests == []


@ways
async def test_a_split_asks_the_side_of_its_key_first_and_the_others_stand_by(
    made: Practice, server: PracticeServer, way: str
) -> None:
    made.policy([ONE, TWO, THREE], split={"weights": [50, 30, 20], "by": "user"})
    async with made.service(max_retries=0) as service:
        for user in range(30):
            response = await answer(service, ask(metadata={"user": user}), way=way)
            assert response.model == (ONE, TWO, THREE)[side_of("chatbot", [50, 30, 20], str(user))]
        sides = {side_of("chatbot", [50, 30, 20], str(user)): user for user in range(30)}
        server.clear()
        server.reply(status=503, model="two")
        response = await answer(service, ask(metadata={"user": sides[1]}), way=way)
    assert (response.model, asked(server)) == (ONE, ["two", "one"])


async def test_without_the_key_a_conversation_stays_on_its_side(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], split={"weights": [1, 1], "by": "user"})
    sides = []
    async with made.service() as service:
        for number in range(20):
            first = await service.chat(ask(f"Question {number}"))
            later = await service.chat(ask(f"Question {number}", "An answer", "And more?"))
            assert first.model == later.model
            sides.append(first.model)
        named = [await service.chat(ask(f"Hi {it}", metadata={"conversation": "c"})) for it in range(5)]
    assert len(set(sides)) == 2
    assert len({it.model for it in named}) == 1


async def test_an_edit_of_weights_is_in_force_with_the_next_request(made: Practice, server: PracticeServer) -> None:
    async with made.service() as service:
        for weights in ([1, 0], [0, 1], [1, 0]):
            made.policy([ONE, TWO], split={"weights": weights})
            response = await service.chat(ask())
            assert response.model == (ONE, TWO)[weights.index(1)]


async def test_a_conversation_stays_with_the_stand_by_that_served_it(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], sticky="10m")
    async with made.service(max_retries=0) as service:
        server.reply(status=503, model="one")
        moved = await service.chat(ask("Hello"))
        later = await service.chat(ask("Hello", "Hi", "And?"))
        other = await service.chat(ask("Good morning"))
        assert (moved.model, later.model, other.model) == (TWO, TWO, ONE)
        server.reply(status=503, model="two")
        back = await service.chat(ask("Hello", "Hi", "And?", "So", "Then?"))
        again = await service.chat(ask("Hello", "Hi", "And?", "So", "Then?"))
    assert (back.model, again.model) == (ONE, ONE)


async def test_stickiness_ends_with_its_time(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], sticky="20ms")
    async with made.service(max_retries=0) as service:
        server.reply(status=503, model="one")
        assert (await service.chat(ask("Hello"))).model == TWO
        await asyncio.sleep(0.05)
        assert (await service.chat(ask("Hello"))).model == ONE


async def test_what_is_bound_no_more_is_not_stuck_to(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], sticky="10m")
    async with made.service(max_retries=0) as service:
        server.reply(status=503, model="one")
        assert (await service.chat(ask("Hello"))).model == TWO
        made.policy([ONE, THREE], sticky="10m")
        assert (await service.chat(ask("Hello"))).model == ONE


async def test_places_are_few_and_end_in_time() -> None:
    now = [0.0]
    places = Here(most=3, clock=lambda: now[0])
    for number in range(5):
        places.keep(str(number), f"m{number}", 10.0)
    assert [await places.get(str(it), {}, 0.0) for it in range(5)] == [None, None, "m2", "m3", "m4"]
    places.keep("2", "new", 20.0)
    now[0] = 10.0
    assert [await places.get(it, {}, 0.0) for it in ("2", "3")] == ["new", None]


def test_what_tells_a_conversation() -> None:
    picture = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    began = ask("Hi", "Yes?", "More")
    assert conversation_of(began) == conversation_of(ask("Hi"))
    assert conversation_of(ask("Hi")) != conversation_of(ask("Ho"))
    assert conversation_of(ask("Hi", metadata={"conversation": 3})) == "named:3"
    shown = began.model_copy(update={"messages": [began.messages[0].model_copy(update={"content": picture})]})
    assert conversation_of(shown) != conversation_of(began)
    assert "Hi" not in conversation_of(began)
    counts = Counter(conversation_of(ask("a", "b")) for _ in range(3))
    assert len(counts) == 1


@pytest.mark.parametrize(
    "value",
    [b"\xff", {"a": b"\xff"}, "\ud800", {"\ud800": "\ud800"}, 10**5000, float("nan"), [[[]]], {1}, Path("/x"), 2**70],
    ids=lambda it: type(it).__name__,
)
async def test_whatever_the_metadata_hold_chooses_a_side(made: Practice, server: PracticeServer, value: Any) -> None:
    made.policy([ONE, TWO], split={"weights": [1, 1], "by": "user"}, sticky="10m")
    metadata = {"user": value, "conversation": value}
    async with made.service() as service:
        first, second = [await service.chat(ask(metadata=metadata)) for _ in range(2)]
    assert first.model == second.model


def test_a_conversation_may_hold_what_is_no_text() -> None:
    broken = [{"type": "text", "text": "\ud800"}]
    assert conversation_of(LLMRequest(model="x", messages=[Message(role="user", content=broken)])).startswith("began:")


@ways
@pytest.mark.parametrize("where", ["binding", "request"])
async def test_the_deadline_of_a_binding(made: Practice, server: PracticeServer, way: str, where: str) -> None:
    made.policy([ONE], deadline=0.1 if where == "binding" else 30)
    server.reply("late", delay=5.0)
    request = ask(deadline=0.1) if where == "request" else ask()
    async with made.service() as service:
        with pytest.raises(ProviderTimeoutError, match=r"The deadline of 0.1 s passed"):
            await answer(service, request, way=way)


@pytest.mark.parametrize("content", ["filtered", "empty"])
@ways
async def test_an_answer_that_is_left_for_the_next_models(
    made: Practice, server: PracticeServer, way: str, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    made.policy([ONE, TWO], move_on=["content_filter", "empty"])
    server.reply("", finish_reason="content_filter" if content == "filtered" else "stop", model="one", times=3)
    async with made.service() as service:
        response = await answer(service, way=way)
    assert (response.model, response.content) == (TWO, "You said: Hi")
    (attempt,) = response.attempts
    assert "was left for the next model's" in str(attempt)
    assert attempt.partial is not None
    assert [it.model for it in response.served] == [ONE, TWO]
    assert response.usage is not None
    assert response.usage["prompt_tokens"] == sum(it.usage["prompt_tokens"] for it in response.served if it.usage)
    (record,) = [it for it in caplog.records if it.name == "llmring"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"chatbot: moving on from {ONE} to {TWO}: The answer of {ONE} was left")


@ways
async def test_the_last_one_s_answer_is_handed_over_as_it_is(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO], move_on=["content_filter", "empty"])
    server.reply("", finish_reason="content_filter", times=3)
    async with made.service() as service:
        response = await answer(service, way=way)
    assert (response.model, response.finish_reason, response.content) == (TWO, "content_filter", "")
    assert len(response.attempts) == 1


@ways
async def test_without_the_key_nothing_moves_on(made: Practice, server: PracticeServer, way: str) -> None:
    made.policy([ONE, TWO], sticky=5)
    server.reply("", finish_reason="content_filter", model="one")
    async with made.service() as service:
        response = await answer(service, way=way)
    assert (response.model, response.finish_reason, response.attempts) == (ONE, "content_filter", [])


async def test_what_a_reader_has_seen_is_not_taken_back(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], move_on=["content_filter"])
    server.reply("Some text", finish_reason="content_filter", model="one", times=2)
    async with made.service() as service:
        seen = await answer(service, way="chunks")
        gathered = await answer(service, way="gathered")
    assert (seen.model, seen.content, seen.finish_reason) == (ONE, "Some text", "content_filter")
    assert (gathered.model, gathered.content) == (TWO, "You said: Hi")


@ways
async def test_too_long_an_input_moves_on_where_the_policy_says_so(
    made: Practice, server: PracticeServer, way: str
) -> None:
    async with made.service() as service:
        made.policy([ONE, TWO], move_on=["context_length"])
        server.reply(problem="too_long", model="one")
        assert (await answer(service, way=way)).model == TWO
        made.policy([ONE, TWO], move_on=["empty"])
        server.reply(problem="too_long", model="one")
        with pytest.raises(ContextLengthError):
            await answer(service, way=way)


@ways
async def test_a_refusal_by_a_filter_moves_on_where_the_policy_says_so(
    made: Practice, server: PracticeServer, way: str
) -> None:
    words = "Output blocked by content filtering policy"
    async with made.service() as service:
        made.policy([TWO, ONE], move_on=["content_filter"])
        server.reply(status=400, error=words, model="two")
        response = await answer(service, way=way)
        assert (response.model, len(response.attempts)) == (ONE, 1)
        made.policy([TWO, ONE], move_on=["empty"])
        server.reply(status=400, error=words, model="two")
        with pytest.raises(ProviderResponseError, match="The filter of anthropic:two refused what was said"):
            await answer(service, way=way)


def refusing(*names: str) -> Any:
    """A model that takes none of these parameters."""

    def decide(request: RecordedRequest) -> Reply:
        for name in names:
            if name in request.body:
                return Reply(status=400, error=f"Unsupported parameter: '{name}' is not supported with this model.")
        return Reply("Fine")

    return decide


@ways
async def test_a_refused_parameter_is_dropped_and_remembered(
    made: Practice, server: PracticeServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    made.policy([ONE, TWO], on_refused_param="drop", params={"temperature": 0.3, "seed": 5})
    server.script(refusing("temperature", "seed"))
    caplog.set_level(logging.INFO, "llmring")
    async with made.service() as service:
        response = await answer(service, ask(top_p=0.5), way=way)
        assert (response.model, response.content, response.retries, response.attempts) == (ONE, "Fine", 2, [])
        sent = [sorted({"temperature", "top_p", "seed"} & it.body.keys()) for it in server.requests]
        assert sent == [["seed", "temperature", "top_p"], ["seed", "top_p"], ["top_p"]]
        again = await answer(service, ask(top_p=0.5), way=way)
        assert (again.retries, len(server.requests)) == (0, 4)
        # Another value may be taken, until that is refused as well.
        for temperature, requests in ((0.5, 2), (0.7, 1)):
            before = len(server.requests)
            await answer(service, ask(temperature=temperature), way=way)
            assert len(server.requests) == before + requests
    said = [it.getMessage() for it in caplog.records if "is asked again without it" in it.getMessage()]
    assert said[0].startswith(f'chatbot: {ONE} refused the parameter "temperature", and is asked again without it: ')


async def test_what_makes_another_request_is_not_dropped(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], on_refused_param="drop")
    server.script(refusing("tools", "max_completion_tokens", "max_tokens"))
    async with made.service() as service:
        with pytest.raises(ProviderResponseError) as caught:
            await service.chat(ask(max_tokens=5))
    assert caught.value.parameter == "max_tokens"
    assert len(server.requests) == 1


async def test_an_own_parameter_of_the_vendor_may_be_dropped(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], on_refused_param="drop")
    server.script(refusing("top_k"))
    async with made.service() as service:
        response = await service.chat(ask(extra_params={"top_k": 3, "min_p": 0.1}))
    assert response.retries == 1
    assert [sorted({"top_k", "min_p"} & it.body.keys()) for it in server.requests] == [["min_p", "top_k"], ["min_p"]]


async def test_a_model_that_refuses_on_and_on_is_not_asked_on_and_on(made: Practice, server: PracticeServer) -> None:
    made.policy([ONE, TWO], on_refused_param="drop")
    server.script(lambda request: Reply(status=400, error="Unsupported parameter: 'temperature'."))
    async with made.service() as service:
        with pytest.raises(ProviderResponseError):
            await service.chat(ask(temperature=1.0))
    assert len(server.requests) == 2
