"""LLMRing: resolve an alias, route to its models, hand over."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from .exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    LockfileNotFoundError,
)
from .lockfile import LiveLockfile, Lockfile, find_lockfile, resolve, split_reference
from .parts import load
from .providers.answer import Answer
from .providers.base import Call, Provider
from .providers.registry import Registry
from .routing import Candidate, first_that_serves
from .schemas import LLMRequest, LLMResponse, StreamChunk
from .stream import ChatStream, settle
from .structured import AnswerFormat, answer_format
from .tools import definitions

if TYPE_CHECKING:
    from .catalog import Cost, ModelInfo
    from .lockfile import Binding

__all__ = ["DEFAULT_TIMEOUT", "LLMRing"]

DEFAULT_TIMEOUT: Final = float("60")
"""Seconds. Known by identity: this very object means that the caller named no timeout."""

_FIELDS = frozenset(LLMRequest.model_fields) - {"model", "messages"}


class LLMRing:
    """The way to every provider.

    Making one reads nothing from the network and imports no SDK. Use it as an async context manager, or call
    `close` at the end.

    Args:
        lockfile_path: the lockfile; not given: `LLMRING_LOCKFILE_PATH`, else `llmring.lock` in the working
            directory or its nearest parent. None is needed for `provider:model`.
        profile: the profile; not given: `LLMRING_PROFILE`, else the file's `default_profile`.
        timeout: seconds for every wait: connecting, the first chunk, the gap between chunks; for `chat` the
            whole call to one model. `None` waits forever. Not given: `LLMRING_PROVIDER_TIMEOUT_S`, else 60.
        max_retries: how often an SDK tries again by itself where no stand-by remains.
        api_keys: keys by provider, before those of the environment.
        max_connections: how many connections to one provider may be open at once; `None` sets no bound.
    """

    def __init__(
        self,
        lockfile_path: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        *,
        api_keys: Mapping[str, str] | None = None,
        max_connections: int | None = None,
    ) -> None:
        if max_retries < 0:
            raise ConfigurationError(f"max_retries is {max_retries}; it counts from 0.")
        self.timeout = _seconds(_timeout_of_environment() if timeout is DEFAULT_TIMEOUT else timeout, "timeout")
        self.max_retries = max_retries
        self._given_path = lockfile_path
        self._given_profile = profile
        self._live: LiveLockfile | None = None
        self._registry = Registry(
            keys=api_keys or {},
            timeout=self.timeout,
            max_retries=max_retries,
            max_connections=max_connections,
        )
        self._streams: weakref.WeakSet[ChatStream] = weakref.WeakSet()
        self._closed = False

    async def __aenter__(self) -> LLMRing:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the streams that are open, and close every provider's connections."""
        self._closed = True
        for stream in list(self._streams):
            await stream.aclose()
        await settle()
        await self._registry.close()

    # Asking

    def chat_stream(self, request: LLMRequest, *, profile: str | None = None) -> ChatStream:
        """The answer as it arrives: `async for chunk in service.chat_stream(request)`.

        Nothing is sent before the first chunk is asked for, and every error is raised there or later.

        Args:
            request: what to ask.
            profile: instead of the service's.
        """

        async def connect() -> tuple[Answer, list[StreamChunk]]:
            binding, asked, candidates = self._route(request, profile)
            asked, form = await _prepared(asked)

            async def serve(candidate: Candidate) -> tuple[Answer, list[StreamChunk]]:
                provider, call = await self._call(asked, candidate, form, stream=True)
                return await _first_chunks(provider, call)

            return await first_that_serves(binding.alias, candidates, serve)

        stream = ChatStream(request.model, connect)
        self._streams.add(stream)
        return stream

    async def chat(self, request: LLMRequest, *, profile: str | None = None) -> LLMResponse:
        """The whole answer.

        Args:
            request: what to ask.
            profile: instead of the service's.

        Raises:
            LockfileError: the alias is unknown, or the lockfile cannot be read.
            InvalidRequestError: no provider could take the request.
            ProviderError: what the provider, or the way to it, did wrong.
        """
        binding, asked, candidates = self._route(request, profile)
        asked, form = await _prepared(asked)

        async def serve(candidate: Candidate) -> LLMResponse:
            provider, call = await self._call(asked, candidate, form, stream=False)
            response = await _whole(provider, call)
            if form is not None:
                response.parsed = form.check(response, provider.name, call.model)
            return response

        return await first_that_serves(binding.alias, candidates, serve)

    def _route(self, request: LLMRequest, profile: str | None) -> tuple[Binding, LLMRequest, list[Candidate]]:
        """Who may serve a request, and the request with the binding's params in it."""
        if self._closed:
            raise LLMRingError("This service is closed; make a new LLMRing.")
        _check(request)
        binding = self._resolve(request.model, profile)
        candidates = []
        for position, reference in enumerate(binding.models, start=1):
            provider, model = split_reference(reference)
            candidates.append(Candidate(reference, provider, model, last=position == len(binding.models)))
        return binding, _with_params(request, binding), candidates

    async def _call(
        self, request: LLMRequest, candidate: Candidate, form: AnswerFormat | None, *, stream: bool
    ) -> tuple[Provider, Call]:
        provider = await self._registry.get_async(candidate.provider, self._settings(candidate.provider))
        timeout = request.timeout if "timeout" in request.model_fields_set else self.timeout
        return provider, Call(
            request=request,
            model=candidate.model,
            stream=stream,
            timeout=_seconds(timeout, "timeout"),
            max_retries=self.max_retries if candidate.last else 0,
            form=form,
        )

    # Aliases

    def resolve_alias(self, alias: str, profile: str | None = None) -> str:
        """The `provider:model` that serves an alias now (the first of its models).

        Raises:
            AliasNotFoundError: no such alias; the message names the nearest ones.
        """
        return self._resolve(alias, profile).models[0]

    def has_alias(self, alias: str, profile: str | None = None) -> bool:
        """Whether the lockfile binds the alias."""
        lockfile = self._lockfile()
        if lockfile is None:
            return False
        try:
            binding = resolve(lockfile, alias, self._profile(profile))
        except AliasNotFoundError:
            return False
        return binding.models != (alias,)

    def require_aliases(
        self, aliases: Sequence[str], *, profile: str | None = None, context: str | None = None
    ) -> None:
        """Check that these aliases are bound, for a library to call at its start.

        Args:
            aliases: their names.
            profile: instead of the service's.
            context: who needs them, for the message.

        Raises:
            AliasNotFoundError: naming every one that is missing.
        """
        missing = [alias for alias in aliases if not self.has_alias(alias, profile)]
        if missing:
            lockfile = self._lockfile()
            who = f"{context} needs" if context else "This program needs"
            raise AliasNotFoundError(
                f"{who} aliases that {'no lockfile binds' if lockfile is None else f'{lockfile.path} does not bind'}: "
                f"{', '.join(missing)}. Bind each: "
                + "; ".join(f"llmring bind {alias} PROVIDER:MODEL" for alias in missing),
                path=lockfile.path if lockfile else None,
            )

    def list_aliases(self, profile: str | None = None) -> dict[str, str]:
        """The aliases of a profile, and the `provider:model` that serves each."""
        lockfile = self._lockfile()
        if lockfile is None:
            return {}
        bindings = lockfile.profile(self._profile(profile)).bindings
        return {alias: binding.models[0] for alias, binding in bindings.items()}

    def bind_alias(
        self,
        alias: str,
        models: str | Sequence[str],
        *,
        profile: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Bind an alias in the lockfile: the first model serves, the rest stand by.

        Args:
            alias: its name.
            models: one `provider:model`, several separated by commas, or a sequence of them.
            profile: instead of the service's; made if the file has none of that name.
            params: defaults for its requests; not given: what the file says stays.
        """
        from .lockfile import bind

        listed = [m.strip() for m in models.split(",")] if isinstance(models, str) else list(models)
        bind(self._path(), alias, listed, profile=self._profile(profile), params=params)

    def unbind_alias(self, alias: str, *, profile: str | None = None) -> None:
        """Take an alias out of the lockfile."""
        from .lockfile import unbind

        unbind(self._path(), alias, profile=self._profile(profile))

    def init_lockfile(self, path: str | os.PathLike[str] | None = None, *, force: bool = False) -> Path:
        """Write a new lockfile with no aliases yet, and use it.

        Args:
            path: where; not given: the service's `lockfile_path`, else `llmring.lock` in the working directory.
            force: replace a file that is there.
        """
        from .lockfile import SKELETON, create

        target = Path(path or self._given_path or "llmring.lock").expanduser()
        create(target, SKELETON, force=force)
        self._given_path, self._live = target, None
        return target

    def clear_alias_cache(self) -> None:
        """Read the lockfile anew at the next request. Edits are followed without it."""
        self._live = None

    def _resolve(self, name: str, profile: str | None) -> Binding:
        return resolve(self._lockfile(), name, self._profile(profile))

    def _profile(self, profile: str | None) -> str | None:
        return profile or self._given_profile or os.environ.get("LLMRING_PROFILE") or None

    def _lockfile(self) -> Lockfile | None:
        """The lockfile as it is now, `None` if there is none."""
        if self._live is None:
            path = find_lockfile(self._given_path)
            if path is None:
                return None
            self._live = LiveLockfile(path)
        return self._live.current()

    def _path(self) -> Path:
        path = find_lockfile(self._given_path)
        if path is None:
            raise LockfileNotFoundError(
                f"There is no llmring.lock in {Path.cwd()} or above it. Make one: llmring lock init"
            )
        return path

    # What it costs

    def calculate_cost(self, response: LLMResponse | StreamChunk) -> Cost:
        """What an answer cost, in US dollars; where its model is not priced, `reason` says so.

        Args:
            response: a whole answer, or the final chunk of one.
        """
        from .catalog import cost_of

        provider, _, _ = response.model.partition(":")
        settings = self._settings(provider)
        return cost_of(response, base_url=settings.base_url if settings is not None else None)

    def get_model_info(self, model: str, *, profile: str | None = None) -> ModelInfo:
        """What the catalogue knows of a model: its limits and its prices.

        Args:
            model: an alias (then: of the model that serves it), or `provider:model`.
            profile: instead of the service's.
        """
        from .catalog import model_info

        return model_info(self.resolve_alias(model, profile))

    # Providers

    def get_provider(self, name: str) -> Provider:
        """A provider's adapter; its `client` is the official SDK's async client.

        Raises:
            ProviderNotFoundError: no such provider, no key for it, or its SDK is not installed.
        """
        return self._registry.get(name, self._settings(name))

    def register_provider(self, name: str, provider: Provider) -> None:
        """Serve `name:model` by an adapter of your own. It is closed with the service."""
        self._registry.register(name, provider)

    def _settings(self, provider: str) -> Any:
        lockfile = self._lockfile()
        return lockfile.providers.get(provider) if lockfile is not None else None


async def _first_chunks(provider: Provider, call: Call) -> tuple[Answer, list[StreamChunk]]:
    """Open an answer and wait for its first chunks: until they come, another candidate may serve."""
    answer = None
    try:
        async with asyncio.timeout(call.timeout):
            answer = await Answer.open(provider, call)
            chunks = await answer.read()
    except TimeoutError as error:
        if answer is not None:
            await answer.close()
        raise provider.error(error, call) from None
    except BaseException:
        if answer is not None:
            await answer.close()
        raise
    if not chunks and answer.failure is not None:
        await answer.close()
        raise answer.failure
    return answer, chunks


async def _whole(provider: Provider, call: Call) -> LLMResponse:
    answer = None
    try:
        async with asyncio.timeout(call.timeout):
            answer = await Answer.open(provider, call)
            return await answer.whole()
    except TimeoutError as error:
        raise provider.error(error, call) from None
    finally:
        if answer is not None:
            await answer.close()


async def _prepared(request: LLMRequest) -> tuple[LLMRequest, AnswerFormat | None]:
    """The request as every wire reads it: tools defined, the answer's form a table, files read in."""
    request, form = answer_format(definitions(request))
    return await load(request), form


def _check(request: LLMRequest) -> None:
    """Refuse what no provider takes, before anything is sent."""
    if not request.messages:
        raise InvalidRequestError('The request has no messages; send at least Message(role="user", content=...).')
    if all(message.role == "system" for message in request.messages):
        raise InvalidRequestError("The request has only system messages; add a user message to answer.")
    called: set[str] = set()
    for position, message in enumerate(request.messages):
        called.update(call["id"] for call in message.tool_calls or ())
        if message.role == "tool" and message.tool_call_id not in called:
            raise InvalidRequestError(
                f"messages[{position}] is a tool's result, but no assistant message before it made the call "
                f"{message.tool_call_id!r}. Append response.to_message() first, and name the call in tool_call_id."
            )
        if message.tool_calls and message.role != "assistant":
            raise InvalidRequestError(
                f"messages[{position}] has tool_calls, but its role is {message.role!r}; only an assistant calls."
            )


def _with_params(request: LLMRequest, binding: Binding) -> LLMRequest:
    """The request with the binding's params where it says nothing itself."""
    if not binding.params:
        return request
    update: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in binding.params.items():
        if name not in _FIELDS:
            extra[name] = value
        elif name == "extra_params":
            extra.update(value)
        elif name not in request.model_fields_set:
            update[name] = value
    if extra:
        update["extra_params"] = extra | request.extra_params
    return request.model_copy(update=update)


def _timeout_of_environment() -> float | None:
    value = os.environ.get("LLMRING_PROVIDER_TIMEOUT_S", "").strip()
    if not value:
        return 60.0
    if value.lower() == "none":
        return None
    try:
        return float(value)
    except ValueError:
        raise ConfigurationError(
            f"LLMRING_PROVIDER_TIMEOUT_S is {value!r}; it takes seconds, or none to wait forever."
        ) from None


def _seconds(timeout: float | None, what: str) -> float | None:
    if timeout is not None and not timeout > 0:
        raise ConfigurationError(f"{what} is {timeout}; it takes seconds above 0, or None to wait forever.")
    return timeout
