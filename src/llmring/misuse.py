"""What is said where the asynchronous classes are used as if they were not: the form that was meant."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Generator
from functools import update_wrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar

__all__ = ["AskedConversation", "AwaitedService", "AwaitedStream", "awaited", "missing"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

_REGISTER = "`handle = await service.files.register(path)`, and put the handle into a message's content"
_LIST = "`await service.files.list()`"
_FORGET = "`await service.files.forget(handle)`"
_BEFORE = {
    **dict.fromkeys(("register_file", "upload_file"), _REGISTER),
    **dict.fromkeys(("list_registered_files", "list_files", "get_file"), _LIST),
    **dict.fromkeys(("deregister_file", "delete_file"), _FORGET),
}
"""What serves in the place of methods of llmring 1.x."""
_ASK = "`await conversation.ask(question)`, or `async for chunk in conversation.stream(question)`"
_MEANT = {
    **dict.fromkeys(("chat", "complete", "invoke", "prompt", "run", "say", "send", "send_message"), _ASK),
    **dict.fromkeys(("ask_stream", "chat_stream", "send_message_stream"), "`conversation.stream(question)`"),
    **dict.fromkeys(("get_history", "history", "responses"), "`conversation.messages` or `conversation.turns`"),
}
"""What other libraries call the parts of a conversation."""

_ELSE = "In code that awaits nothing, use llmring.sync: `from llmring.sync import LLMRing`."


class _Awaited(Coroutine[Any, Any, T]):
    """A coroutine that says what was forgotten when it is taken for what it gives."""

    __slots__ = ("__name__", "__qualname__", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        # What a task is called by.
        self.__name__: str = getattr(coroutine, "__name__", "")
        self.__qualname__: str = getattr(coroutine, "__qualname__", "")

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith(("__", "cr_", "gi_")):  # Python's own questions
            raise AttributeError(name)
        raise AttributeError(
            f"{self.__name__}() was not awaited, so it has no {name!r}. Write `await ....{self.__name__}(...)`. {_ELSE}"
        )


def awaited(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A method that says so if it is not awaited."""

    def call(self: S, /, *args: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        return _Awaited(method(self, *args, **options))

    update_wrapper(call, method)
    # Who replaces it in a test asks whether it is a coroutine function.
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(call)
    else:
        call._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return call


def missing(kind: str, name: str) -> AttributeError:
    """The error for an attribute that is not there; of one that was in llmring 1.x, it says what serves instead."""
    hint = f". Since llmring 2: {_BEFORE[name]}." if name in _BEFORE else ""
    return AttributeError(f"{kind!r} object has no attribute {name!r}{hint}", name=name)


class AwaitedService:
    """Mixed into the service: it is no context manager of the other kind."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise missing("LLMRing", name)

    def __enter__(self) -> NoReturn:
        raise TypeError(f"LLMRing is asynchronous: write `async with LLMRing() as service`. {_ELSE}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Never reached."""


class AskedConversation:
    """Mixed into a conversation: what it is asked by."""

    _is_awaited = True

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            form = _MEANT.get(name, "")
            if not self._is_awaited:
                form = form.replace("await ", "").replace("async ", "")
            hint = f". To ask: {form}." if form and "question" in form else f". There is {form}." if form else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name)


class AwaitedStream:
    """Below the streams: they are read and left in the one way, and are no iterators of the other kind."""

    _form = "service.chat_stream(request)"
    _whole_form = "service.chat(request)"

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    def __iter__(self) -> NoReturn:
        raise TypeError(f"A stream is asynchronous: write `async for chunk in {self._form}`. {_ELSE}")

    def __await__(self) -> NoReturn:
        raise TypeError(
            f"A stream is not awaited: write `async for chunk in {self._form}`, or "
            f"`response = await {self._whole_form}` for the whole answer."
        )

    def __enter__(self) -> NoReturn:
        raise TypeError(f"A stream is asynchronous: write `async with {self._form} as stream`. {_ELSE}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Never reached."""
