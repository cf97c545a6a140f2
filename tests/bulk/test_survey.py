"""What a run is said to take, beside what it takes: by recorded usages, and by real tokenizers."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from benchmarks.counting.__main__ import MEASURED
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest
from llmring.bulk.sampling import Line, Sample, in_proportion, with_length
from llmring.counting.contents import contents_of
from llmring.counting.estimates import Measured, estimate, families, family_of

SEEDS = 100


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """520 requests that real providers were sent, with the tokens that they billed; and 419 texts, by six tokenizers.

    Of each, how many characters of which kind it has: see `benchmarks/counting/collect.py` for whose they are.
    """
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def guess(it: dict[str, Any], family: str) -> int:
    said, tools, form = (Counter[str](kinds) for kinds in it["kinds"])
    contents = contents_of(LLMRequest(model="p:m", messages=[]))
    contents.turns, contents.calls = it["turns"], it["calls"]
    contents.tools, contents.form = ["-"] * it["tools"], "-" if form else ""
    return estimate(Measured(contents, said, tools, form), families()[family]).tokens


@pytest.mark.parametrize("name", ["anthropic", "google", "openai"])
def test_what_was_billed_is_what_was_estimated_before_anything_was_answered(
    measured: dict[str, Any], name: str
) -> None:
    asked = [it for it in measured["requests"] if family_of(it["model"]).name == name and it["tokens"] > 3]
    assert len(asked) > 100
    assert sum(guess(it, name) for it in asked) == pytest.approx(sum(it["tokens"] for it in asked), rel=0.1)


@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        ("openai", "openai"),
        ("google", "google"),
        ("anthropic", "claude"),
        ("others", "tekken"),
        ("others", "mistral"),
        ("others", "qwen"),
    ],
)
def test_twenty_answers_say_what_all_will_be_billed_for(measured: dict[str, Any], name: str, tokenizer: str) -> None:
    """Texts in a hundred languages, and code: twenty of them by chance, again and again."""
    pairs = [
        (
            float(guess({"turns": 1, "calls": 0, "tools": 0, "kinds": [it["kinds"], {}, {}]}, name)),
            it["tokens"][tokenizer],
        )
        for it in measured["texts"]
    ]
    whole = sum(billed for _, billed in pairs)
    found = [in_proportion(random.Random(seed).sample(pairs, 20)) for seed in range(SEEDS)]
    off = sorted(abs(sum(line.at(it) for it, _ in pairs) / whole - 1) for line in found)
    assert off[int(0.9 * SEEDS)] < 0.1
    assert off[SEEDS // 2] < 0.05


@given(st.lists(st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)), max_size=30))
def test_a_line_never_comes_to_nothing(pairs: list[tuple[float, float]]) -> None:
    for line in (in_proportion(pairs), *([with_length(pairs)] if pairs else [])):
        assert all(1 <= line.at(it) < 1e12 for it in (0, 1, 1e3, 1e6))


def test_without_an_answer_the_estimate_stands() -> None:
    line = in_proportion([])
    assert line.offset == pytest.approx(0)
    assert line.slope == pytest.approx(1)


def test_a_constant_that_a_vendor_adds_is_told_from_a_factor() -> None:
    line = in_proportion([(it, 1.2 * it + 80) for it in (20, 50, 100, 400, 900, 1500, 2000, 4000)])
    assert line.at(10_000) == pytest.approx(12_080, rel=0.02)


def test_longer_questions_have_longer_answers_only_where_that_is_no_chance() -> None:
    chance = random.Random(1)
    asked = [chance.uniform(10, 1000) for _ in range(20)]
    translated = with_length([(it, it * chance.uniform(0.9, 1.2)) for it in asked])
    assert translated.at(5000) == pytest.approx(5250, rel=0.1)
    labelled = [with_length([(it, chance.uniform(2, 40)) for it in asked]).at(5000) for _ in range(20)]
    assert sum(it < 60 for it in labelled) > 15
    assert with_length([(1, 7)]) == Line(7, 0)


def test_a_sample_is_of_all_answers_and_of_what_is_asked_now() -> None:
    sample = Sample()
    for number in range(10_000):
        usage = {"prompt_tokens": number, "completion_tokens": 1}
        sample.take({"key": str(number), "asked": f"{number}.me", "usage": usage, "seconds": 0.5})
    kept = sample.all()
    assert len(kept) == 300
    assert 3500 < sum(it.prompt for it in kept) / 300 < 6500
    one = kept[0]
    assert sample.of(str(one.prompt), one.asked) == one
    assert sample.of(str(one.prompt), "otherwise") is None


@pytest.mark.parametrize("broken", [None, 7, {}, {"prompt_tokens": None, "completion_tokens": 1}])
def test_a_line_without_a_usage_is_of_no_sample(broken: object) -> None:
    sample = Sample()
    sample.take({"key": "a", "usage": broken})
    assert not sample.all()


def test_of_two_answers_to_a_row_the_later_one_is_of_the_sample() -> None:
    sample = Sample()
    for tokens in (1, 2):
        sample.take({"key": "a", "asked": "x", "usage": {"prompt_tokens": tokens, "completion_tokens": 1}})
    assert [it.prompt for it in sample.all()] == [2]
