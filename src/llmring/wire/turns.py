"""What rendering a conversation needs on every wire, and a turn put together again from what was kept of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from pydantic_core import from_json, to_json

from ..schemas import LLMRequest, Message, ToolCall
from . import schema_dialects
from .errors import CannotCarry
from .values import present

__all__ = [
    "Replay",
    "arguments_of",
    "budget_of",
    "call_ids",
    "custom_names",
    "custom_text",
    "described_schema",
    "digest_of",
    "effort_of",
    "function_tool",
    "in_dialect",
    "in_turns",
    "is_forced",
    "is_of",
    "json_instruction",
    "kept_of",
    "named_results",
    "openai_schema",
    "own_ids",
    "parts",
    "parts_of_result",
    "plain_text",
    "replayed",
    "schema_instruction",
    "schema_of",
    "told_apart",
    "unchanged",
    "without_custom_tools",
]

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
_TEXT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The parameters of a custom tool, where it is a function."""
_MADE_ID = re.compile(r"call_[0-9a-f]{24}")
"""An id that was made here, for a call whose server gave none."""
_JSON_ONLY = "Answer with one JSON object and nothing else."


def parts(message: Message) -> list[dict[str, Any]]:
    """A message's content as a list of parts."""
    if isinstance(message.content, list):
        return message.content
    return [{"type": "text", "text": plain_text(message, "a message")}] if message.content else []


def parts_of_result(message: Message) -> list[dict[str, Any]] | None:
    """A tool's result as a list of parts, `None` where it is text or data, and a list of data may be that too."""
    content = message.content
    return content if isinstance(content, list) and all("type" in part for part in content) else None


def plain_text(message: Message, where: str) -> str:
    """A message's content as text, for places that take nothing else."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    if isinstance(message.content, dict):
        return to_json(message.content).decode()
    pieces = []
    for part in message.content:
        if part.get("type") != "text":
            if "type" in part:
                raise CannotCarry(f"{where} takes text only, not a part of type {part['type']!r}")
            return to_json(message.content).decode()
        pieces.append(part["text"])
    return "\n".join(pieces)


def own_ids(messages: Sequence[Message], issuer: str) -> frozenset[str]:
    """The ids of a conversation's calls that who is asked now gave itself."""
    calls = (call for message in messages if is_of(message, issuer) for call in message.tool_calls or ())
    return frozenset(call["id"] for call in calls if not _MADE_ID.fullmatch(call["id"]))


def call_ids(messages: Sequence[Message], fits: re.Pattern[str], length: int, issuer: str) -> dict[str, str]:
    """An id for every call of a conversation: that which its server gave goes back to it, whatever its form.

    Another's is sent where it fits this wire, else one that is made of it.

    Args:
        messages: the conversation; its calls may come from another provider.
        fits: what the wire's ids look like.
        length: of the ids that are made.
        issuer: who is asked now.
    """
    own = own_ids(messages, issuer)
    ids = {call["id"] for message in messages for call in message.tool_calls or ()}
    return {
        id: id if id in own or fits.fullmatch(id) else hashlib.sha256(id.encode()).hexdigest()[:length] for id in ids
    }


def told_apart(messages: Sequence[Message], issuer: str) -> Sequence[Message]:
    """The conversation, in which no id stands for calls of two turns: some servers count anew in each.

    The calls of who is asked now keep theirs.
    """
    all_of_them = [call["id"] for message in messages for call in message.tool_calls or ()]
    taken = set(own_ids(messages, issuer))
    if len(set(all_of_them)) == len(all_of_them):
        return messages
    now: dict[str, str] = {}
    told = []
    for at, message in enumerate(messages):
        if calls := message.tool_calls:
            again = taken.intersection(call["id"] for call in calls) if not is_of(message, issuer) else ()
            now |= {call["id"]: call["id"] for call in calls}
            now |= {id: f"call_{hashlib.sha256(f'{id} {at}'.encode()).hexdigest()[:24]}" for id in again}
            taken.update(call["id"] for call in calls)
            message = message.model_copy(update={"tool_calls": [{**call, "id": now[call["id"]]} for call in calls]})
        elif message.role == "tool" and (id := message.tool_call_id) is not None:
            message = message.model_copy(update={"tool_call_id": now[id]})
        told.append(message)
    return told


def in_turns(messages: Sequence[Message]) -> Iterator[tuple[Message | None, Sequence[Message]]]:
    """What was said, but for system messages: each message, or `None` and the results of one turn's calls."""
    for of_tools, said in groupby((m for m in messages if m.role != "system"), lambda m: m.role == "tool"):
        if of_tools:
            yield None, list(said)
        else:
            yield from ((message, ()) for message in said)


