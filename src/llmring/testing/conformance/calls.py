"""Tools: what is described, which calls come back, and a second turn with their results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...exceptions import ModelCapabilityError, ProviderResponseError
from ...schemas import LLMRequest, LLMResponse, Message, ToolCall
from ..exchange import Reply, ToolCallScript
from ..faults import Fault
from . import contract
from .cases import case, pytest
from .stage import Stage
from .wire import Asked

__all__ = ["LOOK", "CallTests", "second_turn"]

LOOK: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look at a place",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}
_CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "clock", "description": "The time", "parameters": {"type": "object", "properties": {}}},
}
_TOOLS = [LOOK, _CLOCK]
_TOLD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "survey",
        "description": "conformance-description",
        "parameters": {"type": "object", "properties": {"conformance_argument": {"type": "string"}}},
    },
}
_CHOICES: dict[str, Any] = {
    "none": "none",
    "required": "required",
    "a function": {"type": "function", "function": {"name": "look"}},
}
_HARD = {"at": 'Žilina "}{" \\ 🦊', "depth": [1, 2.5, None, {"x": True}]}
_RESULT = "sunny, 21 degrees"


def second_turn(first: Message, calls: Sequence[ToolCall], results: Sequence[str]) -> list[Message]:
    """A conversation whose calls have been made."""
    answers = [
        Message(role="tool", tool_call_id=call["id"], content=result)
        for call, result in zip(calls, results, strict=True)
    ]
    return [Message(role="user", content="How is it there?"), first, *answers]


class CallTests:
    """What tools come to."""

    @case(contract.TOOLS, "tools")
    async def test_tools_are_described(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.both(stage.ask(tools=_TOOLS))
        for number in stage.in_turn((0, 1)):
            names = sorted(stage.asked(number).tools)
            stage.same("the tools that the server was told of", names, ["clock", "look"], "render request.tools")

    @case(contract.TOOLS, "tools")
    async def test_a_tool_is_described_whole(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.both(stage.ask(tools=[_TOLD]))
        for number in stage.in_turn((0, 1)):
            raw = stage.server.requests[number].raw
            for what, sign in (("description", b"conformance-description"), ("parameters", b"conformance_argument")):
                stage.check(
                    sign in raw,
                    f"the {what} of a tool are not in the body that was sent: render them from "
                    f'tool["function"]["{what}"]',
                )

    @case(contract.TOOLS, "tools")
    @pytest.mark.parametrize("choice", _CHOICES, ids=lambda it: it.replace(" ", "-"))
    async def test_a_choice_of_tools_is_sent_or_refused(self, stage: Stage, choice: str) -> None:
        stage.says("Hello")
        service = stage.service()
        await stage.both(stage.ask(tools=_TOOLS), service)
        without = [request.raw for request in stage.server.requests]
        asks = stage.roads(service, stage.ask(tools=_TOOLS, tool_choice=_CHOICES[choice]))
        for ask, plain in zip(asks, without, strict=True):
            stage.server.clear()
            stage.server.default = Reply("Hello")
            try:
                await ask()
            except ModelCapabilityError:
                stage.check(not stage.server.requests, "`tool_choice` was refused, and yet a request was sent")
                continue
            stage.check(
                stage.server.requests[-1].raw != plain,
                f"the request's tool_choice is {_CHOICES[choice]!r}, and the body is the one without it: render it; "
                "or, where the vendor has no such choice, raise CannotCarry",
            )

    @case(contract.CALLS, "tools")
    async def test_a_call_is_read(self, stage: Stage) -> None:
        stage.says(Reply(tool_calls=[ToolCallScript("look", {"at": "Porto"})]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            _calls(stage, response, [("look", {"at": "Porto"})])

    @case(contract.CALLS, "tools")
    async def test_arguments_come_in_pieces(self, stage: Stage) -> None:
        written = json.dumps(_HARD)
        pieces = [written[at : at + 3] for at in range(0, len(written), 3)]
        stage.says(Reply(tool_calls=[ToolCallScript("look", pieces)]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            _calls(stage, response, [("look", _HARD)])

    @case(contract.CALLS, "tools")
    async def test_a_call_without_arguments_has_an_empty_table(self, stage: Stage) -> None:
        stage.says(Reply(tool_calls=[ToolCallScript("clock", {})]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            _calls(stage, response, [("clock", {})])

    @case(contract.CALLS, "parallel_tools")
    async def test_several_calls_in_one_turn(self, stage: Stage) -> None:
        places = ["Porto", "Faro", "Évora"]
        stage.says(Reply(tool_calls=[ToolCallScript("look", {"at": place}) for place in places]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            _calls(stage, response, [("look", {"at": place}) for place in places])
            ids = [call["id"] for call in response.tool_calls or ()]
            stage.check(len(set(ids)) == 3, f"the ids of the calls are not unique: {ids}")

    @case(contract.CALLS, "tools")
    async def test_text_before_a_call_is_kept(self, stage: Stage) -> None:
        stage.says(Reply("Let me look.", tool_calls=[ToolCallScript("look", {"at": "Porto"})]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            stage.same("the text", response.content.rstrip(), "Let me look.")
            _calls(stage, response, [("look", {"at": "Porto"})])

    @case(contract.FINISH, "tools")
    async def test_a_turn_that_calls_ends_in_tool_calls(self, stage: Stage) -> None:
        for reason in ("tool_calls", "stop"):
            stage.says(Reply(tool_calls=[ToolCallScript("clock", {})], finish_reason=reason))
            for response in await stage.responses(stage.ask(tools=_TOOLS)):
                stage.same("finish_reason", response.finish_reason, "tool_calls", f"the server named {reason!r}")

    @case(contract.LOST, "tools")
    async def test_arguments_that_are_no_json_are_an_error(self, stage: Stage) -> None:
        stage.says(Reply(tool_calls=[ToolCallScript("look", '{"at": "Por')]))
        did = "the arguments of a call broke off"
        hint = "do not mend them, and do not take {} for them"
        await stage.failures(ProviderResponseError, did, hint=hint, request=stage.ask(tools=_TOOLS))

    @case(contract.LOST, "call_events")
    async def test_a_lost_piece_of_arguments_is_an_error(self, stage: Stage) -> None:
        call = ToolCallScript("look", ['{"at":', ' "Po', 'rto"}'])
        for at in (1, 2, 3):
            stage.says(Reply(tool_calls=[call], fault=Fault.lost_event(at)))
            taken = await stage.stream(stage.ask(tools=_TOOLS))
            # Some wires say the arguments once more at their end.
            told = [call["function"]["arguments"].replace(" ", "") for call in taken.response.tool_calls or ()]
            stage.check(
                isinstance(taken.error, ProviderResponseError) or told == ['{"at":"Porto"}'],
                f"an event with a piece of a call's arguments could not be decoded, and {taken.error!r} came of it, "
                f"with the arguments {told}: call decoder.calls.lose() for each event that is left out",
            )

    @case(contract.CALL_IDS, "tools")
    async def test_every_call_has_an_id(self, stage: Stage) -> None:
        stage.says(Reply(tool_calls=[ToolCallScript("clock", {})]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            for call in response.tool_calls or ():
                stage.check(isinstance(call["id"], str) and call["id"], f"a call's id is {call['id']!r}")

    @case(contract.CALL_IDS, "call_ids")
    async def test_a_call_keeps_the_id_of_its_server(self, stage: Stage) -> None:
        stage.says(Reply(tool_calls=[ToolCallScript("look", {"at": "Porto"}, id="call12345")]))
        for response in await stage.responses(stage.ask(tools=_TOOLS)):
            ids = [call["id"] for call in response.tool_calls or ()]
            stage.same("the call's id", ids, ["call12345"], "give decoder.calls.start the id that came")

    @case(contract.CALL_IDS, "tools")
    async def test_the_results_go_back_under_the_ids_of_the_calls(self, stage: Stage) -> None:
        named = "call_ids" not in stage.subject.lacking
        scripts = [ToolCallScript("look", {"at": "Porto"}, id="call12345" if named else None)]
        if "parallel_tools" not in stage.subject.lacking:
            scripts.append(ToolCallScript("look", {"at": "Faro"}, id="call67890" if named else None))
        stage.says(Reply(tool_calls=scripts))
        service = stage.service()
        for response in stage.in_turn(await stage.both(stage.ask(tools=_TOOLS), service)):
            calls = response.tool_calls or []
            stage.same("the number of calls", len(calls), len(scripts))
            results = [f"{_RESULT} ({number})" for number in range(len(calls))]
            stage.says("It is sunny.")
            messages = second_turn(response.to_message(), calls, results)
            await service.chat(LLMRequest(model=stage.model, messages=messages, tools=_TOOLS))
            asked = stage.asked()
            stage.same(
                "the calls that the server was told of", len(asked.calls), len(scripts), "render message.tool_calls"
            )
            told = [(call.name, call.arguments) for call in asked.calls]
            stage.same("the calls that the server was told of", told, [("look", call.value) for call in scripts])
            stage.same("the number of results that the server was sent", len(asked.results), len(scripts))
            for result, wanted in zip(asked.results, results, strict=True):
                stage.check(wanted in result.text, f"a result that was sent is {result.text!r}, not {wanted!r}")
            _paired(stage, asked, results)
            if named:
                wanted_ids = [call.id for call in scripts]
                stage.same("the ids of the calls that went back", [call.id for call in asked.calls], wanted_ids)
                stage.same("the ids of the results", [result.id for result in asked.results], wanted_ids)

    @case(contract.TURNS, "tools", "thinking")
    async def test_a_turn_with_thinking_and_calls_goes_back_to_its_server(self, stage: Stage) -> None:
        call = ToolCallScript("look", {"at": "Porto"})
        stage.says(Reply(reasoning=["Let me", " look."], tool_calls=[call]))
        asked = stage.ask(tools=_TOOLS)
        service = stage.service()
        for response in stage.in_turn(await stage.both(asked, service)):
            stage.same("reasoning", response.reasoning, "Let me look.")
            messages = second_turn(response.to_message(), response.tool_calls or [], [_RESULT])
            stage.says("It is sunny.")
            answer = await service.chat(LLMRequest(model=stage.model, messages=messages, tools=_TOOLS))
            stage.same("the text", answer.content, "It is sunny.")
            told = [(call.name, call.arguments) for call in stage.asked().calls]
            stage.same("the calls that the server was told of", told, [("look", {"at": "Porto"})])


def _paired(stage: Stage, asked: Asked, results: Sequence[str]) -> None:
    """See that each call has its own result, wherever the wire ties the two together."""
    ties = [call.id for call in asked.calls]
    if None in ties or len(set(ties)) != len(ties) or any(result.id is None for result in asked.results):
        return
    told = {result.id: result.text for result in asked.results}
    for call, wanted in zip(asked.calls, results, strict=True):
        stage.check(
            wanted in told.get(call.id, ""),
            f"the result of the call {call.name}({call.arguments}) is {told.get(call.id)!r}, not {wanted!r}: tie each "
            "result to its call by message.tool_call_id",
        )


def _calls(stage: Stage, response: LLMResponse, wanted: list[tuple[str, Any]]) -> None:
    """Look at the calls of a response."""
    calls = response.tool_calls or []
    if not calls:
        stage.wrong(
            f"the server called {wanted[0][0]!r}, and the response has no tool_calls (its text is "
            f"{response.content!r}): start the call in decoder.calls"
        )
    stage.same(
        "the functions that are called", [call["function"]["name"] for call in calls], [name for name, _ in wanted]
    )
    for call, (name, arguments) in zip(calls, wanted, strict=True):
        written = call["function"]["arguments"]
        stage.check(call["type"] == "function", f"a call's type is {call['type']!r}, not 'function'")
        try:
            found = json.loads(written)
        except (TypeError, ValueError):
            stage.wrong(f"the arguments of {name!r} are {written!r}, which is no JSON")
        stage.same(
            f"what the arguments of {name!r} say", found, arguments, "a piece of them may be lost, or come twice"
        )
