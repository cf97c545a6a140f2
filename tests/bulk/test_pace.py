"""The pace, against providers whose limits nobody is told of, in simulated time."""

from __future__ import annotations

import pytest

from llmring.bulk.pace import Pace

from .simulated import PACES, SCENES, Hidden, run


@pytest.mark.parametrize("scene", SCENES)
def test_nearly_all_is_used_that_is_allowed_and_hardly_anything_refused(scene: str) -> None:
    found = run(SCENES[scene](), PACES["found out"], 1800)
    assert found.of_what_was_allowed >= 0.9
    assert found.refusals < 0.02


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
            began = now
            pace.begins()
            now += latency
            pace.ended(began, int(pace.window), "answered")
    assert pace.window == 50


def test_overload_halves_the_window_once_for_all_that_was_under_way() -> None:
    now = 0.0
    pace = Pace(64, lambda: now)
    began = [pace.begins() for _ in range(8)]
    now = 1.0
    for at in began:
        pace.ended(at, 8, "overloaded")
    assert pace.window == 4
    now = 2.0
    pace.ended(pace.begins(), 4, "overloaded", retry_after=9)
    assert (pace.window, pace.wait(0), pace.limited_by) == (2, 9, "alone")


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