def named_results(messages: Sequence[Message]) -> Iterator[str]:
    """The function's name of every result of a conversation, in order: that of the last call of its id by then."""
    names: dict[str, str] = {}
    for message in messages:
        names |= {call["id"]: call["function"]["name"] for call in message.tool_calls or ()}
        if message.role == "tool":
            yield names[message.tool_call_id or ""]


def arguments_of(arguments: str) -> dict[str, Any]:
    """A call's arguments as an object, for wires that do not take them as a string."""
    try:
        value = from_json(arguments or "{}")
    except ValueError:
        raise CannotCarry(f"a tool call of the conversation has arguments that are not JSON: {arguments}") from None
    if not isinstance(value, dict):
        raise CannotCarry(f"a tool call of the conversation has arguments that are no JSON object: {arguments}")
    return value


def effort_of(request: LLMRequest) -> str | None:
    """How much to think, in words; a number of tokens is rounded to one."""
    if request.reasoning_effort is not None or request.reasoning_tokens is None:
        return request.reasoning_effort
    tokens = request.reasoning_tokens
    return "none" if tokens == 0 else "low" if tokens <= 2048 else "medium" if tokens <= 8192 else "high"


def budget_of(request: LLMRequest) -> int | None:
    """How much to think, in tokens; 0 is not at all."""
    if request.reasoning_tokens is not None or request.reasoning_effort is None:
        return request.reasoning_tokens
    return 0 if request.reasoning_effort == "none" else _BUDGETS.get(request.reasoning_effort, 8192)


def schema_of(request: LLMRequest) -> dict[str, Any] | None:
    """The `json_schema` table of the response format, `None` if it has none."""
    wanted = request.response_format
    return wanted["json_schema"] if isinstance(wanted, dict) and wanted.get("type") == "json_schema" else None


def described_schema(request: LLMRequest) -> dict[str, Any] | None:
    """The schema of the response format, for wires that have no other place for what describes it."""
    if (table := schema_of(request)) is None:
        return None
    schema: dict[str, Any] = table["schema"]
    said = [words for words in (table.get("description"), schema.get("description")) if words]
    return {**schema, "description": "\n".join(said)} if said else schema


def in_dialect(schema: dict[str, Any], dialect: schema_dialects.Dialect, vendor: str) -> dict[str, Any]:
    """The schema of a structured answer in a vendor's dialect.

    Raises:
        CannotCarry: it says something that the dialect cannot.
    """
    try:
        return schema_dialects.translate(schema, dialect)
    except schema_dialects.UnsupportedKeyword as error:
        raise CannotCarry(f"{vendor}'s structured output cannot express the schema's {error.path}") from None


def openai_schema(table: dict[str, Any]) -> dict[str, Any]:
    """A `json_schema` table for OpenAI's formats: strict where the schema can be said so, unless told otherwise.

    Raises:
        CannotCarry: strict was demanded, and the schema cannot be said so.
    """
    if table.get("strict") is False:
        return table
    try:
        return {
            **table,
            "schema": schema_dialects.translate(table["schema"], schema_dialects.OPENAI_STRICT),
            "strict": True,
        }
    except schema_dialects.UnsupportedKeyword as error:
        if table.get("strict"):
            raise CannotCarry(
                f"OpenAI's strict mode cannot express the schema's {error.path}; leave out \"strict\", and the answer "
                "is checked when it has come"
            ) from None
        return {**table, "strict": False}


def json_instruction(request: LLMRequest, *, unless_said: bool = False) -> str | None:
    """What to tell a model that must answer in JSON where no setting of its wire makes it.

    Args:
        request: what to ask.
        unless_said: nothing where a message speaks of JSON already.
    """
    wanted = request.response_format
    if not isinstance(wanted, dict) or wanted.get("type") != "json_object":
        return None
    if unless_said and any(
        "json" in part["text"].lower() for m in request.messages for part in parts(m) if "text" in part
    ):
        return None
    return _JSON_ONLY


def schema_instruction(request: LLMRequest) -> str | None:
    """What to tell a model that is not held to the schema of its answer, or does not see it."""
    schema = described_schema(request)
    return None if schema is None else f"Answer with JSON of this schema and nothing else: {to_json(schema).decode()}"


def function_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool in OpenAI's form, without what only another provider takes; one that a provider runs, as it is."""
    return {"type": "function", "function": tool["function"]} if tool.get("type") == "function" else tool


