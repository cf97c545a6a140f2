"""What a service does over several requests: it has functions called, and keeps conversations."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import bulk, clusters, talk
from . import stream as streams
from .filed import Filed
from .lazy import Later
from .misuse import awaited

if TYPE_CHECKING:
    from . import routing, schemas
    from .talk import loop
    from .told import Told
else:
    schemas = Later("llmring.schemas")

__all__ = ["Talks"]

R = TypeVar("R")


class Talks(Filed):
    """Its methods hand over to the package that asks again and again."""

    if TYPE_CHECKING:

        def _stream(self, request: schemas.LLMRequest, profile: str | None, *, stream: bool) -> streams.ChatStream: ...

        def _route(
            self, request: schemas.LLMRequest, profile: str | None, *, stream: bool, told: Told | None = None
        ) -> routing.Route: ...

    @awaited
    async def run_tools(
        self,
        request: schemas.LLMRequest,
        functions: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        *,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        profile: str | None = None,
    ) -> talk.ToolRun:
        """Ask, have the functions called that the model calls, tell it what came of them, and so on until it answers.

        The calls of a round run side by side: async functions in tasks, others each in a thread, with the context
        variables of here. Arguments are checked and converted to what the annotations say; what does not fit, and the
        name of no function, the model is told. Each round is a request of its own: failover, `timeout` and `deadline`
        hold for each.

        Args:
            request: what to ask. A `tool_choice` that has a tool called holds for the first round. A `response_format`
                is that of the last answer.
            functions: typed functions, and definitions of tools whose calls are yours: where the model calls one, the
                run ends, with `pending`. `request.tools` come after them, and are the same.
            max_rounds: how many answers the model may give.
            on_error: `"tell"` tells the model of a function's error, by class and message; `"raise"` cancels the other
                calls and raises it.
            profile: instead of the service's.

        Raises:
            InvalidRequestError: no provider could take the request, or a tool is none.
            ToolRoundsError: the model still called at the limit; the error has all that was done, to go on with.
            ProviderError: as `chat` does.
        """
        return await self._tools(request, functions, max_rounds, on_error, profile, streaming=False).final_run()

    def stream_tools(
        self,
        request: schemas.LLMRequest,
        functions: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        *,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        profile: str | None = None,
    ) -> talk.ToolStream:
        """As `run_tools`, with all that happens as it happens: `async for step in service.stream_tools(...)`.

        It gives the chunks of each answer, a `ToolCalled` for each call, and a `ToolResult` when it is done. `run` is
        all of it. Nothing is sent before the first step is asked for, and every error is raised there or later.

        Args:
            request, functions, max_rounds, on_error, profile: see `run_tools`.
        """
        return self._tools(request, functions, max_rounds, on_error, profile, streaming=True)

    def conversation(
        self,
        model: str,
        *,
        system: str | None = None,
        tools: Sequence[Callable[..., Any] | dict[str, Any]] = (),
        messages: Sequence[schemas.Message] = (),
        profile: str | None = None,
        max_rounds: int = 10,
        on_error: Literal["tell", "raise"] = "tell",
        **fields: Any,
    ) -> talk.Conversation:
        """A conversation that remembers what was said: `response = await conversation.ask("Hello")`.

        Args:
            model: an alias, or `provider:model`.
            system: the system prompt.
            tools: functions that the model may call, as for `run_tools`.
            messages: what was said before.
            profile: instead of the service's.
            max_rounds, on_error: see `run_tools`.
            fields: of each request, as `LLMRequest` takes them: `temperature=0.2`.
        """
        return talk.Conversation(
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
        build_request: Callable[[R], schemas.LLMRequest | Awaitable[schemas.LLMRequest]],
        *,
        concurrency: int = 64,
        ordered: bool = True,
        attempts: int = 5,
        profile: str | None = None,
        engine: Literal["local", "ray"] = "local",
        workers: int | None = None,
        output: str | os.PathLike[str] | None = None,
        key: str | None = None,
    ) -> bulk.RowMap[R]:
        """Ask about each of many rows: `async for result in service.map(rows, build_request)`.

        So many requests are under way at once, and begin so fast, as the providers let: that is found out, and shared
        by all rows. A row that was refused for the rate, or met a fault that may pass, is asked again. Rows are taken
        as answers are read: no more than a few times `concurrency` are in memory.

        Args:
            rows: of any kind; they may be made on the way, and may be without an end.
            build_request: makes what is asked about a row, async or not. What it raises ends the loop.
            concurrency: requests at once, at most.
            ordered: hand the answers over in the order of the rows; else as they come.
            attempts: how often a row is asked, refusals for the rate not counted, until it has failed for good.
            profile: instead of the service's.
            engine: `"ray"` has workers of Ray ask, each with as much `concurrency`; `rows` is a `ray.data.Dataset`, of
                which each row is a `dict`. Keys are those of the environment that workers are started in. The cluster
                is that of `RAY_ADDRESS`, or one on this machine for the time.
            workers: of Ray; not given: one for each CPU.
            output: with Ray, a file of answers, as `llmring map -o` writes it: rows that are done there are left out.
                It is to be where all machines see it; several have no other place for answers until they are read.
            key: with `output`, the field that a row is known by; not given: by what is asked.

        Raises:
            LLMRingError: what every row would meet, such as a wrong key, a budget that is spent, or a provider that
                cannot be reached, and where the first twenty rows all fail; once what was under way has been handed
                over. What goes wrong with one row is the `error` of its result.
        """
        of_ray: dict[str, Any] = {"workers": workers, "output": output, "key": key}
        if engine == "ray":
            how: dict[str, Any] = {"concurrency": concurrency, "ordered": ordered, "attempts": attempts}
            return clusters.RayMap(self, rows, build_request, **how, **of_ray, profile=profile)
        bulk.only_here(engine, **of_ray)

        def ask(request: schemas.LLMRequest) -> bulk.Asked:
            told = self._telling(request, profile, stream=False) if self._listeners is not None else None
            model = getattr(request, "model", "")
            return bulk.Asked(
                model, lambda: self._route(request, profile, stream=False, told=told), self._records, told
            )

        limits = bulk.Limits(lambda: self._stores.desk(self._lockfile()), self._breakers.reset)
        return bulk.RowMap.of(rows, build_request, ask, self.calculate_cost, limits, concurrency, attempts, ordered)

    def _tools(
        self,
        request: schemas.LLMRequest,
        functions: Sequence[Any],
        max_rounds: int,
        on_error: loop.OnError,
        profile: str | None,
        *,
        streaming: bool,
    ) -> talk.ToolStream:
        async def begin(_: talk.ToolStream) -> talk.Functions:
            return talk.Functions(request, functions)

        return self._turns(begin, profile, streaming=streaming, max_rounds=max_rounds, on_error=on_error)

    def _turns(
        self,
        begin: Callable[[talk.ToolStream], Awaitable[talk.Functions]],
        profile: str | None,
        *,
        streaming: bool,
        **options: Any,
    ) -> talk.ToolStream:
        def ask(request: schemas.LLMRequest) -> streams.ChatStream:
            return self._stream(request, profile, stream=streaming)

        return talk.ToolStream(begin, ask, self._records, streaming=streaming, **options)
