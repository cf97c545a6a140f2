"""A recording served by the practice server, on each of its wires: for programs that speak to it by an SDK of a vendor.

    with PracticeServer() as server:
        server.script(answering("tests/recordings/chat.jsonl"))

What a request means is read out of its body as each wire has it, as far as it is said: instructions, turns, calls and
their results. Settings, tools and schemas make no difference here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ..references import shown
from ..testing import Fault, RecordedRequest, Reply, Tokens, ToolCallScript
from . import files
from .exchanges import Answered, Exchange, calls_of
from .meaning import loosened

__all__ = ["answering", "said_in"]

_Atom = tuple[str, ...]
_REFUSED = 400
"""The status of a request that nothing was recorded of: no SDK asks again."""


def answering(
    recording: str | os.PathLike[str], *, repeat: bool = False, test: str | None = None
) -> Callable[[RecordedRequest], Reply]:
    """What decides the practice server's answers by a recording (`PracticeServer.script`).

    Args:
        recording: the file.
        repeat: what has been served is served again, where there is no other for the request. Otherwise, and where
            nothing was recorded, the server refuses it with status 400, and says why.
        test: serve what that test has recorded, and nothing else.

    Raises:
        RecordingError: it cannot be read.
    """
    path = Path(recording)
    exchanges = [it for it in files.read(path) if test is None or it.test == test]
    waiting: dict[bytes, deque[Exchange]] = {}
    loosely: dict[bytes, list[Exchange]] = {}
    for it in exchanges:
        key = to_json(said_in("openai-chat", _as_chat(it.request)))
        waiting.setdefault(key, deque()).append(it)
        loosely.setdefault(loosened(key), []).append(it)
    served: set[tuple[bytes, int]] = set()

    def decide(request: RecordedRequest) -> Reply:
        said = said_in(request.wire or "", request.body)
        key = to_json(said)
        like = [*waiting.get(key, ()), *loosely.get(loosened(key), ())]
        found = next((it for it in like if it.mark not in served), None)
        if found is None and repeat and like:
            found = like[-1]
        if found is None:
            why = "all that was recorded of it has been served" if like else "nothing was recorded of it"
            last = said[-1][-1] if said else ""
            return Reply(status=_REFUSED, error=f"{path.name} has no answer to {shown(last)}: {why}.")
        served.add(found.mark)
        return reply_of(found)

    return decide


def reply_of(exchange: Exchange) -> Reply:
    """A recorded answer, as the practice server gives it.

    Raises:
        RecordingError: it is none.
    """
    answered = exchange.answered
    if answered.error is not None:
        return _refusal(answered)
    return Reply(**_said(answered), finish_reason=answered.finish_reason or "stop")


def _said(answered: Answered) -> dict[str, Any]:
    texts = [it.text for it in answered.pieces if it.text]
    usage = answered.usage
    return {
        "chunks": [*texts, answered.unclosed] if answered.unclosed and not texts else texts,
        "reasoning": [it.reasoning for it in answered.pieces if it.reasoning],
        "tool_calls": _calls(answered),
        "response_model": answered.response_model,
        "usage": None
        if usage is None
        else Tokens(
            usage["prompt_tokens"],
            usage["completion_tokens"],
            cache_read=usage.get("cache_read_tokens", 0),
            cache_write=usage.get("cache_write_tokens", 0),
            reasoning=usage.get("reasoning_tokens", 0),
        ),
    }


def _calls(answered: Answered) -> list[ToolCallScript]:
    return [
        ToolCallScript(name, [it for it in pieces if it] or ["{}"], id or None)
        for id, name, pieces in calls_of(answered)
    ]


def _refusal(answered: Answered) -> Reply:
    error = answered.error
    assert error is not None
    status, silent = error.get("status_code"), error.get("type") == "ProviderTimeoutError"
    pieces = len(answered.pieces)
    if answered.begun:
        fault = Fault.stall_after(pieces) if silent else Fault.reset_after(pieces)
        if isinstance(status, int) and status >= _REFUSED:
            fault = Fault.error_event(pieces, status, error["message"])
        return Reply(**_said(answered), fault=fault)
    if not isinstance(status, int) or not _REFUSED <= status < 600:
        return Reply(fault=Fault.never_answer() if silent else Fault.hang_up())
    return Reply(status=status, error=error["message"], retry_after=error.get("retry_after"))


def said_in(wire: str, body: Any) -> list[_Atom]:
    """What a request says, turn by turn, whatever wire it is of: its instructions first.

    Args:
        wire: as the practice server calls it.
        body: the request's, parsed.
    """
    if not isinstance(body, Mapping):
        return []
    turns = {"openai-responses": _responses, "anthropic": _anthropic, "gemini": _gemini}.get(wire, _chat)
    atoms = [it for it in turns(body) if it[-1] or it[0] == "call"]
    system = "\n\n".join(it[-1] for it in atoms if it[0] == "system")
    said: list[_Atom] = [("system", system)] if system else []
    for it in (it for it in atoms if it[0] != "system"):
        # Where one turn ends and the next begins, and in how many parts it is, each wire says in its own way.
        if said and said[-1][0] == it[0] and it[0] in ("user", "assistant"):
            said[-1] = (it[0], said[-1][1] + it[1])
        else:
            said.append(it)
    return said


def _as_chat(request: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded request in the form of Chat Completions, as far as it is looked at."""
    turns = []
    for turn in request["messages"]:
        it = dict(turn) if isinstance(turn, Mapping) else {}
        it["tool_calls"] = [{"function": call} for call in it.get("tool_calls") or ()]
        turns.append(it)
    return {"messages": turns}


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [it for it in value if isinstance(it, Mapping)] if isinstance(value, list) else []