def without_custom_tools(request: LLMRequest) -> LLMRequest:
    """The request for a wire that has no custom tools: each as a function whose one parameter is its text.

    Raises:
        CannotCarry: one holds its text to a grammar, which no schema can say.
    """
    if not (names := custom_names(request)):
        return request
    choice = request.tool_choice
    if isinstance(choice, dict) and choice.get("name") in names:
        choice = {"type": "function", "function": {"name": choice["name"]}}
    tools = [_as_function(tool) if tool.get("name") in names else tool for tool in request.tools or ()]
    return request.model_copy(update={"tools": tools, "tool_choice": choice})


def _as_function(tool: dict[str, Any]) -> dict[str, Any]:
    if (tool.get("format") or {}).get("type", "text") != "text":
        raise CannotCarry(
            f"the custom tool {tool['name']!r} holds its text to a grammar, which only OpenAI can; leave out its "
            "format, or define it as a function"
        )
    function = {**present(name=tool["name"], description=tool.get("description")), "parameters": _TEXT}
    return {"type": "function", "function": function}


def is_forced(request: LLMRequest) -> bool:
    """Whether a tool must be called."""
    return bool(request.tools) and request.tool_choice not in (None, "auto", "none")


def custom_names(request: LLMRequest) -> frozenset[str]:
    """The names of the request's custom tools, whose calls go back as such where a wire has them, whoever made them."""
    # Anthropic calls every tool of the caller's so, but gives it a schema.
    return frozenset(t["name"] for t in request.tools or () if t.get("type") == "custom" and "input_schema" not in t)


def custom_text(call: ToolCall) -> str | None:
    """The text that a custom tool was handed; `None` where the arguments are no such thing."""
    try:
        value = from_json(call["function"]["arguments"])
    except ValueError:
        return None
    only = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return only if isinstance(only, str) else None


def is_of(message: Message, issuer: str) -> bool:
    """Whether an assistant's turn came from this provider at this address."""
    return bool(issuer) and message.metadata.get("issuer") == issuer


def kept_of(message: Message, wire: str, issuer: str) -> dict[str, Any] | None:
    """What a turn's issuer wants back with it, `None` where it came from another, or the turn was changed since.

    Args:
        message: an assistant's turn.
        wire: the name under which the wire keeps it.
        issuer: who is asked now.
    """
    kept = message.metadata.get(wire)
    return kept if isinstance(kept, dict) and is_of(message, issuer) else None


def digest_of(length: int, calls: Sequence[ToolCall]) -> str:
    """What tells whether a turn was changed: the length of its text, and its calls, whatever their ids."""
    said = [length, *([call["function"]["name"], call["function"]["arguments"]] for call in calls)]
    return hashlib.sha256(to_json(said)).hexdigest()[:32]


def unchanged(message: Message, kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was kept of a turn with its digest, if the turn still says what it said then."""
    said = message.content or ""
    if kept is None or not isinstance(said, str):
        return None
    return kept if kept.get("digest") == digest_of(len(said), message.tool_calls or ()) else None


class Replay:
    """A turn's text and calls, to be taken one after the other. Text is kept as lengths, not twice."""

    def __init__(self, message: Message) -> None:
        self._content = message.content if isinstance(message.content, str) else None
        self._calls = list(message.tool_calls or ())
        self._at = 0

    def text(self, length: int) -> str:
        """The next so many characters. Raises `LookupError` where the text was changed."""
        if self._content is None or self._at + length > len(self._content):
            raise LookupError("the text was changed")
        self._at += length
        return self._content[self._at - length : self._at]

    def call(self) -> ToolCall:
        """The next call. Raises `LookupError` where one was taken away."""
        if not self._calls:
            raise LookupError("a call was taken away")
        return self._calls.pop(0)

    @property
    def over(self) -> bool:
        """Whether all of the turn has been taken."""
        return not self._calls and self._content is not None and self._at == len(self._content)


def replayed(
    message: Message, kept: Iterable[Any], render: Callable[[Any, Replay], dict[str, Any] | None]
) -> list[dict[str, Any]] | None:
    """The turn as its server sent it, `None` where the caller has changed it since.

    Args:
        message: an assistant's turn.
        kept: what was kept of it, piece by piece, in order.
        render: makes of one piece what is sent, with the text and the call that belong to it; `None` for nothing.
    """
    replay = Replay(message)
    try:
        said = [rendered for piece in kept if (rendered := render(piece, replay)) is not None]
    except LookupError:
        return None
    return said if replay.over else None
