"""Roads on: a turn that goes to another provider and comes back, failover, and asking again."""

from __future__ import annotations

import asyncio

from ...exceptions import ProviderAuthenticationError, ProviderConnectionError, ProviderError
from ...schemas import LLMRequest, Message
from ..exchange import Reply, ToolCallScript
from ..faults import Fault
from . import contract
from .calls import LOOK, second_turn
from .cases import case, pytest
from .stage import Stage

__all__ = ["RoadTests"]

_SECRET_THOUGHT = "Nobody else is to know that it rains"  # noqa: S105 - no password
_PASSING = {
    "a refused connection": None,
    "hanging up": Reply(fault=Fault.hang_up()),
    "a cut before the first event": Reply("Hello", fault=Fault.cut_after(0)),
    "silence": Reply(fault=Fault.never_answer()),
    "429": Reply(status=429),
    "500": Reply(status=500),
    "503": Reply(status=503),
    "an unknown model": Reply(problem="unknown_model"),
}
_LASTING = {"400": 400, "401": 401, "403": 403, "422": 422}


class RoadTests:
    """What comes after an answer, and after none."""

    @case(contract.HAND_OVER)
    async def test_a_turn_goes_to_another_provider_and_comes_back(self, stage: Stage) -> None:
        service = stage.service()
        thinks = "thinking" not in stage.subject.lacking
        stage.says(Reply("It is sunny in Porto.", reasoning=_SECRET_THOUGHT if thinks else ""))
        stage.other.default = Reply("It rains in Faro.")
        messages = [Message(role="user", content="How is it in Porto?")]
        first = (await stage.good(stage.ask(messages=messages), service)).response
        messages += [first.to_message(), Message(role="user", content="And in Faro?")]
        stage.road = "the turn at the other provider"
        second = await service.chat(LLMRequest(model=stage.stand_by, messages=messages))
        sent = stage.other.requests[-1].raw.decode()
        stage.check("It is sunny in Porto." in sent, "the text of the turn was not handed over")
        stage.check(_SECRET_THOUGHT not in sent, "the other provider was sent the thinking of this one")
        messages += [second.to_message(), Message(role="user", content="And in Porto again?")]
        stage.says("Still sunny.")
        stage.road = "the turn that came back"
        third = await service.chat(stage.ask(messages=messages))
        stage.same("the text", third.content, "Still sunny.")
        texts = "\n".join(stage.asked().texts)
        for text in ("It is sunny in Porto.", "It rains in Faro."):
            stage.check(
                text in texts, f"{text!r} of the conversation is not in what the server was sent: {texts!r:.200}"
            )

    @case(contract.HAND_OVER, "tools")
    async def test_calls_of_another_provider_go_along(self, stage: Stage) -> None:
        service = stage.service()
        stage.other.default = Reply(tool_calls=[ToolCallScript("look", {"at": "Faro"}, id="call_of:another/1")])
        asked = LLMRequest(model=stage.stand_by, messages=[Message(role="user", content="Look!")], tools=[LOOK])
        first = await service.chat(asked)
        messages = second_turn(first.to_message(), first.tool_calls or [], ["It rains."])
        stage.says("Take an umbrella.")
        for response in await stage.both(stage.ask(messages=messages, tools=[LOOK]), service):
            stage.same("the text", response.content, "Take an umbrella.")
        seen = stage.asked()
        stage.same("the calls that the server was told of", [call.name for call in seen.calls], ["look"])
        stage.check(
            len(seen.results) == 1 and "It rains." in seen.results[0].text,
            f"the result of the call was not handed over: {seen.results}",
        )
        if "call_ids" not in stage.subject.lacking:
            stage.same("the result's id", seen.results[0].id, seen.calls[0].id, "it must be that of the call")

    @case(contract.HAND_OVER, "tools")
    async def test_calls_go_to_another_provider_and_come_back(self, stage: Stage) -> None:
        service = stage.service()
        thinks = "thinking" not in stage.subject.lacking
        named = "call_ids" not in stage.subject.lacking
        call = ToolCallScript("look", {"at": "Porto"}, id="call12345" if named else None)
        stage.says(Reply(reasoning=_SECRET_THOUGHT if thinks else "", tool_calls=[call]))
        messages = [Message(role="user", content="How is it there?")]
        first = (await stage.good(stage.ask(messages=messages, tools=[LOOK]), service)).response
        messages = second_turn(first.to_message(), first.tool_calls or [], ["It is sunny."])
        stage.other.default = Reply("So it is sunny.")
        stage.road = "the turn at the other provider"
        second = await service.chat(LLMRequest(model=stage.stand_by, messages=messages, tools=[LOOK]))
        stage.check(stage.other.requests[-1].refused is None, f"it was refused: {stage.other.requests[-1].refused}")
        sent = stage.other.requests[-1].raw.decode()
        stage.check(_SECRET_THOUGHT not in sent, "the other provider was sent the thinking of this one")
        messages += [second.to_message(), Message(role="user", content="Thanks. And now?")]
        stage.says("Now it rains.")
        stage.road = "the turn that came back"
        third = await service.chat(stage.ask(messages=messages, tools=[LOOK]))
        stage.same("the text", third.content, "Now it rains.")
        if named:
            stage.same("the ids of the calls that went back", [it.id for it in stage.asked().calls], ["call12345"])

    @case(contract.FAILOVER)
    @pytest.mark.parametrize("what", _PASSING, ids=lambda what: what.replace(" ", "-"))
    async def test_what_may_pass_moves_on_to_the_stand_by(self, stage: Stage, what: str) -> None:
        reply = _PASSING[what]
        if reply is not None:
            stage.says(reply)
        stage.other.default = Reply("I stand by.")
        url = stage.server.refused_url() if reply is None else None
        timeout = stage.subject.timeout if what == "silence" else stage.subject.patience
        service = stage.service(url=url, timeout=timeout)
        for ask in stage.roads(service, stage.ask(model="conformance")):
            try:
                response = await ask()
            except ProviderError as error:
                stage.wrong(f"{what} did not move on to the stand-by: {type(error).__name__}: {error}")
            stage.same("the model that served", response.model, stage.stand_by)
            stage.same("the text", response.content, "I stand by.")
            stage.same("the number of attempts before", len(response.attempts), 1)

    @case(contract.FAILOVER)
    async def test_what_lasts_is_the_caller_s_to_see(self, stage: Stage) -> None:
        service = stage.service()
        for status in _LASTING.values():
            stage.says(Reply(status=status))
            try:
                response = await service.chat(stage.ask(model="conformance"))
            except ProviderError as error:
                stage.same("the error's status_code", error.status_code, status)
                if status in (401, 403):
                    stage.same("the error's class", type(error), ProviderAuthenticationError)
            else:
                stage.wrong(f"{status} moved on to {response.model}")

    @case(contract.FAILOVER)
    async def test_after_the_first_chunk_nothing_moves_on(self, stage: Stage) -> None:
        stage.says(Reply(chunks=["One", " two", " three"], fault=Fault.cut_after(2)))
        said, error = "", None
        try:
            async for chunk in stage.service().chat_stream(stage.ask(model="conformance")):
                said += chunk.delta
        except ProviderError as raised:
            error = raised
        stage.check(isinstance(error, ProviderConnectionError), f"the stream was cut, and {error!r} came of it")
        stage.same("the text before the cut", said, "One two")
        stage.check(not stage.other.requests, "the stand-by was asked after the first chunk")

    @case(contract.LOOPS)
    async def test_each_event_loop_has_a_provider_of_its_own(self, stage: Stage) -> None:
        stage.says("Hello")
        service = stage.service()
        request = stage.ask()
        stage.same("the text", (await service.chat(request)).content, "Hello")
        for _ in range(2):
            other = await asyncio.to_thread(lambda: asyncio.run(service.chat(request)))
            stage.same("the text in another event loop", other.content, "Hello", "keep nothing of a loop in the class")
        stage.same("the text in the first event loop again", (await service.chat(request)).content, "Hello")

    @case(contract.RETRIES)
    async def test_the_last_model_is_asked_again(self, stage: Stage) -> None:
        service = stage.service(max_retries=2)
        for ask in stage.roads(service, stage.ask()):
            stage.says("Hello")
            stage.server.reply(status=503, headers={"retry-after": "0.02"}, times=2)
            response = await ask()
            stage.same("the text", response.content, "Hello")
            stage.same("retries", response.retries, 2, "the errors of `send` must say their status")
            stage.same("the number of requests", len(stage.server.requests), 3, "a client must not ask again by itself")
