"""What a request passes before a model is asked for it, and what is told of it when it has ended, however it ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from ..breaker import counts
from ..exceptions import (
    BudgetExceededError,
    CircuitBreakerError,
    ConfigurationError,
    LLMRingError,
    ProviderError,
    ProviderRateLimitError,
    ProviderTimeoutError,
)
from ..lockfile.policy import each
from . import limits
from .asks import MICRO, NANO, Ask, Other, Told, Verdict, name_of
from .costs import Costs, Subject
from .line import given
from .windows import end_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..answer import Answer, Call
    from ..schemas import LLMRequest
    from ..wire.base import Decoder
    from .desk import Desk

__all__ = ["Gate", "Pass", "Subject"]


class _Early(NamedTuple):
    """What was asked for a model before its turn, and what the store said."""

    model: str
    ask: Ask
    verdict: Verdict


class Gate:
    """The gate of one request.

    Args:
        desk: of the store, in this event loop.
        subject: whose.
        who: the value of the request's metadata that its budget is counted by; `None`: it has none.

    Attributes:
        desk, subject: as above.
        costs: what it may take, and took.
    """

    def __init__(self, desk: Desk, subject: Subject, who: str | None) -> None:
        self.desk = desk
        self.subject = subject
        self._name = name_of(subject.profile, subject.alias)
        self._who = "" if who is None else ":" + sha256(who.encode(errors="surrogatepass")).hexdigest()[:16]
        self.costs = Costs(desk.habits, subject)
        self._early: _Early | None = None

    async def admit(self, model: str, call: Call, *, elsewhere: bool, until: float | None) -> Pass:
        """Wait until a model may be asked.

        Args:
            model: the `provider:model`.
            call: what it is to be asked.
            elsewhere: another one stands by.
            until: when the request must have ended, in the loop's time; `None` sets no bound.

        Raises:
            BudgetExceededError: it may cost more than is left.
            ConfigurationError: there is a budget, and the model has no price.
            ProviderRateLimitError: it would be too long a wait.
            CircuitBreakerError: the model is left alone.
            StoreUnavailableError: the store is away, and nobody goes without it.
        """
        rate, desk, early = self.subject.policy.rate, self.desk, self._early
        verdict: Verdict | None = None
        if early is not None and early.model == model:
            self._early, ask, verdict = None, early.ask, early.verdict
        else:
            self.forget()
            ask = await self._ask(model, call.request, elsewhere=elsewhere)
        if rate is not None:
            if call.timeout is not None:
                soonest = asyncio.get_running_loop().time() + call.timeout
                until = soonest if until is None else min(until, soonest)
            verdict = await desk.line(ask.rate).through(ask, until, verdict)
        elif verdict is None:
            found = desk.ask(ask)
            verdict = found if isinstance(found, Verdict) else await given(desk, ask, found)
        if verdict.no:
            raise self._refusal(model, ask, verdict)
        return Pass(self, model, call, ask, verdict)

    async def placed(self, place: str, kept: int, requests: Mapping[str, LLMRequest]) -> str:
        """Which model a conversation is with. Whether that one may be asked is found out along with it, for `admit`.

        Args:
            place: the record of that.
            kept: microseconds that it stays so.
            requests: what to ask each of the models that it may be with, the first of them if it is with none.

        Raises:
            StoreUnavailableError, ConfigurationError: as `admit` has it.
        """
        model, *others = requests
        desk, rate = self.desk, self.subject.policy.rate
        # Those who wait are before it.
        is_alone = rate is not None and bool(desk.line(f"rate:{self._name}").waiting)
        ask = Ask() if is_alone else await self._ask(model, requests[model], elsewhere=bool(others))
        may_be = [Other(it) if is_alone else await self._other(it, requests[it]) for it in others]
        ask = ask._replace(place=place, model=model, kept=kept, others=tuple(it for it in may_be if it is not None))
        found = desk.ask(ask)
        verdict = found if isinstance(found, Verdict) else await given(desk, ask, found)
        chosen = ask.of(verdict.which)
        if not is_alone:
            self._early = _Early(chosen.model, chosen, verdict)
        return chosen.model

    def forget(self) -> None:
        """Undo what was taken for a model that is not asked."""
        if (early := self._early) is None:
            return
        self._early = None
        self.desk.give_back(early.ask, early.verdict._replace(which=0))

    async def _other(self, model: str, request: LLMRequest) -> Other | None:
        try:
            ask = await self._ask(model, request, elsewhere=True)
        except ConfigurationError:  # it has no price: whoever asks it is told
            return None
        return Other(model, ask.breaker, ask.limit, ask.weight, ask.tokens, ask.most)

    async def _ask(self, model: str, request: LLMRequest, *, elsewhere: bool) -> Ask:
        rate, budget, desk = self.subject.policy.rate, self.subject.policy.budget, self.desk
        fields: dict[str, Any] = {}
        if desk.is_far and self.subject.threshold:
            cooldown = round(self.subject.cooldown * MICRO)
            fields |= {"breaker": f"breaker:{model}", "threshold": self.subject.threshold, "cooldown": cooldown}
        if rate is not None:
            period = round(rate.seconds * MICRO)
            # What only a provider's own limit may ask for is worth no look at the request.
            weight = self.costs.tokens(model, request) if rate.tokens is not None else self.costs.usual(model)
            fields |= {
                "client": desk.line(f"rate:{self._name}").client,
                "rate": f"rate:{self._name}",
                "limit": f"limit:{model}",
                "burst": period,
                "weight": weight,
            }
            fields["elsewhere"] = elsewhere
            if rate.requests is not None:
                fields["request"] = -(-period // rate.requests)
            if rate.tokens is not None:
                fields["tokens"] = -(-period * weight // rate.tokens)
        if budget is not None:
            fields |= {"budget": f"budget:{self._name}{self._who}", "per": budget.per, "usd": round(budget.usd * NANO)}
            fields["most"] = await self._most(model, request)
        return Ask(**fields)

    async def _most(self, model: str, request: LLMRequest) -> int:
        """The dearest that a request can be, in billionths of a dollar."""
        cost = await self.costs.most(model, request)
        budget = self.subject.policy.budget
        if isinstance(cost, str):
            if budget is not None and budget.unpriced == "allow":
                return 0
            raise ConfigurationError(
                f"{self.subject.alias} has a budget, and {model} is not priced, so that it cannot be kept: {cost}. "
                'Bind a model with a price, or write in its budget: unpriced = "allow"'
            )
        return cost

    def _refusal(self, model: str, ask: Ask, verdict: Verdict) -> LLMRingError:
        provider, _, name = model.partition(":")
        alias, wait = self.subject.alias, verdict.wait / MICRO
        if verdict.no == "budget":
            return self._spent(model, ask, verdict)
        if verdict.no == "breaker":
            return CircuitBreakerError(
                f"{model} failed {verdict.failures} times in a row, for all who share the store, and is left alone for "
                f"now. Try again in {wait:.1f} s.",
                retry_after=wait,
                provider=provider,
                model=name,
            )
        if verdict.no == "limit":
            error = ProviderRateLimitError(
                f"{model} has said that it wants no such request for the next {wait:.1f} s, and was not asked.",
                retry_after=wait,
                provider=provider,
                model=name,
                # What it has said means that, and the next model is tried.
                status_code=429,
            )
        else:
            rate = self.subject.policy.rate
            assert rate is not None
            said = " and ".join(
                f"{count:,} {what}" for count, what in ((rate.requests, "requests"), (rate.tokens, "tokens")) if count
            )
            error = ProviderRateLimitError(
                f"{alias} may ask {said} {each(rate.per)}, and others are before this request: its turn did not come "
                f"in the time that it has, and is {wait:.1f} s away at least. It was not sent. Raise its `rate`, or "
                "the request's `deadline` and `timeout`.",
                retry_after=wait,
                provider=provider,
                model=name,
            )
        error.asked = False
        return error

    def _spent(self, model: str, ask: Ask, verdict: Verdict) -> BudgetExceededError:
        budget, alias = self.subject.policy.budget, self.subject.alias
        assert budget is not None
        opens = datetime.fromtimestamp(end_of(verdict.now, budget.per) / MICRO, UTC)
        spent, held, needed = (it / NANO for it in (verdict.spent, verdict.held, ask.most))
        whose = f", for each {budget.by}" if budget.by is not None else ""
        under_way = f", answers under way may cost {_usd(held)}" if held else ""
        advice = f"The next {budget.per} begins at {opens:%Y-%m-%d %H:%M} UTC."
        if ask.most > ask.usd:
            advice = "That is more than all of it: set `max_tokens`, or raise the budget."
        return BudgetExceededError(
            f"{alias} may cost {_usd(budget.usd)} {each(budget.per)}{whose}; {_usd(spent)} are spent{under_way}, and "
            f"this request may cost {_usd(needed)} with {model}. It was not sent. {advice}",
            alias=alias,
            profile=self.subject.profile,
            usd=budget.usd,
            per=budget.per,
            by=budget.by,
            spent=spent,
            held=held,
            needed=needed,
            opens_at=opens,
            retry_after=(end_of(verdict.now, budget.per) - verdict.now) / MICRO,
        )


class Pass:
    """What was taken for a request, until what it really took is known.

    Args:
        gate: that let it through.
        model, call: what is asked.
        ask, verdict: what was asked of the store, and what it said.
    """

    def __init__(self, gate: Gate, model: str, call: Call, ask: Ask, verdict: Verdict) -> None:
        self._gate = gate
        self._model = model
        self._call = call
        self._ask = ask
        self._verdict = verdict
        self._desk = gate.desk.desk_of(verdict)
        self._held = gate.desk.hold(ask, verdict) if ask.budget else None
        self._weight = ask.weight
        self._cost: int | None = None

    def began(self, answer: Answer) -> None:
        """The first of an answer is there."""
        told: list[Told] = []
        if self._ask.limit and self._gate.desk.habits.listens(self._model):
            headers = answer.response.headers
            if (figures := limits.told_by(headers)) is not None:
                told.append(("limit", self._ask.limit, figures))
            self._gate.desk.habits.heard(self._model, is_silent=figures is None)
        if self._verdict.probe:
            told.append(("breaker", self._ask.breaker, ("began", 1, self._ask.threshold)))
            self._verdict = self._verdict._replace(probe=0, failures=self._ask.threshold - 1)
        if told:
            self._desk.tell(*told)
        # Of the answer only its decoder is held: an answer in a cycle would not be closed when it is dropped.
        decoder = answer.decoder
        answer.hear(lambda failure: self._ended(failure, decoder))

    def retried(self, error: ProviderError) -> None:
        """The model is asked again after an error."""
        told: list[Told] = []
        if self._ask.request:
            told.append(("rate", self._ask.rate, (self._ask.request, 0)))
        if self._ask.limit and error.retry_after:
            told.append(("limit", self._ask.limit, limits.alone(error.retry_after)))
        if told:
            self._desk.tell(*told)

    def failed(self, error: BaseException) -> None:
        """There is no answer."""
        weight: int = 0
        cost: int | None = 0
        partial = error.partial if isinstance(error, ProviderError) else None
        if partial is not None or not isinstance(error, LLMRingError) or isinstance(error, ProviderTimeoutError):
            # It may have been read, and all of an answer made that is not streamed.
            weight, cost = self._gate.costs.asked(self._model, self._call)
            if not self._call.stream and isinstance(error, ProviderTimeoutError):
                weight, cost = self._ask.weight, self._ask.most
        if isinstance(error, ProviderError) and not error.asked:
            weight = cost = 0
        told = self._settled(weight, cost)
        if self._ask.limit and isinstance(error, ProviderError) and error.asked and error.retry_after:
            told.append(("limit", self._ask.limit, limits.alone(error.retry_after)))
        self._tell(told, error)

    def _ended(self, failure: LLMRingError | None, decoder: Decoder) -> None:
        # An answer may end more than once, where it is gone on with: each time, it is told of what came since.
        if not self._ask.tokens and self._held is None:
            self._tell([], failure)
            return
        self._tell(self._settled(*self._gate.costs.settled(self._model, self._call, decoder)), failure)

    def _settled(self, weight: int, cost: int | None) -> list[Told]:
        # What has no price at its end, as of a tier that nobody knows, is taken for what it might have cost.
        cost = self._ask.most if cost is None else cost
        told: list[Told] = []
        rate = self._gate.subject.policy.rate
        if self._ask.rate and rate is not None and rate.tokens is not None and weight != self._weight:
            parts = [-(-self._ask.burst * it // rate.tokens) for it in (weight, self._weight)]
            told.append(("rate", self._ask.rate, (0, parts[0] - parts[1])))
        self._weight = weight
        if self._held is not None and cost != self._cost:
            self._held.spend(cost - (self._cost or 0))
            self._cost = cost
        return told

    def _tell(self, told: list[Told], error: BaseException | None) -> None:
        if self._ask.breaker:
            verdict = self._verdict
            how = "ok" if error is None else "failed" if counts(error) else "none"
            if how == "failed" or verdict.probe or (how == "ok" and verdict.failures):
                told.append(("breaker", self._ask.breaker, (how, verdict.probe, self._ask.threshold)))
                self._verdict = verdict._replace(probe=0)
        if told:
            self._desk.tell(*told)


def _usd(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.995 or not dollars else f"${dollars:.4g}"
