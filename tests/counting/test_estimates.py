"""What an estimate is made of, and how far off it is from what was measured."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from benchmarks.counting.__main__ import BASES, MEASURED, fit
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, Message
from llmring.counting.contents import contents_of
from llmring.counting.estimates import Estimate, Measured, estimate, families, family_of
from llmring.counting.scripts import KINDS, measure
from llmring.parts import audio, document, image, text
from llmring.vendors import load

RATIOS = load("counting/ratios.json")


def guess(model: str = "claude-haiku-4-5", *messages: Message, **fields: Any) -> Estimate:
    said = list(messages) or [Message(role="user", content="Hi")]
    request = LLMRequest(model="p:m", messages=said, **fields)
    return estimate(Measured.of(contents_of(request)), family_of(model))


def of(content: Any, model: str = "claude-haiku-4-5") -> Estimate:
    return guess(model, Message(role="user", content=content))


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("Hello, you", {"latin": 8, "mark": 1, "space": 1}),
        ("Grüße", {"latin": 3, "accented": 2}),
        ("Здравствуй", {"cyrillic": 10}),
        ("Γειά", {"greek": 4}),
        ("שלום", {"hebrew": 4}),
        ("مرحبا", {"arabic": 5}),
        ("नमस्ते", {"indic": 6}),
        ("สวัสดี", {"thai": 6}),
        ("こんにちは", {"kana": 5}),
        ("你好", {"han": 2}),
        ("안녕", {"hangul": 2}),
        ("12:30", {"digit": 4, "mark": 1}),
        ("x = 1\n", {"latin": 1, "space": 3, "mark": 1, "digit": 1}),
        ("🙂", {"other": 1}),
        ("\x00\udc80", {"other": 2}),
        ("a" * 10, {"latin": 3, "run": 7}),
        (" " * 4 + "-" * 5, {"space": 3, "mark": 3, "run": 3}),
        ("", {}),
    ],
)
def test_characters_are_told_apart(said: str, kinds: dict[str, int]) -> None:
    assert measure(said) == kinds


@given(st.text())
def test_every_character_is_of_a_kind(said: str) -> None:
    found = measure(said)
    assert found.total() == len(said)
    assert found.keys() <= set(KINDS)


@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from(sorted(RATIOS)))
def test_more_is_never_fewer(texts: list[str], name: str) -> None:
    family, before = families()[name], Estimate(0, 0, 0)
    for count in range(1, len(texts) + 1):
        messages = [Message(role="user", content=it) for it in texts[:count]]
        now = estimate(Measured.of(contents_of(LLMRequest(model="p:m", messages=messages))), family)
        assert before.at_most is not None
        assert now.at_most is not None
        assert 0 <= now.at_least <= now.tokens <= now.at_most
        assert (now.tokens, now.at_least, now.at_most) >= (before.tokens, before.at_least, before.at_most)
        before = now


def test_what_the_model_reads_is_counted() -> None:
    call: Any = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    own = {"type": "web_search_20250305", "name": "web_search"}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    request = LLMRequest(
        model="p:m",
        messages=[
            Message(role="system", content="Be brief."),
            Message(role="user", content=[text("Look:"), image(b"\x89PNG\r\n\x1a\n"), document(b"%PDF-1"), text("?")]),
            Message(role="user", content=[document("data:text/csv;base64,YSxi"), document("data:text/plain,a%20b")]),
            Message(role="user", content=[audio("data:audio/wav;base64,AAAA"), {"type": "strange", "x": 1}]),
            Message(role="assistant", tool_calls=[call], metadata={"thought": "hm"}),
            Message(role="tool", tool_call_id="call_1", content={"sky": "blue"}),
            Message(role="tool", tool_call_id="call_1", content=None),
        ],
        tools=[tool, own],
        response_format=form,
    )
    found = contents_of(request)
    assert found.texts == [
        *("Be brief.", "Look:", "?", "a,b", "a b", '{"type":"strange","x":1}', "", "weather", '{"city":"Rome"}'),
        '{"sky":"blue"}',
    ]
    assert (found.turns, found.calls, found.others, found.kept) == (7, 3, 1, len('{"thought":"hm"}'))
    assert [json.loads(it) for it in found.tools] == [tool["function"], own]
    assert json.loads(found.form) == form["json_schema"]
    assert found.media == {"image": 1, "document": 1, "audio": 1}


def test_tools_and_schemas_and_turns_are_added() -> None:
    plain = guess()
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    assert guess(tools=[tool]).tokens > plain.tokens + 300  # Anthropic's models are told how to call
    assert guess("gpt-5-mini", tools=[tool]).tokens < guess("gpt-5-mini").tokens + 60
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert guess(response_format=form).tokens > plain.tokens
    assert guess("claude-haiku-4-5", *[Message(role="user", content="Hi")] * 10).tokens > plain.tokens + 9


def test_media_have_their_estimates() -> None:
    for model in ("claude-haiku-4-5", "gpt-5-mini", "gemini-2.5-flash", "llava"):
        for part, kind in ((image("https://x.invalid/a.png"), "image"), (document(b"%PDF-1"), "document")):
            low, likely, most = RATIOS[family_of(model).name]["media"][kind]["tokens"]
            found, bare = of([part], model), of([], model)
            assert abs(found.tokens - bare.tokens - likely) <= 1
            assert found.at_least - bare.at_least >= low - 1
            assert (found.at_most is None) == (most is None)


def test_where_nobody_can_say_how_many_more_nobody_does() -> None:
    assert of([document("https://x.invalid/a.pdf")]).at_most is None
    assert guess(tools=[{"type": "web_search_20250305", "name": "web_search"}]).at_most is None


def test_what_goes_back_to_its_issuer_may_be_counted() -> None:
    kept = Message(role="assistant", content="Hi", metadata={"thinking": "x" * 1000})
    before, after = guess("claude", Message(role="assistant", content="Hi")), guess("claude", kept)
    assert (after.tokens, after.at_least) == (before.tokens, before.at_least)
    assert (after.at_most or 0) >= (before.at_most or 0) + 1000


def test_the_least_holds_for_texts_that_tokenizers_like() -> None:
    """Runs of one character are next to nothing, and long words one token each."""
    assert of(" " * 1_000_000).at_least < 10
    assert of("responsibility " * 1000, "gpt-5-mini").at_least < 2000
    assert of("\n" + "=" * 80, "gpt-5-mini").at_least < 5


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-haiku-4-5", "anthropic"),
        ("anthropic/claude-sonnet-4.5", "anthropic"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic"),
        ("gpt-5-mini", "openai"),
        ("ft:gpt-4o-mini:acme::id", "openai"),
        ("o3", "openai"),
        ("openai/gpt-oss-120b", "others"),
        ("gemini-2.5-flash", "google"),
        ("models/gemini-2.5-flash", "google"),
        ("llama3.2", "others"),
        ("photo3-large", "others"),
        ("", "others"),
    ],
)
def test_a_model_is_of_the_family_that_its_name_says(model: str, name: str) -> None:
    assert family_of(model).name == name


# What was measured


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def _guess(it: dict[str, Any], name: str, *, counted: bool = False) -> Estimate:
    said, tools, form = (Counter[str](kinds) for kinds in it["kinds"])
    contents = contents_of(LLMRequest(model="p:m", messages=[]))
    contents.turns, contents.calls = it["turns"], it["calls"]
    contents.tools, contents.form = ["-"] * it["tools"], "-" if form else ""
    by_tokenizer = tuple(it["openai"]) if counted else None
    return estimate(Measured(contents, said, tools, form), families()[name], by_tokenizer)


@pytest.mark.parametrize("name", BASES)
def test_real_requests_are_where_the_estimate_says(measured: dict[str, Any], name: str) -> None:
    asked = [it for it in measured["requests"] if family_of(it["model"]).name == name and it["tokens"] > 3]
    assert len(asked) > 80
    for counted in (False, True)[: 1 + families()[name].tokenizer]:
        found = [(it["tokens"], _guess(it, name, counted=counted)) for it in asked]
        within = sum(it.at_least <= tokens <= (it.at_most or tokens) for tokens, it in found)
        assert within / len(found) > 0.96


@pytest.mark.parametrize("name", BASES)
def test_no_text_has_fewer_tokens_than_the_least(measured: dict[str, Any], name: str) -> None:
    """By the tokenizers that a family was measured by: its estimate errs on the side of sending."""
    kinds, low = families()[name].kinds, families()[name].spread.low
    scale = RATIOS[name]["measured"]["scale"]
    for it in measured["texts"]:
        likely = sum(kinds[kind] * times for kind, times in it["kinds"].items() if kind != "run")
        for tokenizer in BASES[name].spread:
            assert scale * it["tokens"][tokenizer] >= 0.99 * low * likely


def test_the_figures_are_those_that_the_measurements_come_to(measured: dict[str, Any]) -> None:
    assert fit(measured, "google") == RATIOS["google"]["measured"]
