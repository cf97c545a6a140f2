"""The order of candidates: moving on from one that cannot serve, and taking over from one that broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from random import uniform
from typing import TYPE_CHECKING, Any, TypeVar

from .breaker import Breakers
from .exceptions import (
    CircuitBreakerError,
    LLMRingError,
    ModelNotFoundError,
    ProviderError,
    ProviderNotFoundError,
    ProviderTimeoutError,
    is_passing,
    may_be_repeated,
)
from .providers.answer import Answer
from .providers.base import Call, Provider
from .request import prepare
from .schemas import LLMRequest, LLMResponse, Message, StreamChunk
from .tracebacks import bare

if TYPE_CHECKING:
    from .structured import AnswerFormat

__all__ = ["Route", "moves_on"]

logger = logging.getLogger("llmring")
T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a model is asked again: twice as long each time, unless the provider names them."""

_CONTINUE = (
    "Your answer was cut off by a fault of the connection. Continue it from exactly where it ends, in the middle of a "
    "word if need be. Repeat nothing, and say nothing about this."
)


def moves_on(error: BaseException) -> bool:
    """Whether the next candidate is tried: the failure is the provider's, not the request's."""
    if isinstance(error, ProviderError) and error.out_of_credit:
        return True
    return is_passing(error) or isinstance(error, CircuitBreakerError | ModelNotFoundError | ProviderNotFoundError)


class Route:
    """One request's way along the models of its alias.

    Args:
        alias: what the request named.
        request: what to ask.
        candidates: who may serve, in order: `provider:model`.
        breakers: the service's.
        call: of a candidate, the request as every wire reads it, and the form of the answer, gives the provider, the
            call to make of it, and what lets go of the provider.
        max_retries: how often the last candidate is asked again.
        deadline, until: seconds for all of it, and when they are over, in the loop's time; `None` sets no bound.

    Attributes:
        attempts: the errors of the candidates that were moved on from, in order.
        retries: how often one was asked again.
    """

    def __init__(
        self,
        alias: str,
        request: LLMRequest,
        candidates: Sequence[str],
        breakers: Breakers,
        call: Callable[[str, LLMRequest, AnswerFormat | None], Awaitable[tuple[Provider, Call, Callable[[], None]]]],
        max_retries: int = 0,
        deadline: float | None = None,
        until: float | None = None,
    ) -> None:
        self.until = until
        self.attempts: list[ProviderError] = []
        self.retries = 0
        self._alias = alias
        self._request = request
        self._form: AnswerFormat | None = None
        self._candidates = list(candidates)
        self._alone = len(candidates) == 1 and candidates[0] != alias
        self._breakers = breakers
        self._call = call
        self._max_retries = max_retries
        self._deadline = deadline

    async def stream(self) -> tuple[Answer, list[StreamChunk]]:
        """The answer of the first candidate that gives a chunk, with the chunks that came first.

        Raises:
            ProviderError: of the last one tried, the earlier ones listed in its `attempts`.
        """
        return await self._in_time(self._begin(_open))

    async def whole(self) -> LLMResponse:
        """The whole answer of the first candidate that gives one.

        Raises:
            ProviderError: of the last one tried, the earlier ones listed in its `attempts`.
        """
        answer, response = await self._in_time(self._begin(_whole))
        response.attempts, response.retries = list(self.attempts), self.retries
        response.parsed = self.parsed(answer, response)
        return response

    def parsed(self, answer: Answer, response: LLMResponse) -> Any:
        """What a whole answer says in the form that was asked for; `None` where none was.

        Raises:
            ProviderResponseError: it does not have the form.
        """
        if (form := answer.call.form) is None:
            return None
        try:
            return form.check(response, answer.provider.name, answer.call.model, at=answer.decoder.answer_at)
        except LLMRingError as error:
            raise self.listing(error)  # noqa: B904 - it is the same error

    def may_resume(self, answer: Answer) -> bool:
        """Whether an answer that broke off may be gone on with: it was asked for, and only text was under way."""
        return (
            self._request.on_interrupt == "resume"
            and answer.failure is not None
            and moves_on(answer.failure)
            and not self.is_late()
            and not answer.decoder.calls
            and answer.call.form is None
            and (answer.can_go_on or len(self._candidates) > 1)
        )

    async def resume(self, answer: Answer, said: str) -> tuple[Answer, list[StreamChunk]]:
        """Go on with an answer that broke off: where its provider kept its place, else by the next candidate.

        Args:
            answer: what broke off.
            said: its text so far.

        Raises:
            ProviderError: nobody could go on.
        """
        return await self._in_time(self._resume(answer, said))

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.until is not None and asyncio.get_running_loop().time() >= self.until

    def late(self) -> ProviderTimeoutError:
        """The error to raise then. It says nothing of the model, which may have had but little of the time."""
        provider, _, model = self._candidates[0].partition(":")
        error = ProviderTimeoutError(
            f"The deadline of {self._deadline:g} s passed before {provider}:{model} had answered. Raise `deadline`, or "
            "set none.",
            provider=provider,
            model=model,
        )
        error.asked = False
        return error

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout_at(self.until) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
        raise self.listing(self.late())

    async def _resume(self, answer: Answer, said: str) -> tuple[Answer, list[StreamChunk]]:
        broken = bare(answer.failure) if answer.failure is not None else None
        if answer.can_go_on:
            logger.warning("%s: %s broke off and goes on from its own token: %s", self._alias, answer.model, broken)
            chunks = await answer.go_on()
            if chunks:
                return answer, chunks
        await answer.close()
        if isinstance(broken, ProviderError):
            self.attempts.append(broken)
        del self._candidates[0]
        if not self._candidates:
            assert answer.failure is not None
            raise self.listing(answer.failure)
        logger.warning("%s: %s broke off, %s goes on: %s", self._alias, answer.model, self._candidates[0], broken)
        turns = [*self._asked]
        if said:
            turns += [Message(role="assistant", content=said), Message(role="user", content=_CONTINUE)]
        self._request = self._request.model_copy(update={"messages": turns})
        return await self._first(_open)

    async def _begin(self, serve: Callable[[Provider, Call], Awaitable[tuple[Answer, T]]]) -> tuple[Answer, T]:
        self._request, self._form = await prepare(self._request)
        self._asked = self._request.messages
        return await self._first(serve)

    async def _first(self, serve: Callable[[Provider, Call], Awaitable[tuple[Answer, T]]]) -> tuple[Answer, T]:
        while True:
            candidate, *following = self._candidates
            try:
                return await self._try(candidate, serve)
            except ProviderError as error:
                if not following or not moves_on(error):
                    self.listing(error)
                    raise
                self.attempts.append(bare(error))
                self._candidates = following
                logger.warning("%s: moving on from %s to %s: %s", self._alias, candidate, following[0], error)

    def listing(self, error: LLMRingError) -> LLMRingError:
        """The error, with the attempts before it listed on it, or with the advice to have somebody for the next."""
        if self._alone and not self.is_late() and (is_passing(error) or isinstance(error, CircuitBreakerError)):
            error.args = (f"{error} Or bind a stand-by model to the alias.",)
        if isinstance(error, ProviderError) and self.attempts:
            error.attempts = list(self.attempts)
            error.args = (f"{error} Tried before it, in vain: {', '.join(map(_tried, self.attempts))}.",)
        for earlier in self.attempts:
            error.add_note(f"Before it: {earlier}")
        return error

    async def _try(
        self, candidate: str, serve: Callable[[Provider, Call], Awaitable[tuple[Answer, T]]]
    ) -> tuple[Answer, T]:
        breaker = self._breakers.of(candidate)
        probe = breaker.admit() if breaker is not None else False
        let_go = None
        try:
            provider, call, let_go = await self._call(candidate, self._request, self._form)
            answer, served = await self._ask(provider, call.begun(), serve)
        except BaseException as error:
            if breaker is not None:
                breaker.ended(error, probe)
            if let_go is not None:
                let_go()
            raise
        answer.when_closed(let_go)
        if breaker is not None:
            breaker.began(probe)
            answer.report_to(breaker.ended)
        return answer, served

    async def _ask(
        self, provider: Provider, call: Call, serve: Callable[[Provider, Call], Awaitable[tuple[Answer, T]]]
    ) -> tuple[Answer, T]:
        """Ask one candidate, and where nobody comes after it again, if what went wrong may pass in the time left."""
        most = self._max_retries if len(self._candidates) == 1 else 0
        loop = asyncio.get_running_loop()
        for retry in count():
            try:
                return await serve(provider, call)
            except ProviderError as error:
                if retry == most or not may_be_repeated(error):
                    raise
                pause = _pause(error, retry)
                if any(until is not None and loop.time() + pause >= until for until in (call.until, self.until)):
                    raise
                if pause > _LONGEST_PAUSE and not error.by_header:
                    # Words of a body are for the caller to weigh: half a minute of silence is not what they ask for.
                    raise
                logger.info(
                    "%s: asking %s:%s again in %.1f s (%d of %d): %s",
                    *(self._alias, provider.name, call.model, pause, retry + 1, most, bare(error)),
                )
            await asyncio.sleep(pause)
            self.retries += 1
        raise AssertionError


