"""Answers: text, usage, finish reasons, thinking, a given form; and what of the request reaches the server."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ... import parts
from ...exceptions import ModelCapabilityError, ProviderResponseError, ProviderTimeoutError
from ...schemas import Message
from ..exchange import RecordedRequest, Reply, Tokens
from ..faults import Fault
from . import contract
from .cases import case, pytest
from .stage import HEADER, Stage

__all__ = ["AnswerTests"]

PIECES = ["One", " two", " thrée", " 四 🦊", "\n\nfive", ' \\six" ']
TEXT = "".join(PIECES)
THOUGHTS = ["First", " this", ", then thät."]
THOUGHT = "".join(THOUGHTS)
_FORM: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "weather",
        "schema": {
            "type": "object",
            "properties": {"raining": {"type": "boolean"}},
            "required": ["raining"],
            "additionalProperties": False,
        },
    },
}
_PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
_PARAMETERS: Mapping[str, Any] = {
    "temperature": (0.0625, b"0.0625"),
    "max_tokens": (3217, b"3217"),
    "top_p": (0.375, b"0.375"),
    "stop": (["HALT!"], b"HALT!"),
    "seed": (420042, b"420042"),
    "extra_params": ({"conformance_extra": {"nested": 4711}}, b"conformance_extra", b"4711"),
}
"""A value of each, and what must be in the body for it."""
_ODD_NAME = "maker/model-1:free@2026+x"
"""What models are called, too."""
_MANY = 40
_DELAY, _TICK = 0.5, 0.01
"""Seconds that an answer takes, and between two looks at whether the event loop runs."""


class AnswerTests:
    """What a good answer comes to."""

    @case(contract.ARRIVES)
    async def test_text_arrives_piece_by_piece(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.stall_after(1)))
        stream = stage.service().chat_stream(stage.ask(timeout=stage.subject.timeout * 4))
        try:
            first = await anext(stream)
        except (ProviderTimeoutError, StopAsyncIteration):
            stage.wrong(
                "the server had sent the first piece of text, and no chunk came of it: something gathers the answer "
                "before it is handed over. Let `send` give the response with its body unread, and `feed` a chunk of "
                "each event"
            )
        stage.same("the first chunk's delta", first.delta, PIECES[0])
        await stream.aclose()

    @case(contract.TEXT)
    async def test_text_is_whole(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES))
        for response in await stage.responses(stage.ask()):
            stage.same("the text", response.content, TEXT)
            stage.same("reasoning", response.reasoning, None)
            stage.same("tool_calls", response.tool_calls, None)

    @case(contract.TEXT)
    async def test_an_answer_without_text_is_a_good_one(self, stage: Stage) -> None:
        stage.says(Reply(chunks=[]))
        for response in await stage.responses(stage.ask()):
            stage.same("the text", response.content, "")
            stage.same("finish_reason", response.finish_reason, "stop")

    @case(contract.FINAL)
    async def test_there_is_one_final_chunk_the_last(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, usage=Tokens(7, 5)))
        taken = await stage.good(stage.ask())
        stage.check(len(taken.chunks) > len(PIECES) // 2, "all of the text came in one chunk")

    @case(contract.SO_FAR)
    async def test_what_came_so_far_is_at_hand(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES))
        stream = stage.service().chat_stream(stage.ask())
        said = ""
        async for chunk in stream:
            said += chunk.delta
            stage.same("stream.response.content", stream.response.content, said)
        response = await stream.final_response()
        stage.same("the text of final_response()", response.content, TEXT)

    @case(contract.MODEL)
    async def test_every_chunk_names_the_model(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES))
        for response in await stage.responses(stage.ask()):
            stage.same("the response's model", response.model, stage.model)

    @case(contract.RESPONSE_MODEL, "response_model")
    async def test_the_model_that_answered_is_named(self, stage: Stage) -> None:
        stage.says(Reply("Hello", response_model="model-1-of-today"))
        hint = "set decoder.response_model"
        for response in await stage.responses(stage.ask()):
            stage.same("response_model", response.response_model, "model-1-of-today", hint)

    @case(contract.FINISH)
    async def test_an_end_of_its_own_is_a_stop(self, stage: Stage) -> None:
        await _ends(stage, "stop", "stop")

    @case(contract.FINISH, "length")
    async def test_an_end_at_the_limit_is_told(self, stage: Stage) -> None:
        await _ends(stage, "length", "length")

    @case(contract.FINISH, "finish_reason")
    async def test_an_end_for_a_reason_that_nobody_knows_is_another(self, stage: Stage) -> None:
        await _ends(stage, "unheard_of", "other")

    @case(contract.FINISH, "bare_end")
    async def test_an_end_without_a_reason_is_a_stop(self, stage: Stage) -> None:
        stage.says(Reply("Hello", fault=Fault.no_finish_reason()))
        for response in await stage.responses(stage.ask()):
            stage.same("finish_reason", response.finish_reason, "stop", "the end marker came, and named no reason")

    @case(contract.FINISH, "content_filter")
    async def test_an_answer_that_was_withheld_says_so(self, stage: Stage) -> None:
        stage.says(Reply(chunks=[], finish_reason="content_filter"))
        for response in await stage.responses(stage.ask()):
            stage.same("finish_reason", response.finish_reason, "content_filter", "set decoder.finish_reason")

    @case(contract.USAGE, "usage")
    async def test_usage_is_counted(self, stage: Stage) -> None:
        stage.says(Reply("Hello", usage=Tokens(1200, 34)))
        taken = await stage.good(stage.ask())
        stage.check(
            taken.final.usage is not None,
            "the final chunk named no usage, though the server sent it: set decoder.usage, and ask for it where the "
            "wire has to be asked",
        )
        whole = await stage.whole(stage.ask())
        stage.check(
            whole.usage is not None, "the response named no usage, though the server sent it: set decoder.usage"
        )
        for usage in stage.in_turn((taken.final.usage, whole.usage)):
            table: dict[str, Any] = {**(usage or {})}
            counted = {name: table.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
            wanted = {"prompt_tokens": 1200, "completion_tokens": 34, "total_tokens": 1234}
            stage.same("usage", counted, wanted)

    @case(contract.USAGE, "cached_usage")
    async def test_cached_tokens_are_counted_within_the_prompt(self, stage: Stage) -> None:
        stage.says(Reply("Hello", usage=Tokens(1200, 34, cache_read=1000)))
        for response in await stage.responses(stage.ask()):
            usage: dict[str, Any] = {**(response.usage or {})}
            stage.same("usage['cache_read_tokens']", usage.get("cache_read_tokens"), 1000)
            stage.same(
                "usage['prompt_tokens']", usage.get("prompt_tokens"), 1200, "it counts all input, cached included"
            )

    @case(contract.USAGE, "reasoning_usage", "thinking")
    async def test_thinking_is_counted_within_the_output(self, stage: Stage) -> None:
        stage.says(Reply("Hello", reasoning=THOUGHTS, usage=Tokens(12, 34, reasoning=30)))
        for response in await stage.responses(stage.ask()):
            usage: dict[str, Any] = {**(response.usage or {})}
            stage.same("usage['reasoning_tokens']", usage.get("reasoning_tokens"), 30)
            stage.same("usage['completion_tokens']", usage.get("completion_tokens"), 34, "reasoning included")

    @case(contract.USAGE)
    async def test_no_usage_is_none(self, stage: Stage) -> None:
        stage.says(Reply("Hello", fault=Fault.no_usage()))
        for response in await stage.responses(stage.ask()):
            stage.same("usage", response.usage, None, "what was not reported is not zero")

    @case(contract.THINKING, "thinking")
    async def test_thinking_is_told_apart_from_the_text(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, reasoning=THOUGHTS))
        for response in await stage.responses(stage.ask()):
            stage.same("reasoning", response.reasoning, THOUGHT, "give `feed`'s chunk the thinking as `reasoning`")
            stage.same("the text", response.content, TEXT)

    @case(contract.PARSED, "structured_output")
    async def test_an_answer_of_the_form_is_parsed(self, stage: Stage) -> None:
        stage.says(Reply('{"raining": true}'))
        for response in await stage.responses(stage.ask(response_format=_FORM)):
            stage.same("parsed", response.parsed, {"raining": True})
        for number in stage.in_turn((0, 1)):
            stage.check(
                b"raining" in stage.server.requests[number].raw,
                "the form of the answer was not sent: put request.response_format into the body",
            )

    @case(contract.PARSED, "structured_output")
    async def test_an_answer_of_another_form_is_an_error(self, stage: Stage) -> None:
        stage.says(Reply('{"raining": "perhaps"}'))
        asked = stage.ask(response_format=_FORM)
        await stage.failures(ProviderResponseError, "the server answered in another form", request=asked)

    @case(contract.REQUEST)
    async def test_the_conversation_reaches_the_server(self, stage: Stage) -> None:
        stage.says("Hello")
        said = ["You are Alpha.", "Question Beta?", "Answer Gamma.", "Question Delta?"]
        roles = ("system", "user", "assistant", "user")
        messages = [Message.model_validate({"role": it, "content": text}) for it, text in zip(roles, said, strict=True)]
        await stage.both(stage.ask(messages=messages))
        for number in stage.in_turn((0, 1)):
            texts = "\n".join(stage.asked(number).texts)
            for text in said:
                stage.check(
                    text in texts, f"{text!r} of the conversation is not in what the server was sent: {texts!r:.200}"
                )
            places = [texts.index(text) for text in said[1:]]
            stage.check(places == sorted(places), "the turns of the conversation came in another order")

    @case(contract.REQUEST)
    async def test_an_instruction_in_the_midst_reaches_the_server(self, stage: Stage) -> None:
        stage.says("Hello")
        said = ["You are Alpha.", "Question Beta?", "Answer Gamma.", "Be Epsilon now.", "Question Delta?"]
        roles = ("system", "user", "assistant", "system", "user")
        messages = [Message.model_validate({"role": it, "content": text}) for it, text in zip(roles, said, strict=True)]
        for ask in stage.roads(stage.service(), stage.ask(messages=messages)):
            try:
                await ask()
            except ModelCapabilityError:
                stage.check(not stage.server.requests, "the conversation was refused, and yet a request was sent")
                continue
            texts = "\n".join(stage.asked().texts)
            for text in said:
                stage.check(
                    text in texts,
                    f"{text!r} of the conversation is not in what the server was sent: {texts!r:.200}. Where the wire "
                    "takes instructions at one place only, put all of them there",
                )

    @case(contract.REQUEST)
    async def test_the_model_and_the_road_reach_the_server(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.both(stage.ask())
        for number in stage.in_turn((0, 1)):
            asked = stage.asked(number)
            if asked.model is not None:
                stage.same("the model that was asked for", asked.model, stage.subject.model, "send call.model")
            stage.same("whether a stream was asked for", asked.stream, number == 0, "send call.stream")

    @case(contract.REQUEST)
    async def test_a_model_may_have_any_name(self, stage: Stage) -> None:
        stage.says("Hello")
        stage.server.lenient = True
        reference = f"{stage.subject.name}:{_ODD_NAME}"
        for ask in stage.roads(stage.service(), stage.ask(model=reference)):
            response = await ask()
            stage.same("the response's model", response.model, reference)
            asked = stage.asked().model
            hint = "send call.model as it is; in a path, `path` has it encoded already, and a script is to decode it"
            stage.check(
                asked is None or unquote(asked) == _ODD_NAME,
                f"the model that the server read is {asked!r}, and {_ODD_NAME!r} was asked for: {hint}",
            )

    @case(contract.REQUEST)
    @pytest.mark.parametrize("name", _PARAMETERS)
    async def test_a_parameter_is_sent_or_refused(self, stage: Stage, name: str) -> None:
        value, *signs = _PARAMETERS[name]
        stage.says("Hello")
        stage.server.lenient = True
        for ask in stage.roads(stage.service(), stage.ask(**{name: value})):
            try:
                with stage.listening(logging.INFO) as logs:
                    await ask()
            except ModelCapabilityError:
                stage.check(not stage.server.requests, f"`{name}` was refused, and yet a request was sent")
                continue
            raw = stage.server.requests[-1].raw
            said = any(f"left out {name}" in line for line in logs)  # as a dialect that refuses it has it
            stage.check(
                all(sign in raw for sign in signs) or said,
                f"the request's {name} is not in the body that was sent: render it; or, where the vendor has no such "
                "parameter, raise CannotCarry",
            )

    @case(contract.REQUEST)
    async def test_what_is_not_set_is_not_sent(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.both(stage.ask())
        for number in stage.in_turn((0, 1)):
            raw = stage.server.requests[number].raw
            for name in (b"temperature", b"top_p", b"topP", b"seed"):
                stage.check(name not in raw, f"{name.decode()} was sent, and the request has not set it")

    @case(contract.CARRIED)
    async def test_a_picture_is_carried_or_refused(self, stage: Stage) -> None:
        stage.says("Hello")
        question = Message(role="user", content=[parts.text("What is this?"), parts.image(_PIXEL)])
        for ask in stage.roads(stage.service(), stage.ask(messages=[question])):
            try:
                await ask()
            except ModelCapabilityError:
                stage.check(not stage.server.requests, "a picture was refused, and yet a request was sent")
                continue
            stage.check(
                b64encode(_PIXEL) in stage.server.requests[-1].raw,
                "the request had a picture, and it is not in the body that was sent: render it, or raise CannotCarry",
            )

    @case(contract.KEY)
    async def test_the_key_and_the_headers_reach_the_server(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.both(stage.ask())
        for number in stage.in_turn((0, 1)):
            if "key" not in stage.subject.lacking:
                wanted = stage.asked(number).key == stage.key
                stage.check(wanted, "the server was sent another key, or none: send `reveal(config.key)`")
            sent = stage.server.requests[number].headers.get(HEADER)
            stage.check(sent == stage.header, "a header of the config was not sent: send `config.sent_headers`")

    @case(contract.SAME)
    async def test_chat_gives_the_response_of_the_stream(self, stage: Stage) -> None:
        reasoning = THOUGHTS if "thinking" not in stage.subject.lacking else ""
        stage.says(Reply(chunks=PIECES, reasoning=reasoning, usage=Tokens(12, 9), finish_reason="length"))
        streamed, whole = await stage.both(stage.ask())
        for name in ("model", "content", "reasoning", "tool_calls", "finish_reason", "usage", "response_model"):
            one, other = getattr(streamed, name), getattr(whole, name)
            stage.check(one == other, f"`{name}` is {one!r:.200} of the stream, and {other!r:.200} of chat")

    @case(contract.MANY)
    async def test_many_are_served_at_once(self, stage: Stage) -> None:
        service = stage.service()
        stage.server.default = _echo(stage)
        questions = [f"Question number {number}." for number in range(_MANY)]
        asked = (service.chat_stream(stage.ask(text)).final_response() for text in questions)
        for text, response in zip(questions, await asyncio.gather(*asked), strict=True):
            stage.same(
                f"the answer to {text!r}", response.content, f"You said: {text}", "keep nothing of a request in self"
            )

    @case(contract.MANY)
    async def test_who_waits_holds_up_nobody(self, stage: Stage) -> None:
        stage.says(Reply("Hello", delay=_DELAY))
        ticks: list[None] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(_TICK)
                ticks.append(None)

        ticking = asyncio.create_task(tick())
        await stage.service().chat(stage.ask())
        ticking.cancel()
        stage.check(
            len(ticks) >= _DELAY / _TICK / 5,
            "the event loop stood still while an answer was awaited: use an asynchronous HTTP client in `send`",
        )


async def _ends(stage: Stage, reason: str, wanted: str) -> None:
    stage.says(Reply("Hello", finish_reason=reason))
    hint = "set decoder.finish_reason to the uniform word for the server's; what is not known is 'other'"
    if reason == "length":
        hint += '. A wire without a word for it lacks "length"'
    for response in await stage.responses(stage.ask()):
        stage.same("finish_reason", response.finish_reason, wanted, hint)


def _echo(stage: Stage) -> Any:
    def answer(request: RecordedRequest) -> Reply:
        return Reply(f"You said: {stage.subject.read(request).texts[-1]}")

    return answer