def _text(content: Any) -> str:
    """The texts of a content, whether it is one or has parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return to_json(content).decode()
    return "".join(it["text"] for it in _list(content) if isinstance(it.get("text"), str) and not it.get("thought"))


def _value(written: Any) -> str:
    """Arguments, or a result, as what they say."""
    try:
        value = from_json(written) if isinstance(written, str) else written
    except ValueError:
        return str(written)
    if (
        isinstance(value, Mapping)
        and len(value) == 1
        and (inner := value.get("result", value.get("output"))) is not None
    ):
        return _value(inner)  # as Gemini has what is no table
    if isinstance(value, Mapping):
        return to_json(_in_order(value)).decode()
    return value if isinstance(value, str) else to_json(value).decode()


def _in_order(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(it) for it in value] if isinstance(value, list) else value


def _call(function: Any, arguments: str) -> Iterator[_Atom]:
    if isinstance(function, Mapping):
        yield "call", str(function.get("name")), _value(function.get(arguments) or {})


def _chat(body: Mapping[str, Any]) -> Iterator[_Atom]:
    """Chat Completions, and Ollama's."""
    for turn in _list(body.get("messages")):
        role, content = turn.get("role"), turn.get("content")
        if role == "tool":
            yield "result", _value(content if isinstance(content, Mapping) else _text(content))
            continue
        yield "system" if role in ("system", "developer") else str(role), _text(content)
        for call in _list(turn.get("tool_calls")):
            yield from _call(call.get("function"), "arguments")


def _responses(body: Mapping[str, Any]) -> Iterator[_Atom]:
    yield "system", _text(body.get("instructions") or "")
    if isinstance(body.get("input"), str):
        yield "user", body["input"]
    for item in _list(body.get("input")):
        kind = item.get("type", "message")
        if kind == "function_call":
            yield from _call(item, "arguments")
        elif kind == "function_call_output":
            output = item.get("output")
            yield "result", _value(output if isinstance(output, str) else _text(output))
        elif kind == "message":
            role = item.get("role")
            yield "system" if role in ("system", "developer") else str(role), _text(item.get("content"))


def _anthropic(body: Mapping[str, Any]) -> Iterator[_Atom]:
    yield "system", _text(body.get("system") or "")
    for turn in _list(body.get("messages")):
        role, content = str(turn.get("role")), turn.get("content")
        if isinstance(content, str):
            yield role, content
        for block in _list(content):
            match block.get("type"):
                case "text":
                    yield role, _text([block])
                case "tool_use":
                    yield from _call(block, "input")
                case "tool_result":
                    yield "result", _value(_text(block.get("content") or ""))


def _gemini(body: Mapping[str, Any]) -> Iterator[_Atom]:
    system = body.get("systemInstruction")
    yield "system", _text(system.get("parts")) if isinstance(system, Mapping) else ""
    for turn in _list(body.get("contents")):
        role = "assistant" if turn.get("role") == "model" else "user"
        for part in _list(turn.get("parts")):
            if isinstance(result := part.get("functionResponse"), Mapping):
                yield "result", _value(result.get("response"))
            else:
                yield role, _text([part])
                yield from _call(part.get("functionCall"), "args")
