"""What is recorded of what models can do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.catalog import abilities
from llmring.catalog.naming import model_of
from llmring.vendors import of_vendors

ROWS: dict[str, Any] = {**of_vendors("abilities", "catalog/models.json")}
STARTS = sorted({name for row in ROWS.values() for facts in row["of"] for name in facts["models"]})


@pytest.mark.parametrize("start", STARTS)
def test_each_beginning_is_read(start: str) -> None:
    facts, day = abilities(start)
    assert day is not None
    own = [it for row in ROWS.values() for it in row["of"] if start in it["models"]]
    for row in own:
        for name, value in row.items():
            if name != "models":
                assert facts.get(name) == value
    assert None not in facts.values()
    assert model_of(start) == start, "it is written as names are compared"


def test_any_name_of_a_model_means_it() -> None:
    plain = abilities("claude-haiku-4-5")
    assert plain[0]["images"] is True
    for name in ("anthropic/claude-haiku-4.5", "claude-haiku-4-5-20251001", "us.anthropic.claude-haiku-4-5-v1:0"):
        assert abilities(name) == plain


def test_a_longer_beginning_counts() -> None:
    assert abilities("o3")[0]["images"] is True
    assert abilities("o3-mini-2025-01-31")[0]["images"] is False
    assert abilities("gpt-5-mini-2025-08-07")[0]["refused_parameters"] == ["temperature", "top_p"]
    assert "refused_parameters" not in abilities("gpt-5.1")[0]


@given(st.sampled_from(STARTS), st.sampled_from(["-omni", "-9", "-2-120b", "-exp", "-17b-next"]))
def test_what_one_cannot_a_sibling_of_its_name_may(start: str, more: str) -> None:
    """A name that nobody has recorded: that would keep a request from a model that can take it."""
    assert False not in abilities(f"{start}{more}")[0].values()


@pytest.mark.parametrize("more", ["", "-2026-01-01", "-20260101", "-latest", "@20260101"])
def test_what_one_cannot_none_of_its_issues_can(more: str) -> None:
    assert abilities(f"gpt-5-mini{more}")[0]["audio"] is False
    assert abilities(f"openai/gpt-oss-120b{more}")[0]["images"] is False


@given(st.sampled_from([*ROWS]), st.data())
def test_a_model_for_another_purpose_is_another_model(vendor: str, data: st.DataObject) -> None:
    row = ROWS[vendor]
    start = data.draw(st.sampled_from(sorted({name for facts in row["of"] for name in facts["models"]})))
    word = data.draw(st.sampled_from(row.get("unlike") or ["-"]))
    more = data.draw(st.sampled_from(["", "-preview", "-2026-01-01"]))
    if word != "-":
        assert abilities(f"{start}-{word}{more}") == ({}, None)


@given(st.text("abcgpt-5.:/", max_size=12))
def test_a_name_that_begins_otherwise_is_of_no_model(name: str) -> None:
    facts, day = abilities(name)
    assert (facts == {}) == (day is None)
    if facts:
        assert any(model_of(name) == it or model_of(name).startswith(f"{it}-") for it in STARTS)