def _tried(error: ProviderError) -> str:
    return f"{error.provider}:{error.model}" if error.model else str(error.provider)


def _pause(error: ProviderError, retry: int) -> float:
    if error.retry_after:
        return error.retry_after
    # Those that failed together do not all come again together.
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**retry) * uniform(0.75, 1.0)  # noqa: S311 - no secret


async def _open(provider: Provider, call: Call) -> tuple[Answer, list[StreamChunk]]:
    """Open an answer and wait for its first chunks: until they come, another candidate may serve."""
    answer = None
    try:
        async with asyncio.timeout_at(call.until):
            answer = await Answer.open(provider, call)
            chunks = await answer.read()
    except TimeoutError as error:
        if answer is None:
            raise provider.error(error, call) from None
        chunks = answer.silence()
    except BaseException:
        if answer is not None:
            await answer.close()
        raise
    if not chunks and answer.failure is not None:
        await answer.close()
        raise _with_partial(answer.failure, answer)
    return answer, chunks


async def _whole(provider: Provider, call: Call) -> tuple[Answer, LLMResponse]:
    """Open an answer, and read all of it."""
    answer = None
    try:
        async with asyncio.timeout_at(call.until):
            answer = await Answer.open(provider, call)
            response = await answer.whole()
    except (LLMRingError, TimeoutError) as error:
        failure = provider.error(error, call)
        raise failure if answer is None else _with_partial(failure, answer) from None
    finally:
        if answer is not None:
            await answer.close()
    return answer, response


def _with_partial(failure: LLMRingError, answer: Answer) -> LLMRingError:
    if isinstance(failure, ProviderError):
        failure.begun = True
        failure.partial = failure.partial or answer.received()
    return failure
