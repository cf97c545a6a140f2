"""What a provider declares to lack: whether that is true."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ...exceptions import LLMRingError
from ...schemas import LLMResponse
from ..exchange import Reply, Tokens, ToolCallScript
from ..faults import Fault
from . import contract
from .calls import LOOK
from .cases import case, pytest
from .stage import Stage
from .subject import ABILITIES

__all__ = ["LackTests"]

_Probe = Callable[[Stage], Awaitable[bool]]


async def _answer(stage: Stage, reply: Reply, **asked: Any) -> LLMResponse | None:
    """What a stream comes to, `None` if it is an error."""
    stage.says(reply)
    try:
        return await stage.service().chat_stream(stage.ask(**asked)).final_response()
    except LLMRingError:
        return None


def _counts(response: LLMResponse) -> dict[str, Any]:
    return {**(response.usage or {})}


async def _tools(stage: Stage) -> bool:
    response = await _answer(stage, Reply(tool_calls=[ToolCallScript("look", {"at": "Porto"})]), tools=[LOOK])
    return bool(response and response.tool_calls)


async def _parallel_tools(stage: Stage) -> bool:
    calls = [ToolCallScript("look", {"at": place}) for place in ("Porto", "Faro")]
    response = await _answer(stage, Reply(tool_calls=calls), tools=[LOOK])
    return response is not None and len(response.tool_calls or ()) == 2


async def _call_events(stage: Stage) -> bool:
    """Whether every lost event costs the answer: of a call that is written into the text, what is left may be text."""
    call = ToolCallScript("look", ['{"at":', ' "Po', 'rto"}'])
    for at in range(1, 6):
        stage.says(Reply(tool_calls=[call], fault=Fault.lost_event(at)))
        taken = await stage.stream(stage.ask(tools=[LOOK]))
        if taken.error is None and not taken.response.tool_calls:
            return False
    return True


async def _call_ids(stage: Stage) -> bool:
    call = ToolCallScript("look", {"at": "Porto"}, id="call12345")
    response = await _answer(stage, Reply(tool_calls=[call]), tools=[LOOK])
    return response is not None and any(call["id"] == "call12345" for call in response.tool_calls or ())


async def _thinking(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", reasoning="Well."))
    return response is not None and response.reasoning is not None


async def _structured_output(stage: Stage) -> bool:
    schema = {"type": "object", "properties": {"conformance_word": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    response = await _answer(stage, Reply('{"conformance_word": "yes"}'), response_format=form)
    sent = stage.server.requests and b"conformance_word" in stage.server.requests[-1].raw
    return bool(response is not None and response.parsed and sent)


async def _usage(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", usage=Tokens(12, 34)))
    return response is not None and response.usage is not None


async def _cached_usage(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", usage=Tokens(1200, 34, cache_read=1000)))
    return response is not None and _counts(response).get("cache_read_tokens") == 1000


async def _reasoning_usage(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", reasoning="Well.", usage=Tokens(12, 34, reasoning=30)))
    return response is not None and _counts(response).get("reasoning_tokens") == 30


async def _response_model(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", response_model="model-1-of-today"))
    return response is not None and response.response_model == "model-1-of-today"


async def _finish_reason(stage: Stage) -> bool:
    ends = [await _answer(stage, Reply("Hello", finish_reason=reason)) for reason in ("length", "unheard_of")]
    return any(it is not None and it.finish_reason != "stop" for it in ends)


async def _length(stage: Stage) -> bool:
    response = await _answer(stage, Reply("Hello", finish_reason="length"))
    return response is not None and response.finish_reason == "length"


async def _content_filter(stage: Stage) -> bool:
    response = await _answer(stage, Reply(chunks=[], finish_reason="content_filter"))
    return response is not None and response.finish_reason == "content_filter"


async def _error_events(stage: Stage) -> bool:
    stage.says(Reply(chunks=["One", " two"], fault=Fault.error_event(1, 500, "The engine has failed")))
    taken = await stage.stream(stage.ask())
    return taken.error is not None and "The engine has failed" in str(taken.error)


async def _end_marker(stage: Stage) -> bool:
    return await _answer(stage, Reply("Hello", fault=Fault.end_early())) is None


async def _bare_end(stage: Stage) -> bool:
    return await _answer(stage, Reply("Hello", fault=Fault.no_finish_reason())) is not None


async def _key(stage: Stage) -> bool:
    stage.says("Hello")
    await stage.good(stage.ask())
    return stage.key.encode() in repr(stage.server.requests[-1].headers).encode()


PROBES: Mapping[str, _Probe] = {
    "tools": _tools,
    "parallel_tools": _parallel_tools,
    "call_events": _call_events,
    "call_ids": _call_ids,
    "thinking": _thinking,
    "structured_output": _structured_output,
    "usage": _usage,
    "cached_usage": _cached_usage,
    "reasoning_usage": _reasoning_usage,
    "response_model": _response_model,
    "finish_reason": _finish_reason,
    "length": _length,
    "content_filter": _content_filter,
    "error_events": _error_events,
    "end_marker": _end_marker,
    "bare_end": _bare_end,
    "key": _key,
}


class LackTests:
    """Whether what is declared to be lacking is."""

    @case(contract.LACKS)
    async def test_what_is_said_to_be_lacking_is(self, stage: Stage) -> None:
        if not stage.subject.lacking:
            pytest.skip("lacks nothing")
        for ability, reason in stage.subject.to_prove.items():
            stage.check(
                not await PROBES[ability](stage),
                f"{ability!r} ({ABILITIES[ability]}) is declared to be lacking ({reason}), and the provider has it. "
                f"Take it out of `lacks`",
            )
            await stage.close()
