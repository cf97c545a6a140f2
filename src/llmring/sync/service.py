"""`LLMRing` for code that awaits nothing. All work is done by the asynchronous one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property, update_wrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec, TypeVar

from .. import service
from ..credentials import kept
from ..events import Listener
from ..misuse import missing
from ..schemas import LLMRequest, Message
from ..service import DEFAULT_TIMEOUT
from ..wire import MAX_BYTES
from .bulk import RowMap
from .files import Files
from .loop import BACKGROUND
from .streams import ChatStream, ToolStream
from .talk import Conversation

__all__ = ["LLMRing"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def _waited(
    method: Callable[Concatenate[service.LLMRing, P], Awaitable[T]],
) -> Callable[Concatenate[LLMRing, P], T]:
    """A method that is awaited, as one that waits."""

    def call(self: LLMRing, /, *args: P.args, **options: P.kwargs) -> T:
        return BACKGROUND.run(lambda: method(self._service, *args, **options))

    update_wrapper(call, method)
    return call


def _called(method: Callable[Concatenate[service.LLMRing, P], T]) -> Callable[Concatenate[LLMRing, P], T]:
    """A method that is called, in the loop as all others: what it makes belongs to that."""

    def call(self: LLMRing, /, *args: P.args, **options: P.kwargs) -> T:
        async def run() -> T:
            return method(self._service, *args, **options)

        return BACKGROUND.run(run)

    update_wrapper(call, method)
    return call


class LLMRing:
    """`llmring.LLMRing` for scripts, threads, a REPL and notebooks: the same arguments, methods, objects and errors.

    Use it as a context manager, or call `close` at the end. Threads may share one. All of a process share one event
    loop, which runs in a thread of its own.

        with LLMRing() as service:
            for chunk in service.chat_stream(request):
                print(chunk.delta, end="", flush=True)
    """

    def __init__(
        self,
        lockfile_path: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        *,
        aliases: Mapping[str, str | Sequence[str]] | None = None,
        deadline: float | None = None,
        api_keys: Mapping[str, str | None] | None = None,
        max_connections: int | None = None,
        max_bytes: int = MAX_BYTES,
        breaker_threshold: int = 10,
        breaker_cooldown: float = 30.0,
        check_context: bool = False,
        on_event: Listener | Sequence[Listener] | None = None,
    ) -> None:
        # At once, as there: what may show the variables of this frame has no key of it.
        keys: Any = None if api_keys is None else kept(api_keys)
        del api_keys
        self._service = service.LLMRing(
            lockfile_path,
            profile,
            timeout,
            max_retries,
            aliases=aliases,
            deadline=deadline,
            api_keys=keys,
            max_connections=max_connections,
            max_bytes=max_bytes,
            breaker_threshold=breaker_threshold,
            breaker_cooldown=breaker_cooldown,
            check_context=check_context,
            on_event=on_event,
        )

    def __enter__(self) -> LLMRing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something in the loop of this face, such as a method of an SDK's client that `get_provider` gave.

        service.run(service.get_provider("openai").client.models.list())
        """
        return BACKGROUND.run(lambda: work)

    def chat_stream(self, request: LLMRequest, profile: str | None = None) -> ChatStream:
        """The answer as it arrives: `for chunk in service.chat_stream(request)`.

        Nothing is sent before the first chunk is asked for, and every error is raised there or later.

        Args:
            request: what to ask.
            profile: instead of the service's.
        """
        return ChatStream(self._service.chat_stream(request, profile))

    def stream_tools(
        self,
        request: LLMRequest,
        functions: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        *,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        profile: str | None = None,
    ) -> ToolStream:
        """As `run_tools`, with all that happens as it happens: `for step in service.stream_tools(...)`.

        It gives the chunks of each answer, a `ToolCalled` for each call, and a `ToolResult` when it is done. `run` is
        all of it. Nothing is sent before the first step is asked for, and every error is raised there or later.

        Args:
            request, functions, max_rounds, on_error, profile: see `run_tools`.
        """
        return ToolStream(
            self._service.stream_tools(request, functions, max_rounds=max_rounds, on_error=on_error, profile=profile)
        )

    def conversation(
        self,
        model: str,
        *,
        system: str | None = None,
        tools: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        messages: Sequence[Message] = (),
        profile: str | None = None,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        **fields: Any,
    ) -> Conversation:
        """A conversation that remembers what was said: `response = conversation.ask("Hello")`.

        Args:
            model, system, tools, messages, profile, max_rounds, on_error, fields: see `llmring.LLMRing.conversation`.
        """
        return Conversation(
            self,
            model,
            system=system,
            tools=tools,
            messages=messages,
            profile=profile,
            max_rounds=max_rounds,
            on_error=on_error,
            **fields,
        )

    def map(
        self,
        rows: Iterable[R] | AsyncIterable[R],
        build_request: Callable[[R], LLMRequest | Awaitable[LLMRequest]],
        *,
        concurrency: int = 64,
        ordered: bool = True,
        attempts: int = 5,
        profile: str | None = None,
        engine: Literal["local", "ray"] = "local",
        workers: int | None = None,
        output: str | os.PathLike[str] | None = None,
        key: str | None = None,
    ) -> RowMap[R]:
        """Ask about each of many rows: `for result in service.map(rows, build_request)`.

        The rows are taken, and `build_request` is called, in the thread that reads the answers, while it waits for
        them.

        Args:
            rows, build_request, concurrency, ordered, attempts, profile: see `llmring.LLMRing.map`.
            engine, workers, output, key: the same; with Ray, `build_request` is called by its workers.
        """
        how: dict[str, Any] = {"concurrency": concurrency, "ordered": ordered, "attempts": attempts}
        how |= {"profile": profile, "engine": engine, "workers": workers, "output": output, "key": key}
        return RowMap(
            rows,
            build_request,
            lambda feed, build: self._service.map(feed, build, **how),
            is_taken_here=engine != "ray",
        )

    @cached_property
    def files(self) -> Files:
        """Files that are given to a vendor once: `handle = service.files.register("report.pdf")`."""
        return Files(self._service.files)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise missing("LLMRing", name)

    capabilities = _waited(service.LLMRing.capabilities)
    chat = _waited(service.LLMRing.chat)
    close = _waited(service.LLMRing.close)
    count_tokens = _waited(service.LLMRing.count_tokens)
    bind_alias = _waited(service.LLMRing.bind_alias)
    get_available_models = _waited(service.LLMRing.get_available_models)
    reset_state = _waited(service.LLMRing.reset_state)
    run_tools = _waited(service.LLMRing.run_tools)
    state = _waited(service.LLMRing.state)
    unbind_alias = _waited(service.LLMRing.unbind_alias)
    validate_context_limit = _waited(service.LLMRing.validate_context_limit)

    breakers = _called(service.LLMRing.breakers)
    calculate_cost = _called(service.LLMRing.calculate_cost)
    clear_alias_cache = _called(service.LLMRing.clear_alias_cache)
    get_model_info = _called(service.LLMRing.get_model_info)
    get_provider = _called(service.LLMRing.get_provider)
    has_alias = _called(service.LLMRing.has_alias)
    init_lockfile = _called(service.LLMRing.init_lockfile)
    list_aliases = _called(service.LLMRing.list_aliases)
    register_provider = _called(service.LLMRing.register_provider)
    require_aliases = _called(service.LLMRing.require_aliases)
    reset_breaker = _called(service.LLMRing.reset_breaker)
    resolve_alias = _called(service.LLMRing.resolve_alias)
    warm_up = _called(service.LLMRing.warm_up)
