"""LLMRing: route a request to the models of its alias, hand over, and end what is open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from . import breaker, events, routing, structured
from . import lockfile as lockfiles
from . import request as requests
from . import stream as streams
from .credentials import kept
from .exceptions import LLMRingError
from .lazy import Later
from .misuse import AwaitedService, awaited
from .provided import Lender
from .providers import base, creation, environment, registry
from .record import Records, ended
from .talking import Talks
from .wire import MAX_BYTES

if TYPE_CHECKING:
    from . import schemas
    from .told import Told
else:
    schemas = Later("llmring.schemas")

__all__ = ["DEFAULT_TIMEOUT", "LLMRing"]

DEFAULT_TIMEOUT: Final = float("60")
"""Seconds. Known by identity: this very object means that the caller named no timeout."""


class LLMRing(Talks, AwaitedService):
    """The way to every provider.

    Making one reads nothing from the network and imports no SDK. Use it as an async context manager, or call
    `close` at the end. Event loops may share one, at once or one after the other: each has connections of its own.

    Args:
        lockfile_path: the lockfile; not given: `LLMRING_LOCKFILE_PATH`, else `llmring.lock` in the working
            directory or its nearest parent. A `provider:model` needs no lockfile.
        profile: the profile; not given: `LLMRING_PROFILE`, else the file's `default_profile`.
        timeout: seconds for every wait: connecting, the first chunk, the gap between chunks; for `chat` the
            whole call to one model. `None` waits forever. Not given: `LLMRING_PROVIDER_TIMEOUT_S`, else 60.
        max_retries: how often a model is asked again where no stand-by remains, and what went wrong may pass.
        aliases: aliases without a file, each with its `provider:model`, or several: `{"chatbot": "ollama:llama3.2"}`.
            They win over the file's, in every profile.
        deadline: seconds for a whole request: all models, retries and pauses, and the reading of a stream. `None` sets
            no bound but those of `timeout`.
        api_keys: keys by provider, before those of the environment; `None` for one leaves it to that. A name that is
            no provider is refused.
        max_bytes: the most bytes, unpacked, that one line, one event, the calls or the whole body of an answer may
            have. An answer with more is an error. Not given: 64 MiB.
        max_connections: how many connections to one provider may be open at once; `None` sets no bound.
        breaker_threshold: after how many failures in a row a model is left alone for a while; 0 for never.
        breaker_cooldown: for how many seconds, before one request may try it again.
        check_context: pass over a model whose context window is certainly too small for a request, by an estimate of
            its tokens; where no other is left, that is a `ContextLengthError`, and nothing is sent.
        on_event: what is called with each event of each request (`llmring.events`), async or not; or several. Their
            errors are logged, and stop no request.
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
        on_event: events.Listener | Sequence[events.Listener] | None = None,
    ) -> None:
        # At once: from here on, what may show what it has at hand, as a traceback with locals, has no key of it.
        keys = kept(api_keys)
        del api_keys
        self._breakers = breaker.Breakers(
            requests.number(breaker_threshold, "breaker_threshold", 0),
            requests.seconds(breaker_cooldown, "breaker_cooldown", forever=False),
        )
        self.timeout = environment.timeout() if timeout is DEFAULT_TIMEOUT else requests.seconds(timeout, "timeout")
        self.deadline = requests.seconds(deadline, "deadline")
        self.max_retries = requests.number(max_retries, "max_retries", 0)
        if max_connections is not None:
            requests.number(max_connections, "max_connections", 1)
        requests.number(max_bytes, "max_bytes", 1)
        self.max_bytes = max_bytes
        self.check_context = check_context
        self._listeners = events.Listeners(on_event) if on_event is not None else None
        super().__init__(lockfile_path, profile, aliases)
        self._records = Records()
        self._registry = registry.Registry(
            self._records,
            keys=keys,
            timeout=self.timeout,
            max_retries=max_retries,
            max_connections=max_connections,
        )
        creation.check_keys(keys, self._declared)

    async def __aenter__(self) -> LLMRing:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the streams that are open and the requests that wait, and close every provider's connections."""
        self._records.closed = True
        try:
            await asyncio.gather(*(record.end() for record in self._records.all()))
            await self._edits_made()
        finally:
            await self._registry.close()

    # Asking

    def chat_stream(self, request: schemas.LLMRequest, profile: str | None = None) -> streams.ChatStream:
        """The answer as it arrives: `async for chunk in service.chat_stream(request)`.

        Nothing is sent before the first chunk is asked for, and every error is raised there or later.

        Args:
            request: what to ask.
            profile: instead of the service's.
        """
        return self._stream(request, profile, stream=True)

    @awaited
    async def chat(self, request: schemas.LLMRequest, profile: str | None = None) -> schemas.LLMResponse:
        """The whole answer.

        Args:
            request: what to ask.
            profile: instead of the service's.

        Raises:
            LockfileError: the alias is unknown, or the lockfile cannot be read.
            InvalidRequestError: no provider could take the request.
            ProviderError: what the provider, or the way to it, did wrong.
        """
        return await self._stream(request, profile, stream=False).final_response()

    def _stream(self, request: schemas.LLMRequest, profile: str | None, *, stream: bool) -> streams.ChatStream:
        was_closed = self._records.closed
        told = self._telling(request, profile, stream=stream) if self._listeners is not None else None

        def start() -> routing.Route:
            if self._records.closed and not was_closed:
                raise ended()
            return self._route(request, profile, stream=stream, told=told)

        return streams.ChatStream(getattr(request, "model", ""), start, self._records, told)

    def _route(
        self, request: schemas.LLMRequest, profile: str | None, *, stream: bool, told: Told | None = None
    ) -> routing.Route:
        """The way of a request: who may serve it, and how each is called."""
        if self._records.closed:
            raise LLMRingError("This service is closed; make a new LLMRing.")
        began = asyncio.get_running_loop().time()
        requests.check(request)
        binding, lockfile = self._bound(request.model, profile)
        asked = requests.with_params(request, binding)
        if told is not None:
            of = lockfile.profile(self._profile(profile)).name if lockfile is not None else None
            told.started(asked, binding.alias, of, binding.models)
        conduct = self._conduct(binding, request, lockfile, profile)
        timeout = requests.seconds(asked.timeout if "timeout" in asked.model_fields_set else self.timeout, "timeout")
        deadline = self.deadline if conduct is None else conduct.policy.deadline or self.deadline
        deadline = requests.seconds(asked.deadline if "deadline" in asked.model_fields_set else deadline, "deadline")
        until = began + deadline if deadline is not None else None
        lender = Lender(self, lockfile, timeout)

        async def call(
            reference: str, request: schemas.LLMRequest, form: structured.AnswerFormat | None
        ) -> tuple[base.Provider, base.Call, Callable[[], None]]:
            provider, let_go = await lender.lend(reference)
            model = lockfiles.split_reference(reference)[1]
            wait = timeout
            if conduct is not None:
                request, wait = conduct.fitted(reference, request), conduct.timeout(reference, timeout)
            more: dict[str, Any] = {"max_bytes": self.max_bytes, "files": self._files_of(request), "lender": lender}
            made = base.Call(request, model, stream, wait, form, tools=binding.tools, **more)
            return provider, made, let_go

        return routing.Route(
            binding.alias,
            asked,
            binding.models,
            self._breakers,
            call,
            lambda asked, form, models: self._pass_over(asked, form, models, binding, lockfile),
            self.max_retries,
            deadline,
            until,
            self._window(lockfile).refuse if self.check_context else None,
            told,
            conduct,
        )
