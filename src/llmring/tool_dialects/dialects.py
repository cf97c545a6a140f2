"""How models are told of tools in the prompt, and what their turns look like: a table of it is `forms.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple, Protocol

from pydantic_core import from_json, to_json

from ..exceptions import ConfigurationError, InvalidRequestError
from ..schemas import LLMRequest, Message, ToolCall
from .bodies import Tags
from .reading import ToolReader

__all__ = ["ToolDialect", "ToolMode", "dialect", "dialect_names", "dialect_of_template", "told", "tool_mode"]

_WORD = re.compile(r"[\w.\-]+")


class ToolDialect(Protocol):
    """A way to say tools, calls and results in text. Those that open models know are found by `dialect`.

    One of your own is a class below this one.

    Attributes:
        name: what a lockfile calls it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    def describe(self, tools: Sequence[Mapping[str, Any]], tool_choice: str | Mapping[str, Any] | None = None) -> str:
        """What a system prompt says of the tools; `""` where none is to be called.

        Args:
            tools: definitions, `{"type": "function", "function": {...}}`.
            tool_choice: as in a request, in OpenAI's form.
        """
        ...

    def calls(self, calls: Sequence[ToolCall]) -> str:
        """The calls of a former turn, as the model would have written them."""
        ...

    def results(self, results: Sequence[tuple[str, str]]) -> str:
        """What a turn of the user's says of the results of calls: the tools' names, and what they gave."""
        ...

    def reader(self, tools: Sequence[Mapping[str, Any]]) -> ToolReader:
        """A reader of one answer to a request with these tools."""
        ...

    def schema(
        self, tools: Sequence[Mapping[str, Any]], tool_choice: str | Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The JSON schema of an answer that is nothing but calls; `None` where calls are not said in JSON alone."""
        return None


class ToolMode(NamedTuple):
    """How a model is told of tools, and where its calls are read. `None` is as the wire itself has it.

    Attributes:
        prompt: tools, calls and results are told in the prompt, in this dialect.
        text: calls are read out of the text, too, in this dialect.
    """

    prompt: ToolDialect | None = None
    text: ToolDialect | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """One table of `forms.toml`, whose head says what the fields are."""

    name: str
    source: str
    templates: tuple[str, ...]
    openings: tuple[str, ...]
    bare: tuple[str, ...]
    closers: tuple[str, ...]
    begins: tuple[str, ...]
    ends: tuple[str, ...]
    tools: str
    each: str
    call: str
    result: str
    joined: str = "\n"
    style: str = "json"
    all_calls: str = "$calls"
    between: str = "\n"
    all_results: str = "$results"
    between_results: str = "\n"
    held: bool = False
    joints: tuple[str, ...] = ()
    argument: str = ""
    mark: str = ""

    def describe(self, tools: Sequence[Mapping[str, Any]], tool_choice: str | Mapping[str, Any] | None = None) -> str:
        if not (functions := _offered(tools, tool_choice)):
            return ""
        how = "If none of them is needed, just answer."
        if tool_choice not in (None, "auto"):
            one = functions[0]["name"] if isinstance(tool_choice, Mapping) else "one of them"
            how = f"You must call {one} now, and write nothing else."
        described = self.joined.join(
            Template(self.each).substitute(
                name=function["name"],
                description=function.get("description") or "",
                parameters=_json(function.get("parameters") or {}),
                function=_json({"type": "function", "function": {k: v for k, v in function.items() if k != "strict"}}),
            )
            for function in functions
        )
        return Template(self.tools).substitute(tools=described, how=how).strip()

    def calls(self, calls: Sequence[ToolCall]) -> str:
        written = [
            Template(self.call).substitute(
                name=call["function"]["name"],
                arguments=self._arguments(_object(call["function"]["arguments"])),
                index=index,
            )
            for index, call in enumerate(calls)
        ]
        return Template(self.all_calls).substitute(calls=self.between.join(written))

    def results(self, results: Sequence[tuple[str, str]]) -> str:
        written = [
            Template(self.result).substitute(name=name, content=content, json=_json(content), index=index)
            for index, (name, content) in enumerate(results)
        ]
        return Template(self.all_results).substitute(results=self.between_results.join(written))

    def reader(self, tools: Sequence[Mapping[str, Any]]) -> ToolReader:
        breaks = not self.argument or "\n$value\n" in self.argument
        tags = _tags(self.begins, self.ends, self.closers, breaks)
        return ToolReader(tools, self.openings, self.bare, self.closers, self.joints, tags, self.mark)

    def schema(
        self, tools: Sequence[Mapping[str, Any]], tool_choice: str | Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        if not self.held or not (functions := _offered(tools, tool_choice)):
            return None
        calls = []
        for function in functions:
            arguments = function.get("parameters") or {"type": "object"}
            if "$defs" in arguments or "definitions" in arguments:
                arguments = {"type": "object"}  # its references would point into the air
            properties = {"name": {"enum": [function["name"]]}, "arguments": arguments}
            calls.append({"type": "object", "properties": properties, "required": ["name", "arguments"]})
        some = {"type": "array", "items": calls[0] if len(calls) == 1 else {"anyOf": calls}, "minItems": 1}
        return {"type": "object", "properties": {"tool_calls": some}, "required": ["tool_calls"]}

    def _arguments(self, arguments: dict[str, Any]) -> str:
        if self.style == "python":
            return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        if self.argument:
            return "".join(
                Template(self.argument).substitute(
                    key=key,
                    value=value if isinstance(value, str) else _json(value),
                    is_text="true" if isinstance(value, str) else "false",
                )
                for key, value in arguments.items()
            )
        return _marked(arguments, self.mark) if self.mark else _json(arguments)


def _marked(value: Any, mark: str) -> str:
    if isinstance(value, dict):
        named = ((key if _WORD.fullmatch(key) else f"{mark}{key}{mark}", it) for key, it in value.items())
        return f"{{{','.join(f'{key}:{_marked(it, mark)}' for key, it in named)}}}"
    if isinstance(value, list):
        return f"[{','.join(_marked(it, mark) for it in value)}]"
    return f"{mark}{value}{mark}" if isinstance(value, str) else _json(value)


@cache
def _tags(begins: tuple[str, ...], ends: tuple[str, ...], closers: tuple[str, ...], breaks: bool) -> Tags:
    return Tags(begins, ends, closers, breaks=breaks)


def _offered(tools: Sequence[Mapping[str, Any]], tool_choice: str | Mapping[str, Any] | None) -> list[Any]:
    """The functions that may be called."""
    if tool_choice == "none":
        return []
    functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
    if isinstance(tool_choice, Mapping):
        return [function for function in functions if function["name"] == tool_choice["function"]["name"]]
    return functions


def _json(value: Any) -> str:
    return to_json(value).decode()


def _object(arguments: str) -> dict[str, Any]:
    """The arguments of a former call, which may be another provider's."""
    try:
        value = from_json(arguments or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"a tool call of the conversation has arguments that are no JSON object: {arguments}")
    return value


@cache
def _forms() -> dict[str, _Form]:
    table = tomllib.loads((files(__package__) / "forms.toml").read_text(encoding="utf-8"))
    common = {name: table[name] for name in ("closers", "ends", "begins")}
    forms = {}
    for name, row in table["dialects"].items():
        closers = [*common["closers"], *row.get("closers", ())]
        fields: dict[str, Any] = {**common, **row, "closers": closers}
        fields = {key: tuple(it) if isinstance(it, list) else it for key, it in fields.items()}
        forms[name] = _Form(name=name, **fields)
    # Most models that were taught any form were taught the one of Hermes.
    everything: dict[str, Any] = {
        field: tuple(dict.fromkeys(it for form in forms.values() if not form.mark for it in getattr(form, field)))
        for field in ("openings", "joints", "begins")
    }
    forms["auto"] = replace(forms["hermes"], name="auto", source="all of them", templates=(), bare=(), **everything)
    return forms


def dialect_names() -> tuple[str, ...]:
    """The names that `dialect` knows."""
    return tuple(_forms())


def dialect(name: str) -> ToolDialect:
    """The dialect of that name: one of `dialect_names()`; `"auto"` describes as Hermes, and reads any marked call.

    Raises:
        ConfigurationError: there is none.
    """
    if (form := _forms().get(name)) is None:
        raise ConfigurationError(f"There is no tool dialect {name!r}; there are {', '.join(_forms())}.")
    return form


def tool_mode(setting: str | None, where: str = "the lockfile") -> ToolMode:
    """What `tools` says in a lockfile: `"native"`, `"prompt:NAME"` or `"read:NAME"`; `None` is `"native"`.

    Args:
        setting: that.
        where: it says so, for the message.

    Raises:
        ConfigurationError: it says something else, or names no dialect.
    """
    way, _, name = (setting or "native").partition(":")
    if way == "native" and not name:
        return ToolMode()
    if way in ("prompt", "read") and (form := _forms().get(name)) is not None:
        return ToolMode(form if way == "prompt" else None, form)
    raise ConfigurationError(
        f'tools = "{setting}" in {where} names no way of telling of tools. Write "native", "prompt:NAME" (the model is '
        f'told of them in the prompt) or "read:NAME" (calls are read out of the text, too). NAME is one of '
        f"{', '.join(_forms())}."
    )


def dialect_of_template(template: str) -> ToolDialect | None:
    """The dialect that a model's chat template speaks, `None` where it knows of no tools.

    Args:
        template: the text, in Jinja or Go, as Ollama's `show` and llama.cpp's `/props` give it.
    """
    return next((it for it in _forms().values() if any(mark in template for mark in it.templates)), None)


def told(request: LLMRequest, dialect: ToolDialect) -> LLMRequest:
    """The request with its tools, calls and results as text, for a model or a server that knows none.

    The description stands behind what the first system message says; results that follow each other are one turn, with
    what the user says behind them.

    Raises:
        InvalidRequestError: a former call's arguments are no JSON object.
    """
    messages: list[Message] = []
    names: dict[str, str] = {}
    results: list[Message] = []
    for message in (*request.messages, None):
        if message is not None and message.role == "tool":
            results.append(message)
            continue
        if results:
            text, others = _results(results, names, dialect)
            results = []
            # Many a model's template takes no two turns of the user's.
            asks = message is not None and message.role == "user" and isinstance(message.content, str)
            behind = message if asks else None
            said = f"{text}\n\n{behind.content}" if behind is not None else text
            turn = (behind or Message(role="user")).model_copy(
                update={"content": [{"type": "text", "text": said}, *others] if others else said}
            )
            messages.append(turn)
            if behind is not None:
                continue
        if message is None:
            break
        if message.tool_calls:
            names |= {call["id"]: call["function"]["name"] for call in message.tool_calls}
            calls = dialect.calls(message.tool_calls)
            content = message.content
            if isinstance(content, list):
                content = [*content, {"type": "text", "text": calls}]
            else:
                content = f"{content}\n{calls}" if content else calls
            message = message.model_copy(update={"content": content, "tool_calls": None})
        messages.append(message)
    if described := dialect.describe(request.tools or (), request.tool_choice):
        first = messages[0]
        if first.role == "system" and isinstance(first.content, str):
            messages[0] = first.model_copy(update={"content": f"{first.content}\n\n{described}".strip()})
        else:
            messages.insert(0, Message(role="system", content=described))
    return request.model_copy(update={"messages": messages, "tools": None, "tool_choice": None})


def _results(
    messages: Sequence[Message], names: Mapping[str, str], dialect: ToolDialect
) -> tuple[str, list[dict[str, Any]]]:
    """What the user's turn says of the results of calls, and the parts of them that are no text."""
    told, others = [], list[dict[str, Any]]()
    for message in messages:
        content = message.content
        if isinstance(content, list) and all("type" in part for part in content):
            others += [part for part in content if part["type"] != "text"]
            content = "\n".join(part["text"] for part in content if part["type"] == "text")
        elif not isinstance(content, str | None):
            content = _json(content)
        told.append((names.get(message.tool_call_id or "", "a tool"), content or ""))
    return dialect.results(told), others
