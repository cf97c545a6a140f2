"""Functions as a model calls them: arguments checked and converted, in a task or a thread, no error that escapes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json

from .. import structured, tools
from ..exceptions import InvalidRequestError, ToolCallError
from ..request import check
from ..schemas import LLMRequest, Message, ToolCall
from .runs import ToolResult

__all__ = ["Functions", "called", "parsed"]


class Functions:
    """The tools of a request, and the functions among them.

    Args:
        request: whose tools and tool choice; as definitions it is `request`.
        functions: those to call, and definitions of others, before the request's own.

    Attributes:
        request: the request with all tools as definitions, its choice checked.

    Raises:
        InvalidRequestError: no provider could take the request; or a tool is none, two have one name, or the choice is
            of one that is not there.
    """

    def __init__(self, request: LLMRequest, functions: Sequence[Any]) -> None:
        check(request)
        if callable(functions) or not isinstance(functions, Iterable) or isinstance(functions, dict | str):
            raise InvalidRequestError("The functions are given as a list: [get_weather, find_hotels].")
        given: list[Any] = []
        for tool in (*functions, *(request.tools or ())):
            if not any(tool is other for other in given):
                given.append(tool)
        self.request = tools.definitions(request.model_copy(update={"tools": given}) if given else request)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._defined: set[str] = set()
        self._arguments: dict[str, _Arguments] = {}
        for tool, definition in zip(given, self.request.tools or (), strict=True):
            name = tools.name_of(definition)
            if name is not None and isinstance(tool, dict):
                self._defined.add(name)
            elif name is not None:
                self._functions[name] = tool

    def is_here(self, call: ToolCall) -> bool:
        """Whether a call is to be answered here; a name that is nobody's is, too."""
        return call["function"]["name"] not in self._defined

    async def call(self, call: ToolCall) -> tuple[ToolResult, Message]:
        """Call a function, and say what came of it; only the end of this task is raised."""
        name, began = call["function"]["name"], monotonic()
        result = ToolResult(call["id"], name, parsed(call["function"]["arguments"]))
        try:
            function = self._function(name)
            filled = self._checked(name, function, call["function"]["arguments"])
            result.value, result.error = await called(function, filled)
            message = _message(result)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # Also that it would end the program, as readers of command lines do, or that a task of its was cancelled.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            result.value, result.error = None, error
            message = result.to_message()
        result.seconds = monotonic() - began
        return result, message

    def _function(self, name: str) -> Callable[..., Any]:
        if (function := self._functions.get(name)) is None:
            there = ", ".join(self._functions) or "none"
            raise ToolCallError(f"There is no function {name!r}. There are: {there}.")
        return function

    def _checked(self, name: str, function: Callable[..., Any], written: str) -> dict[str, Any]:
        """The arguments, converted to what the function's annotations say."""
        if (arguments := self._arguments.get(name)) is None:
            arguments = self._arguments[name] = _Arguments(function)
        return arguments.read(name, written)


class _Arguments:
    """Reads the arguments of one function's calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        model = tools.arguments_model(function)
        self._adapter = TypeAdapter(model)
        self._fields = {name: field.alias or name for name, field in model.model_fields.items()}
        signature = inspect.signature(function).parameters
        # A default that is a `Field(...)` is pydantic's to read, not the function's.
        self._always = {alias for alias in self._fields.values() if isinstance(signature[alias].default, FieldInfo)}

    def read(self, name: str, written: str) -> dict[str, Any]:
        """What a call fills in; a parameter that it leaves out keeps the function's own default."""
        read, reasons = structured.validated(self._adapter, written)
        if reasons:
            raise ToolCallError(f"The arguments do not fit {name}: {'; '.join(reasons)}.")
        given = read.model_fields_set
        return {
            alias: getattr(read, field)
            for field, alias in self._fields.items()
            if field in given or alias in self._always
        }


def parsed(arguments: str) -> Any:
    """Arguments as they were given; as text where they are no JSON."""
    try:
        return from_json(arguments)
    except ValueError:
        return arguments


def _message(result: ToolResult) -> Message:
    try:
        message = result.to_message()
        to_json(message.content)
        return message
    except (ValueError, RecursionError):
        raise TypeError(
            f"{result.name} returned a {type(result.value).__name__} that JSON cannot say. Return text, a number, a "
            "table, a list, a dataclass or a pydantic model."
        ) from None


async def called(function: Callable[..., Any], filled: dict[str, Any]) -> tuple[Any, BaseException | None]:
    """What a function gives, and what it raised in its thread."""
    if _is_async(function):
        return await function(**filled), None
    value, error = await _in_thread(lambda: function(**filled))
    if isinstance(error, KeyboardInterrupt):
        raise error
    # A function may give a coroutine without being one: many a decorator has it so.
    return await value if inspect.isawaitable(value) else value, error


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


async def _in_thread(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Done in a thread of its own, with the context of here.

    Not in the loop's pool: as many calls as a model makes run at once, and one that never returns, of a run that was
    given up, holds nobody up.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(came: tuple[Any, BaseException | None]) -> None:
        if not done.done():
            done.set_result(came)

    def live() -> None:
        came: tuple[Any, BaseException | None]
        try:
            came = context.run(work), None
        except BaseException as error:
            came = None, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, came)

    threading.Thread(target=live, name="llmring-tool", daemon=True).start()
    return await done
