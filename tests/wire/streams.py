"""Streams of every wire, in the shapes that vendors were seen to send, and what each must come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmring.schemas import StreamChunk
from llmring.wire.anthropic import MessagesDecoder
from llmring.wire.base import Decoder
from llmring.wire.errors import WireError
from llmring.wire.gemini import GenerateDecoder
from llmring.wire.ollama import OllamaDecoder
from llmring.wire.openai_chat import ChatDecoder
from llmring.wire.openai_responses import ResponsesDecoder

MODEL = "vendor:model-1"
DECODERS: dict[str, type[Decoder]] = {
    "openai-chat": ChatDecoder,
    "openai-responses": ResponsesDecoder,
    "anthropic": MessagesDecoder,
    "gemini": GenerateDecoder,
    "ollama": OllamaDecoder,
}
WIRES = tuple(DECODERS)
Calls = list[tuple[str, str]]


@dataclass
class Result:
    """What a stream came to."""

    chunks: list[StreamChunk]
    final: StreamChunk | None
    error: WireError | None
    decoder: Decoder

    @property
    def content(self) -> str:
        return "".join(chunk.delta for chunk in self.chunks)

    @property
    def reasoning(self) -> str:
        return "".join(chunk.reasoning or "" for chunk in self.chunks)

    @property
    def calls(self) -> Calls:
        calls = (self.final.tool_calls if self.final else None) or []
        return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]

    @property
    def ids(self) -> list[str]:
        return [call["id"] for call in (self.final.tool_calls if self.final else None) or []]

    @property
    def whole(self) -> dict[str, Any]:
        """All that the contract speaks of, to compare."""
        assert self.final is not None, self.error
        return {
            "content": self.content,
            "reasoning": self.reasoning,
            "calls": self.calls,
            "finish_reason": self.final.finish_reason,
            "usage": self.final.usage,
            "response_model": self.final.response_model,
            "skipped_events": self.final.skipped_events,
        }


def read(wire: str, pieces: Iterable[bytes]) -> Result:
    """Decode a stream as it is decoded on the way from a socket."""
    decoder = DECODERS[wire](MODEL)
    chunks: list[StreamChunk] = []
    for piece in pieces:
        chunks += decoder.read(piece)
        if decoder.ended or decoder.error:
            break
    else:
        chunks += decoder.end_of_bytes()
    final, error = None, decoder.error
    assert error is None or isinstance(error, WireError)
    if error is None and decoder.complete:
        try:
            final = decoder.close()
        except WireError as invalid:
            error = invalid
    return Result(chunks, final, error, decoder)


def answered(decoder: Decoder, body: bytes) -> StreamChunk:
    """What a whole answer comes to: the final chunk, with all that was said, if it is at its end, else what was."""
    chunks = decoder.answer(body)
    if decoder.error is not None:
        raise decoder.error
    final = decoder.close() if decoder.complete else StreamChunk(decoder.held, decoder.model)
    final.delta = "".join(chunk.delta for chunk in chunks) + final.delta
    if not decoder.unclosed:
        final.reasoning = "".join(chunk.reasoning or "" for chunk in (*chunks, final)) or None
    return final


def frame(wire: str, event: Any, newline: bytes = b"\n") -> bytes:
    """One event (JSON to be, or bytes as they are) as it travels."""
    data = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
    if wire == "ollama":
        return data + newline
    name = b""
    if wire in ("anthropic", "openai-responses") and isinstance(event, dict):
        name = b"event: " + str(event.get("type")).encode() + newline
    return name + b"data: " + data + newline + newline


def stream(wire: str, events: Sequence[Any], newline: bytes = b"\n") -> bytes:
    """Events as they travel."""
    return b"".join(frame(wire, event, newline) for event in events)


def decode(wire: str, *events: Any) -> Result:
    """What these events come to."""
    return read(wire, [stream(wire, events)])


@dataclass
class Example:
    """A good stream.

    Attributes:
        events: as JSON, or bytes.
        content, reasoning, calls, finish_reason, usage, response_model: what it must come to; `calls` are
            names and arguments.
        ids: the calls' ids, `None` where the wire names none.
        answer: the same answer as the wire gives it when it is not streamed.
    """

    wire: str
    name: str
    events: list[Any]
    content: str = ""
    reasoning: str = ""
    calls: Calls = field(default_factory=list)
    ids: list[str] | None = None
    finish_reason: str = "stop"
    usage: dict[str, int] | None = None
    response_model: str | None = "model-1-20260101"
    answer: Any = None

    @property
    def data(self) -> bytes:
        return stream(self.wire, self.events, b"\r\n" if self.wire == "gemini" else b"\n")

    @property
    def whole(self) -> dict[str, Any]:
        names = ("content", "reasoning", "calls", "finish_reason", "usage", "response_model")
        return {name: getattr(self, name) for name in names} | {"skipped_events": 0}

    def __repr__(self) -> str:
        return f"{self.wire}: {self.name}"


def usage(prompt: int, completion: int, **more: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **more,
    }


# Chat Completions


def chat(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A `chat.completion.chunk`."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "model-1-20260101"}
    return {**base, "choices": [choice], **more}


def chat_call(index: int | None, arguments: Any = None, name: str | None = None, id: str | None = None) -> Any:
    """A chunk with one fragment of a call; what is `None` is left out."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    call = {k: v for k, v in (("index", index), ("id", id)) if v is not None}
    return chat({"tool_calls": [{**call, "type": "function", "function": function}]})


