"""The pace, against providers whose limits nobody is told of, in simulated time."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.bulk.pace import LIMITS, Begun, Outcome, Pace
from llmring.testing import PracticeServer

from .limited import SCENES as SHORT
from .limited import short
from .simulated import PACES, SCENES, Hidden, run

OURS = PACES["`llmring map`"]


@pytest.mark.parametrize("scene", SCENES)
def test_nearly_all_is_used_that_is_allowed_and_hardly_anything_refused(scene: str) -> None:
    found = run(SCENES[scene](), OURS, 1800)
    assert found.of_what_was_allowed >= 0.9
    assert found.refusals < 0.02


@pytest.mark.parametrize("seconds", [60.0, 120.0])
@pytest.mark.parametrize("depth", [1 / 60, 1 / 12, 1.0])
@pytest.mark.parametrize("scene", [it for it in SCENES if it not in ("200, then 600", "60 requests a minute")])
def test_a_run_of_a_minute_or_two_is_nearly_as_fast_from_the_first_second(
    scene: str, depth: float, seconds: float
) -> None:
    """Whatever part of a minute a bucket holds."""
    found = run(SCENES[scene](seconds, depth=depth), OURS, seconds, after=0)
    assert found.of_what_was_allowed >= 0.9
    assert found.refusals < (0.02 if seconds > 60 and depth < 1 and "tokens" not in scene else 0.05)


@pytest.mark.long
@pytest.mark.parametrize("scene", SHORT)
async def test_and_so_it_is_over_a_socket(scene: str, server: PracticeServer) -> None:
    found = await short(server, *SHORT[scene])
    assert found.seconds <= found.possible / 0.9
    assert found.refused < 0.04 * found.sent


@given(
    st.integers(1, 200),
    st.lists(st.tuples(st.sampled_from(get_args(Outcome)), st.sampled_from([None, 0.0, 0.2, 90.0]), st.floats(0, 40))),
)
def test_whatever_comes_somebody_may_begin_again(most: int, comes: list[tuple[Outcome, float | None, float]]) -> None:
    now = 0.0
    pace = Pace(most, lambda: now)
    under_way: list[Begun] = []
    for outcome, retry_after, after in comes:
        while (wait := pace.wait(len(under_way))) > 0 and not under_way:
            assert wait < 700
            now += wait
        if wait == 0:
            under_way.append(pace.begins())
        now += after
        begun = under_way.pop(0)
        pace.ended(begun, len(under_way) + 1, outcome, retry_after)
        assert 1 <= pace.window <= most
        assert pace.rate is None or pace.rate > 0
        assert pace.limited_by in LIMITS


def test_where_answers_wait_for_each_other_fewer_are_asked_for_at_once() -> None:
    made = []

    def make(clock: object) -> Pace:
        made.append(Pace(200, clock))  # type: ignore[arg-type]
        return made[0]

    found = run(Hidden(lambda _: 10**9, slots=4), make, 600)
    assert found.refused == 0
    assert 4 <= made[0].window <= 64
    assert found.answered >= 0.9 * 4 * 600


def test_longer_answers_are_not_taken_for_a_provider_that_copes_badly() -> None:
    now = 0.0
    pace = Pace(50, lambda: now)
    for latency in (1.0, 4.0):
        for _ in range(3000):
            begun = pace.begins()
            now += latency
            pace.ended(begun, int(pace.window), "answered")
    assert pace.window == 50


@pytest.mark.parametrize("told", [True, False])
def test_a_rate_that_is_counted_by_the_minute_of_a_clock_is_no_storm_of_refusals(told: bool) -> None:
    """600 as each minute begins, and none after them until the next."""

    class Minutes(Hidden):
        def asked(self, now: float, running: int) -> tuple[bool, float, float | None]:
            minute = now // 60
            if minute != self.at:
                self.at, self.left = minute, [600.0]
            if self.left[0] < 1:
                return False, 0.05, 60 * (minute + 1) - now if self.told else None
            self.left[0] -= 1
            return True, self.chance.uniform(0.7, 1.3), None

    found = run(Minutes(lambda _: 600, told=told), OURS, 1800)
    assert found.of_what_was_allowed > 0.95
    assert found.refusals < 0.02


def test_overload_halves_the_window_once_for_all_that_was_under_way() -> None:
    now = 0.0
    pace = Pace(64, lambda: now)
    began = [pace.begins() for _ in range(8)]
    now = 1.0
    for at in began:
        pace.ended(at, 8, "overloaded")
    assert pace.window == 8
    now = 2.0
    pace.ended(pace.begins(), 4, "overloaded", retry_after=9)
    assert (pace.window, pace.wait(0), pace.limited_by) == (4, 9, "alone")
    now = 20.0
    pace.ended(pace.begins(), 1, "overloaded", retry_after=86_400)
    assert pace.wait(0) == 600


def test_a_provider_that_is_closed_for_minutes_is_as_fast_as_before_when_it_opens() -> None:
    now = 0.0
    pace = Pace(100, lambda: now)
    sent = []

    def provider() -> None:
        nonlocal now
        if (wait := pace.wait(0)) > 0:
            now += wait
            return
        began = pace.begins()
        now += 0.05
        is_open = not 100 < now < 400
        sent.append((now, is_open))
        pace.ended(began, 1, "answered" if is_open else "refused")

    while now < 600:
        provider()
    assert sum(not is_open for _, is_open in sent) < 40
    assert sum(at > 500 for at, _ in sent) > 0.8 * sum(at < 100 for at, _ in sent)
