"""The order of candidates: moving on from one that cannot serve, and taking over from one that broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from random import uniform
from typing import TYPE_CHECKING, TypeVar

from . import concealment, structured
from .answer import Adapter, Answer, Call
from .breaker import Breakers
from .exceptions import (
    CircuitBreakerError,
    ContextLengthError,
    LLMRingError,
    ModelCapabilityError,
    ModelNotFoundError,
    ProviderError,
    ProviderNotFoundError,
    ProviderTimeoutError,
    is_passing,
    may_be_repeated,
)
from .request import prepare
from .schemas import LLMRequest, LLMResponse, Message, StreamChunk
from .told import NOBODY, Attempt, Told

if TYPE_CHECKING:
    from .capabilities import Passed
    from .policy import Conduct, Side
    from .structured import AnswerFormat

__all__ = ["Route", "moves_on"]

logger = logging.getLogger("llmring")
_T = TypeVar("_T")
ReadsOn = Callable[[list[StreamChunk]], bool]

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
    if isinstance(error, ContextLengthError):
        return not error.asked  # the window of another may be larger
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
        pass_over: of such a request and candidates, tells who is known not to be able to take it.
        max_retries: how often the last candidate is asked again.
        deadline, until: seconds for all of it, and when they are over, in the loop's time; `None` sets no bound.
        refuse: raises for a candidate that certainly cannot take the request; `None` has all of them asked.
        told: hears of all that is tried.
        conduct: what the alias's policy does to the request; `None`: nothing.

    Attributes:
        alias, request, form, call, max_retries, told, conduct: as above; what is asked, as far as it has been prepared.
        candidates: who has not been moved on from yet.
        attempts: the errors of the candidates that were moved on from, in order.
        retries: how often one was asked again, after an error or for an answer that did not have its form.
    """

    def __init__(
        self,
        alias: str,
        request: LLMRequest,
        candidates: Sequence[str],
        breakers: Breakers,
        call: Callable[[str, LLMRequest, AnswerFormat | None], Awaitable[tuple[Adapter, Call, Callable[[], None]]]],
        pass_over: Callable[[LLMRequest, AnswerFormat | None, Sequence[str]], Passed | None],
        max_retries: int,
        deadline: float | None,
        until: float | None,
        refuse: Callable[[str, LLMRequest], Awaitable[None]] | None = None,
        told: Told | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        self.told = told or NOBODY
        self.conduct = conduct
        self.until = until
        self.attempts: list[ProviderError] = []
        self.retries = 0
        self.alias = alias
        self.request = request
        self._asked: list[Message] = []
        self.form: AnswerFormat | None = None
        self.candidates = list(candidates)
        self._alone = len(candidates) == 1 and candidates[0] != alias
        self._breakers = breakers
        self.call = call
        self._pass_over = pass_over
        self._passed: Passed | None = None
        self.max_retries = max_retries
        self._deadline = deadline
        self._refuse = refuse

    async def answer(self, broken: Answer | None = None, said: str = "") -> tuple[Answer, list[StreamChunk]]:
        """The answer of the first candidate that gives a chunk, with the chunks that came first.

        Args:
            broken: one that broke off. Its provider goes on with it, if it kept its place, else the next candidate.
            said: its text so far.

        Raises:
            ProviderError: of the last one tried, the earlier ones listed in its `attempts`.
        """
        try:
            async with asyncio.timeout_at(self.until) as limit:
                if not self._asked:
                    await self.begin()
                elif broken is not None and (chunks := await self._go_on(broken, said)):
                    return broken, chunks
                return await (self.first(self.attempt) if self.conduct is None else self.conduct.first(self))
        except TimeoutError:
            if not limit.expired():
                raise
        except LLMRingError as error:  # a budget's, of a stand-by: why it was to serve is listed, too
            if not isinstance(error, ProviderError):
                self.listing(error)
            raise
        raise self.listing(self.late())

    async def begin(self) -> None:
        """Prepare the request, and see who is known not to be able to take it."""
        if self.conduct is not None:
            self.candidates = self.conduct.order(self.candidates)
        self.request, self.form = await prepare(self.request)
        self._asked = self.request.messages
        if self.form or self.request.tools or any(isinstance(it.content, list) for it in self._asked):
            self._passed = self._pass_over(self.request, self.form, self.candidates)
            self.candidates = self._passed.able if self._passed is not None else self.candidates
        self.leave_out()

    def may_resume(self, answer: Answer) -> bool:
        """Whether an answer that broke off may be gone on with: it was asked for, and only text was under way."""
        return (
            self.request.on_interrupt == "resume"
            and answer.failure is not None
            and moves_on(answer.failure)
            and not self.is_late()
            and not answer.decoder.calls
            and answer.call.form is None
            and (answer.can_go_on or len(self.candidates) > 1)
        )

    def asks_again(self, response: LLMResponse, error: LLMRingError) -> bool:
        """Whether an answer that does not have its form is asked for again: then the next `answer` is that one."""
        request = structured.asked_again(self.request, response, error)
        if request is None or self.is_late():
            return False
        logger.info("%s: asking %s again: its answer does not have its form", self.alias, response.model)
        self.request, self.retries = request, self.retries + 1
        return True

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.until is not None and asyncio.get_running_loop().time() >= self.until

    def late(self) -> ProviderTimeoutError:
        """The error to raise then. It says nothing of the model, which may have had but little of the time."""
        provider, _, model = self.candidates[0].partition(":")
        error = ProviderTimeoutError(
            f"The deadline of {self._deadline:g} s passed before {provider}:{model} had answered. Raise `deadline`, or "
            "set none.",
            provider=provider,
            model=model,
        )
        error.asked = False
        return error

    async def _go_on(self, answer: Answer, said: str) -> list[StreamChunk]:
        """The next chunks of an answer that broke off, or none: then the next candidate is to go on with it."""
        broken = concealment.bare(answer.failure) if answer.failure is not None else None
        if answer.can_go_on:
            logger.warning("%s: %s broke off and goes on from its own token: %s", self.alias, answer.model, broken)
            self.told.resumed(answer.model, answer.model, broken)
            if chunks := await answer.go_on():
                return chunks
        await answer.close()
        self.told.broke(answer.decoder.served, broken)
        if isinstance(broken, ProviderError):
            self.attempts.append(broken)
        del self.candidates[0]
        self.leave_out()
        if not self.candidates:
            assert answer.failure is not None
            raise self.listing(answer.failure)
        logger.warning("%s: %s broke off, %s goes on: %s", self.alias, answer.model, self.candidates[0], broken)
        self.told.resumed(answer.model, self.candidates[0], broken)
        turns = [*self._asked]
        if said:
            turns += [Message(role="assistant", content=said), Message(role="user", content=_CONTINUE)]
        self.request = self.request.model_copy(update={"messages": turns})
        return []

    async def first(self, attempt: Callable[[str], Awaitable[_T]]) -> _T:
        """What an attempt gives with the first candidate with which it does not fail in a way that moves on."""
        while True:
            try:
                return await attempt(self.candidates[0])
            except ProviderError as error:
                if not self.next_after(error):
                    raise

    def next_after(self, error: ProviderError) -> bool:
        """Whether the next candidate is to be tried after one that failed; if not, the error lists the others."""
        if self.goes_on_after(error):
            self._moves_on(error)
            return True
        if len(self.candidates) == 1 and self._is_moved_on_from(error):
            self.leave_out()
        self.listing(error)
        return False

    def goes_on_after(self, error: ProviderError) -> bool:
        """Whether the next candidate is to be tried after one that failed, and there is one."""
        return len(self.candidates) > 1 and self._is_moved_on_from(error)

    def _is_moved_on_from(self, error: ProviderError) -> bool:
        return moves_on(error) or (self.conduct is not None and self.conduct.moves_on(error))

    def leaves(self, response: LLMResponse) -> bool:
        """Whether a whole answer is left, as the alias's policy has it: then the next `answer` is the next model's."""
        if self.conduct is None or len(self.candidates) == 1 or self.is_late():
            return False
        if (error := self.conduct.left(response)) is not None:
            self.told.broke(response.served[-1], error)
            self._moves_on(error)
        return error is not None

    def _moves_on(self, error: ProviderError) -> None:
        candidate, *self.candidates = self.candidates
        self.attempts.append(concealment.bare(error))
        logger.warning("%s: moving on from %s to %s: %s", self.alias, candidate, self.candidates[0], error)
        self.told.moved_on(candidate, self.candidates[0], error)
        self.leave_out()

    def leave_out(self) -> None:
        """Tell of those who are passed over before the next candidate, or at the end."""
        if self._passed is not None:
            self.attempts += self._passed.told()

    def listing(self, error: LLMRingError) -> LLMRingError:
        """The error, with the attempts before it listed on it, or with the advice to have somebody for the next."""
        if self._alone and not self.is_late() and (is_passing(error) or isinstance(error, CircuitBreakerError)):
            error.args = (f"{error} Or bind a stand-by model to the alias.",)
        if isinstance(error, ProviderError) and self.attempts:
            error.attempts = list(self.attempts)
            tried = ", ".join(map(_tried, self.attempts))
            error.args = (f"{error} Tried before it, in vain: {tried}.",)
        for earlier in self.attempts:
            error.add_note(f"Before it: {earlier}")
        return error

    async def attempt(
        self, candidate: str, *, is_last: bool | None = None, side: Side | None = None
    ) -> tuple[Answer, list[StreamChunk]]:
        """Ask one candidate.

        Args:
            candidate: who.
            is_last: nobody comes after it; not given: it is the only one left.
            side: hears when it is asked and when it begins to answer, where another one is asked beside it.
        """
        most = self.max_retries if (len(self.candidates) == 1 if is_last is None else is_last) else 0
        with self.told.attempt(candidate) as attempt:
            if self._refuse is not None:
                await self._refuse(candidate, self.request)
            breaker = self._breakers.of(candidate)
            probe, let_go = breaker.admit(), None
            try:
                provider, call, let_go = await self.call(candidate, self.request, self.form)
                ask = partial(self._ask, provider, attempt, most)
                if self.conduct is None:
                    answer, chunks = await ask(call.begun())
                else:
                    answer, chunks = await self.conduct.ask(self, candidate, attempt, call.begun(), ask, side)
            except BaseException as error:
                breaker.ended(error, probe)
                if let_go is not None:
                    let_go()
                raise
            breaker.began(probe)
            answer.hear(breaker.ended, let_go)
            return answer, chunks

    async def _ask(
        self, provider: Adapter, attempt: Attempt, most: int, call: Call, reads_on: ReadsOn | None = None
    ) -> tuple[Answer, list[StreamChunk]]:
        """Ask one candidate, and so many times at most again, if what went wrong may pass in the time left."""
        loop = asyncio.get_running_loop()
        for retry in count():
            try:
                asked = call if call.files is None else await call.files.placed(provider, call)
                return await _open(provider, asked, reads_on)
            except ProviderError as error:
                if call.files is not None and call.files.were_gone(error):
                    continue
                if retry >= most or not may_be_repeated(error):
                    raise
                pause = _pause(error, retry)
                if any(until is not None and loop.time() + pause >= until for until in (call.until, self.until)):
                    raise
                if pause > _LONGEST_PAUSE and not error.by_header:
                    # Words of a body are for the caller to weigh: half a minute of silence is not what they ask for.
                    raise
                logger.info(
                    "%s: asking %s:%s again in %.1f s (%d of %d): %s",
                    *(self.alias, provider.name, call.model, pause, retry + 1, most, concealment.bare(error)),
                )
                attempt.retried(self.retries + 1, pause, error)
                if self.conduct is not None:
                    self.conduct.retried(error)
            await asyncio.sleep(pause)
            self.retries += 1
        raise AssertionError


def _tried(error: ProviderError) -> str:
    passed = " (passed over)" * (isinstance(error, ModelCapabilityError) and not error.asked)
    return f"{error.provider}:{error.model}{passed}" if error.model else str(error.provider)


def _pause(error: ProviderError, retry: int) -> float:
    if error.retry_after:
        return error.retry_after
    # Those that failed together do not all come again together.
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**retry) * uniform(0.75, 1.0)  # noqa: S311 - no secret


async def _open(provider: Adapter, call: Call, reads_on: ReadsOn | None) -> tuple[Answer, list[StreamChunk]]:
    """Open an answer and wait for its first chunks, of a whole one for all: until then, another may serve.

    Args:
        provider, call: who is asked, and for what.
        reads_on: of the chunks so far, says whether they are not enough, where something else than that decides it.
    """
    answer, chunks = None, list[StreamChunk]()
    reads_on = reads_on or (lambda _: not call.stream)
    try:
        async with asyncio.timeout_at(call.until):
            answer = await Answer.open(provider, call)
            chunks += await answer.read()
            while reads_on(chunks) and not (answer.finished or answer.failure):
                chunks += await answer.read()
    except TimeoutError as error:
        if answer is None:
            raise provider.error(error, call) from None
        chunks += answer.silence()
    except BaseException:
        if answer is not None:
            await answer.close()
        raise
    if answer.failure is not None and (not chunks or reads_on(chunks)):
        await answer.close()
        if isinstance(answer.failure, ProviderError):
            answer.failure.begun = True
            answer.failure.partial = answer.received(chunks)
        raise answer.failure
    return answer, chunks
