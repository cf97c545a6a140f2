"""Shares of the first place: stable, right within the binomial's bounds, and no more move than must."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from math import sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmring.policy.shares import in_order, side_of

USERS = 2000
weights = st.lists(
    st.one_of(st.just(0.0), st.floats(0.01, 1000.0), st.integers(1, 100).map(float)), min_size=2, max_size=5
).filter(any)
aliases = st.text(min_size=1, max_size=12)
keys = st.text(max_size=20)
generations = st.integers(0, 2**40)


@given(alias=aliases, given_weights=weights, key=keys, generation=generations)
def test_a_side_is_stable_and_of_somebody_who_serves(
    alias: str, given_weights: list[float], key: str, generation: int
) -> None:
    side = side_of(alias, given_weights, key, generation)
    assert given_weights[side] > 0
    assert side_of(alias, tuple(given_weights), key, generation) == side


@given(alias=aliases, given_weights=weights, key=keys, factor=st.sampled_from([2.0, 0.5, 1024.0]))
def test_only_the_shares_count_not_their_sum(alias: str, given_weights: list[float], key: str, factor: float) -> None:
    assert side_of(alias, [it * factor for it in given_weights], key) == side_of(alias, given_weights, key)


@settings(max_examples=500)
@given(alias=aliases, before=weights, after=st.data(), key=keys)
def test_a_key_moves_only_to_a_place_whose_weight_grew_by_more(
    alias: str, before: list[float], after: st.DataObject, key: str
) -> None:
    new = after.draw(
        st.lists(st.one_of(st.just(0.0), st.floats(0.01, 1000.0)), min_size=len(before), max_size=len(before)).filter(
            any
        )
    )
    one, other = side_of(alias, before, key), side_of(alias, new, key)
    if one != other:
        assert not before[other] or not new[one] or new[other] * before[one] > before[other] * new[one]


@given(alias=aliases, before=weights, place=st.integers(0, 4), raised=st.floats(1.0, 10.0), key=keys)
def test_where_one_weight_is_raised_all_who_move_go_there(
    alias: str, before: list[float], place: int, raised: float, key: str
) -> None:
    place %= len(before)
    new = [it * raised if at == place else it for at, it in enumerate(before)]
    one, other = side_of(alias, before, key), side_of(alias, new, key)
    assert other in (one, place)
    # And so, the other way round: where one is lowered, all who move come from there.


@given(alias=aliases, before=weights, added=st.floats(0.01, 1000.0), key=keys)
def test_one_that_is_added_takes_from_all_and_moves_nobody_else(
    alias: str, before: list[float], added: float, key: str
) -> None:
    assert side_of(alias, [*before, added], key) in (side_of(alias, before, key), len(before))


@settings(max_examples=20)
@given(alias=aliases, given_weights=weights, generation=generations)
def test_the_shares_are_right_within_the_bounds_of_the_binomial(
    alias: str, given_weights: list[float], generation: int
) -> None:
    counts = Counter(side_of(alias, given_weights, f"user-{it}", generation) for it in range(USERS))
    for place, weight in enumerate(given_weights):
        share = weight / sum(given_weights)
        # Of six standard deviations, one in half a thousand million is outside.
        assert abs(counts[place] - share * USERS) <= 6 * sqrt(share * (1 - share) * USERS) + 1e-6


@settings(max_examples=20)
@given(alias=aliases, one=st.floats(0, 1), other=st.floats(0, 1))
def test_of_two_no_more_move_than_the_shares_do(alias: str, one: float, other: float) -> None:
    assume(one != other)
    moved = sum(
        side_of(alias, [one, 1 - one], f"u{it}") != side_of(alias, [other, 1 - other], f"u{it}") for it in range(USERS)
    )
    share = abs(one - other)
    assert abs(moved - share * USERS) <= 6 * sqrt(share * (1 - share) * USERS) + 1e-6


@settings(max_examples=5)
@given(alias=aliases, generation=st.integers(0, 1000))
def test_another_generation_and_another_alias_draw_anew(alias: str, generation: int) -> None:
    users = [f"user-{it}" for it in range(USERS)]
    base = [side_of(alias, [1, 1], it, generation) for it in users]
    for other in (
        [side_of(alias, [1, 1], it, generation + 1) for it in users],
        [side_of(f"{alias}x", [1, 1], it, generation) for it in users],
    ):
        same = sum(map(int.__eq__, base, other))
        assert abs(same - USERS / 2) <= 6 * sqrt(USERS / 4)


def test_without_a_key_it_is_drawn_at_random() -> None:
    counts = Counter(side_of("chatbot", [9, 1], None) for _ in range(USERS))
    assert abs(counts[1] - USERS / 10) <= 6 * sqrt(USERS * 0.09)


def test_other_processes_and_machines_draw_the_same() -> None:
    """Written down once: who was on a side yesterday is on it tomorrow, whatever hash seed a process has."""
    users = [f"user-{it}" for it in range(40)]
    code = (
        "import json, sys; from llmring.policy import side_of; "
        "print(json.dumps([side_of('chatbot', [90, 10], it) for it in json.loads(sys.argv[1])]))"
    )
    said = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code, json.dumps(users)],
                capture_output=True,
                check=True,
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] == [side_of("chatbot", [90, 10], it) for it in users]
    assert "".join(map(str, said[0])) == "0010000000010000000000000000100000000000"
    assert [side_of("é", [1, 2, 3], it, 7) for it in ("", "ü", "\ud800")] == [2, 1, 0]


def test_the_others_stand_by_in_their_order() -> None:
    assert in_order(["a", "b", "c"], 1) == ["b", "a", "c"]
    assert in_order(["a", "b", "c"], 0) == ["a", "b", "c"]


@pytest.mark.parametrize("weights", [[0, 5], [5, 0]])
def test_a_weight_of_nothing_serves_nobody_first(weights: list[float]) -> None:
    assert {side_of("a", weights, str(it)) for it in range(200)} == {weights.index(5)}