def chat_answer(message: dict[str, Any], finish: str | None, usage: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "model-1-20260101",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        **({"usage": usage} if usage else {}),
        **more,
    }


CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
}
_DONE = b"[DONE]"
_CHAT = [
    Example(
        "openai-chat",
        "text, then usage after the finish reason",
        [
            chat({"role": "assistant", "content": "", "refusal": None}, usage=None),
            chat({"content": "Grüße"}, usage=None),
            chat({"content": ", 世界 👋"}, usage=None),
            chat({}, "stop", usage=None),
            {**chat(), "choices": [], "usage": CHAT_USAGE},
            _DONE,
        ],
        content="Grüße, 世界 👋",
        usage=usage(20, 9, cache_read_tokens=12, reasoning_tokens=4),
        answer=chat_answer({"content": "Grüße, 世界 👋", "refusal": None}, "stop", CHAT_USAGE),
    ),
    Example(
        "openai-chat",
        "a refusal in its own words",
        [
            chat({"role": "assistant", "content": None, "refusal": ""}),
            chat({"refusal": "I will "}),
            chat({"refusal": "not."}),
            chat({}, "stop"),
            b"[DONE]",
        ],
        content="I will not.",
        finish_reason="content_filter",
        answer=chat_answer({"content": None, "refusal": "I will not."}, "stop", None),
    ),
    Example(
        "openai-chat",
        "the whole message again at the end",
        [
            chat({"role": "assistant", "content": "Fo"}),
            chat({"content": "ur"}),
            {
                "model": "model-1-20260101",
                "choices": [{"index": 0, "message": {"content": "Four"}, "finish_reason": "stop"}],
            },
            b"[DONE]",
        ],
        content="Four",
        answer=chat_answer({"content": "Four"}, "stop", None),
    ),
    Example(
        "openai-chat",
        "the message so far beside every delta",
        [
            *(
                {
                    "model": "model-1-20260101",
                    "choices": [{"index": 0, "delta": {"content": new}, "message": {"content": all}}],
                }
                for new, all in (("Fo", "Fo"), ("ur", "Four"), ("", "Four"))
            ),
            {
                "model": "model-1-20260101",
                "choices": [{"index": 0, "delta": {}, "message": {"content": "Four"}, "finish_reason": "stop"}],
            },
            b"[DONE]",
        ],
        content="Four",
        answer=chat_answer({"content": "Four"}, "stop", None),
    ),
    Example(
        "openai-chat",
        "usage beside the finish reason, the last text too",
        [
            chat({"role": "assistant", "content": ""}),
            chat({"content": "1"}, p="abcdefghij"),
            chat({"content": ", 2"}, "length", usage={"prompt_tokens": 22, "total_tokens": 30, "completion_tokens": 8}),
            _DONE,
        ],
        content="1, 2",
        finish_reason="length",
        usage=usage(22, 8),
    ),
    Example(
        "openai-chat",
        "no finish reason, everything in every chunk",
        [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": c, "refusal": "", "tool_calls": None}}]}
            | {"id": "", "created": 0, "model": "model-1-20260101", "service_tier": ""}
            for c in ("4", "")
        ]
        + [{"choices": [], "model": "model-1-20260101", "usage": CHAT_USAGE}, _DONE],
        content="4",
        usage=usage(20, 9, cache_read_tokens=12, reasoning_tokens=4),
    ),
    Example(
        "openai-chat",
        "reasoning_content, then text; no usage",
        [
            chat({"role": "assistant", "content": None, "reasoning_content": ""}),
            chat({"content": None, "reasoning_content": "Let me "}),
            chat({"content": None, "reasoning_content": "think."}),
            chat({"content": "Done", "reasoning_content": None}),
            chat({"content": "", "reasoning_content": None}, "stop"),
            _DONE,
        ],
        content="Done",
        reasoning="Let me think.",
        answer=chat_answer({"content": "Done", "reasoning_content": "Let me think."}, "stop"),
    ),
    Example(
        "openai-chat",
        "reasoning, and finish reasons that come twice",
        [
            chat({"content": "", "reasoning": "Hm. "}, "length"),
            chat({"content": "", "reasoning": None, "reasoning_details": []}, "length"),
            chat({"content": "4"}),
            chat({"content": ""}, "stop"),
            chat({"content": ""}, "stop", usage=CHAT_USAGE | {"cost": 0.01}),
            _DONE,
        ],
        content="4",
        reasoning="Hm. ",
        usage=usage(20, 9, cache_read_tokens=12, reasoning_tokens=4),
        answer=chat_answer({"content": "4", "reasoning": "Hm. "}, "stop", CHAT_USAGE),
    ),
    Example(
        "openai-chat",
        "content as a list of parts",
        [
            chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Well"}]}]}),
            chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": ", four"}]}]}),
            chat({"content": [{"type": "text", "text": "It is "}]}),
            chat({"content": "4"}),
            chat({"content": ""}, "stop"),
            _DONE,
        ],
        content="It is 4",
        reasoning="Well, four",
        answer=chat_answer(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Well, four"}]},
                    {"type": "text", "text": "It is 4"},
                ]
            },
            "stop",
        ),
    ),
    Example(
        "openai-chat",
        "parallel calls in fragments, interleaved, with text before",
        [
            chat({"role": "assistant", "content": "I ask."}),
            chat_call(0, "", "weather", "call_a"),
            chat_call(0, '{"ci'),
            chat_call(1, "", "time", "call_b"),
            chat_call(0, 'ty":"Köln'),
            chat_call(1, "{}"),
            chat_call(0, '"}'),
            chat({}, "tool_calls"),
            _DONE,
        ],
        content="I ask.",
        calls=[("weather", '{"city":"Köln"}'), ("time", "{}")],
        ids=["call_a", "call_b"],
        finish_reason="tool_calls",
        answer=chat_answer(
            {
                "content": "I ask.",
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Köln"}'},
                    },
                    {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
                ],
            },
            "tool_calls",
        ),
    ),
    Example(
        "openai-chat",
        "a whole call without an index, arguments as an object, stop as the reason",
        [
            chat({"tool_calls": [{"id": "call_a", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]}),
            chat({}, "stop"),
            _DONE,
        ],
        calls=[("weather", '{"city":"Oslo"}')],
        ids=["call_a"],
        finish_reason="tool_calls",
        answer=chat_answer(
            {"tool_calls": [{"id": "call_a", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]}, "stop"
        ),
    ),
    Example(
        "openai-chat",
        "nothing at all",
        [chat({"role": "assistant", "content": ""}), chat({}, "stop"), _DONE],
        answer=chat_answer({"content": ""}, "stop"),
    ),
]

# Responses


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    """A response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "model-1-20260101",
        "output": [],
        "usage": None,
        **more,
    }


RESPONSES_USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 3},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 29,
}
_COUNTED = usage(20, 9, cache_read_tokens=12, cache_write_tokens=3, reasoning_tokens=4)
CREATED = {"type": "response.created", "response": response("in_progress")}


def completed(**more: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": response(**{"usage": RESPONSES_USAGE, **more})}


def said(delta: str, index: int = 0) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": index,
        "content_index": 0,
        "delta": delta,
        "logprobs": [],
    }


def item(kind: str, index: int, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": fields}


def message_item(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def call_item(arguments: str, name: str = "weather", call_id: str = "call_a") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def thought(delta: str, part: int = 0) -> dict[str, Any]:
    return {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": part,
        "delta": delta,
    }


_SUMMARIES = [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}]
_THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "In short."}],
    "content": [{"type": "reasoning_text", "text": "At length."}],
}
_SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
_RESPONSES = [
    Example(
        "openai-responses",
        "text",
        [
            CREATED,
            {"type": "response.in_progress", "response": response("in_progress")},
            item("added", 0, type="message", id="msg_1", role="assistant", content=[]),
            {"type": "response.content_part.added", "output_index": 0, "part": {"type": "output_text", "text": ""}},
            said("Grüße"),
            said(", 世界 👋"),
            {"type": "response.output_text.done", "output_index": 0, "text": "Grüße, 世界 👋"},
            item("done", 0, **message_item("Grüße, 世界 👋")),
            completed(output=[message_item("Grüße, 世界 👋")]),
        ],
        content="Grüße, 世界 👋",
        usage=_COUNTED,
        answer=response(usage=RESPONSES_USAGE, output=[message_item("Grüße, 世界 👋")]),
    ),
    Example(
        "openai-responses",
        "two summaries of reasoning, a search of the provider's own, text",
        [
            CREATED,
            item("added", 0, type="reasoning", id="rs_1", summary=[]),
            thought("Fir"),
            thought("st."),
            thought("Second.", 1),
            item("done", 0, type="reasoning", id="rs_1", summary=_SUMMARIES),
            item("added", 1, **_SEARCH),
            {"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"},
            item("done", 1, **_SEARCH),
            said("Four", 2),
            completed(),
        ],
        content="Four",
        reasoning="First.\n\nSecond.",
        usage=_COUNTED,
        answer=response(
            usage=RESPONSES_USAGE,
            output=[{"type": "reasoning", "id": "rs_1", "summary": _SUMMARIES}, _SEARCH, message_item("Four")],
        ),
    ),
    Example(
        "openai-responses",
        "calls in fragments",
        [
            CREATED,
            item("added", 0, **call_item("")),
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"city":'},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '"Köln"}'},
            {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"city":"Köln"}'},
            item("done", 0, **call_item('{"city":"Köln"}')),
            item("added", 1, **call_item("", "time", "call_b")),
            item("done", 1, **call_item("{}", "time", "call_b")),
            completed(),
        ],
        calls=[("weather", '{"city":"Köln"}'), ("time", "{}")],
        ids=["call_a", "call_b"],
        finish_reason="tool_calls",
        usage=_COUNTED,
        answer=response(
            usage=RESPONSES_USAGE, output=[call_item('{"city":"Köln"}'), call_item("{}", "time", "call_b")]
        ),
    ),
    Example(
        "openai-responses",
        "cut off by the length",
        [
            CREATED,
            said("One, t"),
            {
                "type": "response.incomplete",
                "response": response(
                    "incomplete", incomplete_details={"reason": "max_output_tokens"}, usage=RESPONSES_USAGE
                ),
            },
        ],
        content="One, t",
        finish_reason="length",
        usage=_COUNTED,
        answer=response(
            "incomplete",
            incomplete_details={"reason": "max_output_tokens"},
            usage=RESPONSES_USAGE,
            output=[message_item("One, t")],
        ),
    ),
    Example(
        "openai-responses",
        "a refusal in its own words",
        [
            CREATED,
            {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I will "},
            {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "not."},
            completed(usage=None),
        ],
        content="I will not.",
        finish_reason="content_filter",
        answer=response(
            output=[
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]}
            ]
        ),
    ),
    Example(
        "openai-responses",
        "a summary and the reasoning itself",
        [
            CREATED,
            thought("In short."),
            {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "At "},
            {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "length."},
            said("Four", 1),
            completed(usage=None),
        ],
        content="Four",
        reasoning="In short.\n\nAt length.",
        answer=response(output=[_THOUGHT, message_item("Four")]),
    ),
    Example(
        "openai-responses",
        "all of it only at the end",
        [CREATED, completed(usage=None, output=[_THOUGHT, message_item("Four"), call_item("{}")])],
        content="Four",
        reasoning="In short.\n\nAt length.",
        calls=[("weather", "{}")],
        ids=["call_a"],
        finish_reason="tool_calls",
        answer=response(output=[_THOUGHT, message_item("Four"), call_item("{}")]),
    ),
]

# Messages


def started(**counts: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "model-1-20260101"}
    return {"type": "message_start", "message": message | {"usage": counts or MESSAGES_USAGE | {"output_tokens": 1}}}


def block(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stopped(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None = "end_turn", **counts: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": counts or {"output_tokens": 9},
    }


MESSAGES_USAGE = {
    "input_tokens": 8,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 12,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 9,
    "service_tier": "standard",
}
MESSAGE_STOP = {"type": "message_stop"}
_MESSAGES_COUNTED = usage(23, 9, cache_read_tokens=12, cache_write_tokens=3)


def message(content: list[dict[str, Any]], stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "model-1-20260101",
        "content": content,
        "stop_reason": stop,
        "usage": MESSAGES_USAGE,
        **more,
    }


_SERVER_SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
_SERVER_FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
_MESSAGES = [
    Example(
        "anthropic",
        "text",
        [
            started(),
            block(0, type="text", text=""),
            {"type": "ping"},
            delta(0, "text_delta", text="Grüße"),
            delta(0, "text_delta", text=", 世界 👋"),
            stopped(0),
            ended(),
            MESSAGE_STOP,
        ],
        content="Grüße, 世界 👋",
        usage=_MESSAGES_COUNTED,
        answer=message([{"type": "text", "text": "Grüße, 世界 👋", "citations": None}]),
    ),
    Example(
        "anthropic",
        "thinking with its signature, some of it redacted, then text",
        [
            started(),
            block(0, type="thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="Let me "),
            delta(0, "thinking_delta", thinking="think."),
            delta(0, "signature_delta", signature="c2ln"),
            stopped(0),
            block(1, type="redacted_thinking", data="aGlkZGVu"),
            stopped(1),
            block(2, type="text", text=""),
            delta(2, "text_delta", text="Four"),
            stopped(2),
            ended(output_tokens=9, output_tokens_details={"thinking_tokens": 4}),
            MESSAGE_STOP,
        ],
        content="Four",
        reasoning="Let me think.",
        usage=_MESSAGES_COUNTED | {"reasoning_tokens": 4},
        answer=message(
            [
                {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "aGlkZGVu"},
                {"type": "text", "text": "Four"},
            ],
            usage=MESSAGES_USAGE | {"output_tokens_details": {"thinking_tokens": 4}},
        ),
    ),
    Example(
        "anthropic",
        "parallel calls in fragments, one without arguments",
        [
            started(),
            block(0, type="text", text=""),
            delta(0, "text_delta", text="I ask."),
            stopped(0),
            block(1, type="tool_use", id="toolu_a", name="weather", input={}),
            delta(1, "input_json_delta", partial_json=""),
            delta(1, "input_json_delta", partial_json='{"city": "K'),
            delta(1, "input_json_delta", partial_json='öln"}'),
            stopped(1),
            block(2, type="tool_use", id="toolu_b", name="time", input={}),
            delta(2, "input_json_delta", partial_json=""),
            stopped(2),
            ended("tool_use"),
            MESSAGE_STOP,
        ],
        content="I ask.",
        calls=[("weather", '{"city": "Köln"}'), ("time", "{}")],
        ids=["toolu_a", "toolu_b"],
        finish_reason="tool_calls",
        usage=_MESSAGES_COUNTED,
        answer=message(
            [
                {"type": "text", "text": "I ask."},
                {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Köln"}},
                {"type": "tool_use", "id": "toolu_b", "name": "time", "input": {}},
            ],
            "tool_use",
        ),
    ),
    Example(
        "anthropic",
        "a search of the provider's own is no call, its text is in two blocks",
        [
            started(),
            block(0, type="text", text=""),
            delta(0, "text_delta", text="I look. "),
            stopped(0),
            block(1, **_SERVER_SEARCH | {"input": {}}),
            delta(1, "input_json_delta", partial_json='{"query": "q"}'),
            stopped(1),
            block(2, **_SERVER_FOUND),
            stopped(2),
            block(3, type="text", text="", citations=[]),
            delta(3, "citations_delta", citation={"type": "web_search_result_location", "url": "u"}),
            delta(3, "text_delta", text="Found."),
            stopped(3),
            ended(),
            MESSAGE_STOP,
        ],
        content="I look. Found.",
        usage=_MESSAGES_COUNTED,
        answer=message(
            [{"type": "text", "text": "I look. "}, _SERVER_SEARCH, _SERVER_FOUND, {"type": "text", "text": "Found."}]
        ),
    ),
    Example(
        "anthropic",
        "the input figures are repeated, and others, at the end",
        [
            started(input_tokens=100, cache_read_input_tokens=5000, output_tokens=2),
            block(0, type="compaction", content=None),
            delta(0, "compaction_delta", content="What was said."),
            stopped(0),
            block(1, type="text", text=""),
            delta(1, "text_delta", text="Hello"),
            stopped(1),
            ended(input_tokens=181, cache_creation_input_tokens=0, cache_read_input_tokens=0, output_tokens=8),
            MESSAGE_STOP,
        ],
        content="Hello",
        usage=usage(181, 8, cache_read_tokens=0, cache_write_tokens=0),
    ),
]

# generateContent


def part(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A `GenerateContentResponse`."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "model-1-20260101", "responseId": "r1", **more}


def counts(said: int, thoughts: int | None = None, **more: int) -> dict[str, Any]:
    usage: dict[str, Any] = {"promptTokenCount": 20, "candidatesTokenCount": said, "totalTokenCount": 20 + said, **more}
    return {"usageMetadata": usage if thoughts is None else usage | {"thoughtsTokenCount": thoughts}}


_GEMINI = [
    Example(
        "gemini",
        "text, with usage that grows",
        [
            part({"text": "Grüße"}, **counts(2)),
            part({"text": ", 世界 👋"}, finish="STOP", **counts(9)),
        ],
        content="Grüße, 世界 👋",
        usage=usage(20, 9),
        answer=part({"text": "Grüße, 世界 👋"}, finish="STOP", **counts(9)),
    ),
    Example(
        "gemini",
        "thoughts, cached input and input for tools; the last part is empty",
        [
            part({"text": "Let me ", "thought": True}, **counts(0, 2)),
            part({"text": "think.", "thought": True}, **counts(0, 4)),
            part({"text": "Four"}, **counts(3, 4)),
            part(
                {"text": "", "thoughtSignature": "c2ln"},
                finish="STOP",
                **counts(5, 4, cachedContentTokenCount=12, toolUsePromptTokenCount=3),
            ),
        ],
        content="Four",
        reasoning="Let me think.",
        usage=usage(23, 9, cache_read_tokens=12, reasoning_tokens=4),
        answer=part(
            {"text": "Let me think.", "thought": True},
            {"text": "Four", "thoughtSignature": "c2ln"},
            finish="STOP",
            **counts(5, 4, cachedContentTokenCount=12, toolUsePromptTokenCount=3),
        ),
    ),
    Example(
        "gemini",
        "calls without ids, one without arguments; the reason is STOP",
        [
            part({"functionCall": {"name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2ln"}),
            part({"functionCall": {"name": "time"}}, **counts(9)),
            part({"text": ""}, finish="STOP", **counts(9)),
        ],
        calls=[("weather", '{"city":"Köln"}'), ("time", "{}")],
        finish_reason="tool_calls",
        usage=usage(20, 9),
        answer=part(
            {"functionCall": {"name": "weather", "args": {"city": "Köln"}}},
            {"functionCall": {"name": "time", "args": {}}},
            finish="STOP",
            **counts(9),
        ),
    ),
    Example(
        "gemini",
        "the reason on every event, and code that the provider ran",
        [
            part({"executableCode": {"language": "PYTHON", "code": "2+2"}}, finish="STOP", **counts(3)),
            part({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4"}}, finish="STOP", **counts(5)),
            part({"text": "Four"}, finish="STOP", **counts(9)),
        ],
        content="Four",
        usage=usage(20, 9),
    ),
    Example(
        "gemini",
        "a prompt that is turned away",
        [{"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "model-1-20260101", **counts(0)}],
        finish_reason="content_filter",
        usage=usage(20, 0),
        answer={"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "model-1-20260101", **counts(0)},
    ),
]

# Ollama


def line(message: dict[str, Any] | None = None, done: bool = False, **more: Any) -> dict[str, Any]:
    base = {"model": "model-1-20260101", "created_at": "2026-01-01T00:00:00Z"}
    return {**base, "message": {"role": "assistant", "content": "", **(message or {})}, "done": done, **more}


OLLAMA_USAGE: dict[str, Any] = {"prompt_eval_count": 20, "eval_count": 9, "eval_duration": 1}
_OLLAMA = [
    Example(
        "ollama",
        "text",
        [
            line({"content": "Grüße"}),
            line({"content": ", 世界 👋"}),
            line(done=True, done_reason="stop", **OLLAMA_USAGE),
        ],
        content="Grüße, 世界 👋",
        usage=usage(20, 9),
        answer=line({"content": "Grüße, 世界 👋"}, done=True, done_reason="stop", **OLLAMA_USAGE),
    ),
    Example(
        "ollama",
        "thinking, text, and text on the last line",
        [
            line({"thinking": "Let me "}),
            line({"thinking": "think."}),
            line({"content": "Fo"}),
            line({"content": "ur"}, done=True, done_reason="length", **OLLAMA_USAGE),
        ],
        content="Four",
        reasoning="Let me think.",
        finish_reason="length",
        usage=usage(20, 9),
        answer=line({"content": "Four", "thinking": "Let me think."}, done=True, done_reason="length", **OLLAMA_USAGE),
    ),
    Example(
        "ollama",
        "calls, whole and without ids; no reason and no counts",
        [
            line({"tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Köln"}}}]}),
            line({"tool_calls": [{"function": {"index": 1, "name": "time", "arguments": {}}}]}),
            line(done=True),
        ],
        calls=[("weather", '{"city":"Köln"}'), ("time", "{}")],
        finish_reason="tool_calls",
        answer=line(
            {
                "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Köln"}}},
                    {"function": {"name": "time", "arguments": {}}},
                ]
            },
            done=True,
        ),
    ),
]

EXAMPLES = [*_CHAT, *_RESPONSES, *_MESSAGES, *_GEMINI, *_OLLAMA]

ERRORS: dict[str, Any] = {
    "openai-chat": {"error": {"message": "It broke", "type": "server_error", "code": 502}},
    "openai-responses": {"type": "error", "code": "server_error", "message": "It broke", "param": None},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "It broke"}},
    "gemini": {"error": {"code": 503, "message": "It broke", "status": "UNAVAILABLE"}},
    "ollama": {"error": "It broke"},
}
"""A failure that the provider reports inside a good answer."""

STRANGERS: dict[str, list[Any]] = {
    "openai-chat": [
        {"object": "chat.completion.future", "future": {"value": 1}},
        {"choices": [], "object": "chat.completion.chunk", "future": [1]},
    ],
    "openai-responses": [{"type": "response.future.delta", "delta": 1}, {"type": "keepalive", "sequence_number": 1}],
    "anthropic": [
        {"type": "future_event", "value": 1},
        delta(0, "future_delta", value=1),
        block(99, type="future_block", value=1),
    ],
    "gemini": [{"future": {"value": 1}}, part({"futurePart": {"value": 1}})],
    "ollama": [line({"future": 1}, future=[1])],
}
"""Events of kinds that nobody knows yet."""
