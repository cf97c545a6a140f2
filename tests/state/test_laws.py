"""The laws of rates and budgets, whatever comes in whatever order: requests, crashes, and clocks that are set back."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llmring.state.asks import MICRO, Ask, Told, Verdict
from llmring.state.redis import RedisStore
from llmring.state.rules import BUCKET, GRACE, LEASE
from llmring.state.stores import Stepped
from llmring.state.windows import window_of

from .servers import Server
from .test_rules import START, Timed, TimedFile

BURST = 10 * MICRO
REQUEST = MICRO
TOKENS = 1000
"""Tokens in a period."""
USD = 600_000
CLIENTS = ("one", "two", "three")


class TimedServer(RedisStore):
    """At a time that the test says."""

    at = START

    async def step(self, told: Any, asks: Any) -> Stepped:
        return await self.step_at(str(self.at), told, asks)


@dataclass
class Request:
    client: str
    came: int
    tokens: int
    most: int
    bucket: int = 0
    window: int = 0
    lost: bool = False


@dataclass
class Client:
    """A process, with those who wait in it. Its head has been told by the store when to come back, or has not asked."""

    name: str
    waiting: deque[Request] = field(default_factory=deque)
    back_at: int | None = None
    life: int = 0


class Laws(RuleBasedStateMachine):
    """Each request takes a tenth of a period, some tokens, and some of a budget of an hour."""

    url: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.store: Any = Timed()
        # True time: it never goes back.
        self.true = 0
        self.set_back = False
        self.clients = {name: Client(name) for name in CLIENTS}
        self.under_way: list[Request] = []
        self.let_through: list[tuple[int, int]] = []
        self.wrong_tokens = 0
        self.spent: dict[int, int] = {}
        self.wrong: dict[int, int] = {}

    @initialize()
    def make(self) -> None:
        if self.url == "sqlite":
            self.store = TimedFile(str(Path(self.folder.name) / "state.db"))
        elif self.url:

            async def clean() -> RedisStore:
                store = TimedServer(self.url)
                await store.remove(await store.entries())
                return store

            self.store = self.runner.run(clean())
        self.store.at = START

    def step(self, told: list[Told], asks: list[Ask]) -> list[Verdict]:
        return list(self.runner.run(self._stepped(told, asks)).verdicts)

    async def _stepped(self, told: list[Told], asks: list[Ask]) -> Stepped:
        stepped: Stepped = await self.store.step(told, asks)
        return stepped

    def of(self, client: Client, request: Request) -> Ask:
        parts = -(-BURST * request.tokens // TOKENS)
        behind = client.waiting[1] if len(client.waiting) > 1 else None
        return Ask(
            client=f"{client.name}{client.life}",
            age=max(0, self.true - request.came),
            rate="rate:x",
            request=REQUEST,
            tokens=parts,
            burst=BURST,
            budget="budget:x",
            usd=USD,
            most=request.most,
            per="hour",
            next_age=-1 if behind is None else max(0, self.true - behind.came),
            next_tokens=0 if behind is None else -(-BURST * behind.tokens // TOKENS),
        )

    def ask(self, client: Client) -> str:
        """The head asks; what it was told."""
        head = client.waiting[0]
        (verdict,) = self.step([], [self.of(client, head)])
        if verdict.no == "rate":
            assert verdict.wait > 0
            client.back_at = self.true + verdict.wait
            return "rate"
        client.waiting.popleft()
        client.back_at = self.true + max(0, verdict.wait) if client.waiting and not verdict.no else None
        if not verdict.no:
            head.bucket, head.window = self.store.at // BUCKET + LEASE, window_of(self.store.at, "hour")
            self.under_way.append(head)
            self.let_through.append((self.true, head.tokens))
        elif not client.waiting:
            self.step([("leave", "rate:x", (f"{client.name}{client.life}",))], [])
        return verdict.no

    @rule(
        name=st.sampled_from(CLIENTS),
        several=st.lists(
            st.tuples(st.sampled_from([0, 10, 60, 400, 1500]), st.sampled_from([0, 100_000, 300_000])),
            min_size=1,
            max_size=6,
        ),
    )
    def arrive(self, name: str, several: list[tuple[int, int]]) -> None:
        client = self.clients[name]
        for tokens, most in several:
            client.waiting.append(Request(name, self.true, tokens, most))
            if len(client.waiting) == 1:
                client.back_at = None
        self.come_back(name)

    @rule()
    def all_come_back(self) -> None:
        for name in CLIENTS:
            self.come_back(name)

    @rule(name=st.sampled_from(CLIENTS))
    def come_back(self, name: str) -> None:
        client = self.clients[name]
        while client.waiting and (client.back_at is None or client.back_at <= self.true):
            came = client.waiting[0].came
            earlier = [
                it for it in self.clients.values() if it.waiting and (it.waiting[0].came, it.name) < (came, name)
            ]
            first = min(earlier, key=lambda it: (it.waiting[0].came, it.name), default=None)
            if first is not None and self.ask(first) != "rate":
                continue
            before, promised = len(self.let_through), first.back_at if first is not None else None
            if self.ask(client) == "rate":
                break
            if first is not None and len(self.let_through) > before:
                # Who came before all others has lost nothing by it.
                told = self.ask(first)
                assert promised is not None
                assert first.back_at is None or told != "rate" or first.back_at <= promised

    @rule(passed=st.sampled_from([1, MICRO // 3, MICRO, 2 * MICRO, 3 * MICRO, 15 * MICRO, 70 * MICRO, 3600 * MICRO]))
    def time_passes(self, passed: int) -> None:
        self.store.at += passed
        self.true += passed

    @rule(back=st.sampled_from([1, MICRO, 40 * MICRO, 3000 * MICRO]))
    def the_clock_is_set_back(self, back: int) -> None:
        self.store.at -= back
        self.set_back = True
        # A reservation may have come to stand in another window, or in no time that the store believes.
        for request in self.under_way:
            request.lost = True

    @precondition(lambda self: self.under_way)
    @rule(
        which=st.integers(0, 50), tokens=st.sampled_from([0, 60, 1500]), part=st.sampled_from([0.0, 0.5, 1.0, 1.0, 1.3])
    )
    def finish(self, which: int, tokens: int, part: float) -> None:
        request = self.under_way.pop(which % len(self.under_way))
        cost = int(request.most * part)
        parts = -(-BURST * tokens // TOKENS) + BURST * -request.tokens // TOKENS
        told: list[Told] = [("spent", "budget:x", ("hour", request.bucket, request.most, cost))]
        if parts:
            told.append(("rate", "rate:x", (0, parts)))
        lapsed = request.lost or request.bucket < self.store.at // BUCKET
        self.step(told, [])
        window = window_of(self.store.at, "hour")
        self.spent[window] = self.spent.get(window, 0) + cost
        wrong = cost if lapsed else max(0, cost - request.most)
        self.wrong[window] = self.wrong.get(window, 0) + wrong
        self.wrong_tokens += abs(tokens - request.tokens)

    @precondition(lambda self: self.under_way)
    @rule()
    def hold_longer(self) -> None:
        for request in self.under_way:
            if request.bucket >= self.store.at // BUCKET and not request.lost:
                self.step([("lease", "budget:x", (request.bucket, request.most))], [])
                request.bucket = self.store.at // BUCKET + LEASE

    @rule(name=st.sampled_from(CLIENTS))
    def crash(self, name: str) -> None:
        """Whoever waited is gone, and whatever is under way is never heard of again."""
        client = self.clients[name]
        client.waiting.clear()
        client.back_at = None
        client.life += 1
        self.under_way = [it for it in self.under_way if it.client != name]

    @rule(name=st.sampled_from(CLIENTS))
    def leave(self, name: str) -> None:
        client = self.clients[name]
        if client.waiting:
            client.waiting.popleft()
            client.back_at = None
            if not client.waiting:
                self.step([("leave", "rate:x", (f"{client.name}{client.life}",))], [])

    @invariant()
    def no_budget_is_overspent_by_more_than_the_estimates_were_wrong(self) -> None:
        now = window_of(self.store.at, "hour")
        live = [it for it in self.under_way if not it.lost and it.bucket >= self.store.at // BUCKET]
        for window in {*self.spent, now}:
            held = sum(it.most for it in live) if window == now else 0
            assert self.spent.get(window, 0) + held <= USD + self.wrong.get(window, 0)

    @invariant()
    def no_rate_is_exceeded_by_more_than_its_burst(self) -> None:
        for start in range(len(self.let_through)):
            began, tokens = self.let_through[start][0], 0
            for number, (at, needs) in enumerate(self.let_through[start:], 1):
                tokens += needs
                assert number * REQUEST <= BURST + at - began
                # One that is larger than all of it goes when nothing is unpaid.
                most = TOKENS * (BURST + at - began) / BURST + max(0, needs - TOKENS) + number
                largest = max(it for _, it in self.let_through[start:][:number])
                assert tokens <= most + max(0, largest - TOKENS) + self.wrong_tokens

    def teardown(self) -> None:
        try:
            self.nobody_starves()
            self.a_crash_holds_nothing_for_longer_than_a_minute()
        finally:
            close = getattr(self.store, "close", None)
            if close is not None:
                self.runner.run(close())
            self.runner.close()
            self.folder.cleanup()

    def a_crash_holds_nothing_for_longer_than_a_minute(self) -> None:
        self.store.at += 60 * MICRO
        (verdict,) = self.step([], [Ask(budget="budget:x", usd=USD, per="hour")])
        # A minute of a clock that was set back is longer.
        assert verdict.held == 0 or self.set_back

    def nobody_starves(self) -> None:
        """Whoever comes back when he was told is let through, after no more time than all that is before him takes."""
        waiting = sum(len(it.waiting) for it in self.clients.values())
        tokens = sum(it.tokens for client in self.clients.values() for it in client.waiting)
        unpaid = sum(it for _, it in self.let_through) + self.wrong_tokens + tokens + TOKENS
        before = (len(self.let_through) + waiting + 10) * REQUEST + BURST * unpaid // TOKENS + 10 * GRACE
        # The place of one that is gone is kept until it would have been its turn.
        until = self.true + 2 * before
        while any(it.waiting for it in self.clients.values()):
            # Those who were never told when come now.
            due = min(self.clients.values(), key=lambda it: (not it.waiting, it.back_at or 0))
            passed = max(0, (due.back_at or 0) - self.true)
            self.store.at += passed
            self.true += passed
            self.ask(due)
            assert self.true <= until


SETTINGS = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", ["process", "sqlite", "redis"])
def test_no_order_of_things_breaks_the_laws(kind: str, request: pytest.FixtureRequest) -> None:
    url = kind if kind == "sqlite" else ""
    if kind == "redis":
        server: Server = request.getfixturevalue("redis")
        url = server.url

    class Here(Laws):
        pass

    Here.url = url
    run_state_machine_as_test(Here, settings=SETTINGS)
