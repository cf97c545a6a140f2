"""Whatever happens to a request, it begins once, ends once, and each candidate that was tried is seen."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from llmring import LLMResponse, LLMRing
from llmring.events import Event, Failed, Finished, Left
from llmring.exceptions import LLMRingError
from llmring.testing import Fault, Reply

from ..faults.ground import PROVIDERS, Ground, ask
from .law import by_request, holds

FAULTS: dict[str, dict[str, Any]] = {
    "good": {"text": "one two three"},
    "refused": {"status": 400},
    "broken": {"status": 503},
    "unknown": {"problem": "unknown_model"},
    "hung up": {"fault": Fault.hang_up()},
    "cut": {"chunks": ["one", " two", " three"], "fault": Fault.cut_after(2)},
    "cut before": {"chunks": ["one", " two"], "fault": Fault.cut_after(0)},
    "reset": {"chunks": ["one", " two"], "fault": Fault.reset_after(1)},
    "error": {"chunks": ["one", " two"], "fault": Fault.error_event(1)},
    "stall": {"chunks": ["one", " two"], "fault": Fault.stall_after(1)},
    "silence": {"fault": Fault.never_answer()},
    "slow": {"text": "one two three", "delay": 0.05},
    "empty": {"chunks": [""]},
    "filtered": {"text": "one", "finish_reason": "content_filter"},
}
Way = Literal["whole", "to the end", "break", "close", "cancel", "task", "service", "drop"]

replies = st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=3)
ways = st.sampled_from(["whole", "to the end", "break", "close", "cancel", "task", "service", "drop"])


async def go(service: LLMRing, way: Way, **fields: Any) -> LLMResponse | None:
    """Ask, and read in one of the ways in which a program may."""
    if way == "whole":
        return await service.chat(ask("chatbot", **fields))
    stream = service.chat_stream(ask("chatbot", **fields))
    if way == "to the end":
        return await stream.final_response()
    if way == "task":
        reader = asyncio.create_task(stream.final_response())
        asyncio.get_running_loop().call_later(0.01, reader.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await reader
        return None
    async for _ in stream:
        if way == "close":
            await stream.aclose()
        elif way == "cancel":
            stream.cancel()
        elif way == "service":
            await service.close()
        else:
            break
    if way == "drop":
        other = service.chat_stream(ask("chatbot"))  # which never begins
        del other
    return None


@settings(max_examples=60)
@given(
    script=replies,
    way=ways,
    resume=st.booleans(),
    retries=st.integers(0, 1),
    deadline=st.sampled_from([None, 0.05]),
    policy=st.sampled_from(["", "hedge_after = 0.01", 'move_on = ["empty", "content_filter"]', 'sticky = "10m"']),
)
def test_every_request_begins_and_ends_once(
    practice: Ground, script: list[str], way: Way, resume: bool, retries: int, deadline: float | None, policy: str
) -> None:
    server, wires = practice.server, sorted(PROVIDERS.values())
    server.clear()
    models = [f"{wires[n % len(wires)]}:m{n}" for n in range(len(script))]
    for n, name in enumerate(script):
        server.reply(Reply(**FAULTS[name]), model=f"m{n}", times=3)
    practice.bind({"chatbot": models})
    if len(models) > 1:
        written = practice.path.read_text()
        practice.path.write_text(written.replace("[providers.", f"{policy}\n[providers.", 1))
    at_once: list[Event] = []
    awaited: list[Event] = []

    async def listen(event: Event) -> None:
        await asyncio.sleep(0)
        awaited.append(event)

    async def main() -> BaseException | LLMResponse | None:
        options = {"timeout": 0.2, "max_retries": retries, "deadline": deadline, "on_event": [at_once.append, listen]}
        async with practice.service(**options) as service:
            try:
                return await go(service, way, on_interrupt="resume" if resume else "error")
            except LLMRingError as error:
                return error

    came = asyncio.run(main())
    assert awaited == at_once
    (events,) = by_request(at_once)
    holds(events)
    last = events[-1]
    if isinstance(came, LLMResponse):
        assert isinstance(last, Finished)
        assert (last.response.content, last.response.usage) == (came.content, came.usage)
        # One that was moved on from may have been paid for, too.
        assert last.served[len(last.served) - len(came.served) :] == came.served
    elif isinstance(came, BaseException):
        assert isinstance(last, Failed)
        assert last.error is came
    elif way not in ("task", "service"):
        assert isinstance(last, Left | Failed | Finished)
