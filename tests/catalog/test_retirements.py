"""The last days of models: the SDK's word first, the vendors' records after it, whichever issue of a model is named."""

from __future__ import annotations

from datetime import date

import pytest

from llmring import catalog
from llmring.catalog.naming import without_issue
from llmring.catalog.records import last_day
from llmring.vendors import of_vendors

from ..conftest import Announce


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("anthropic:claude-2.1", date(2025, 7, 21)),
        ("anthropic:claude-3-opus-20240229", date(2026, 1, 5)),
        ("anthropic:claude-3-opus-latest", date(2026, 1, 5)),
        ("anthropic:claude-3-5-sonnet-20240620", date(2025, 10, 28)),
        ("anthropic:claude-3-5-haiku-20241022", date(2026, 2, 19)),
        ("anthropic:claude-3-7-sonnet-20250219", date(2026, 2, 19)),
        ("anthropic:claude-3-haiku-20240307", date(2026, 4, 20)),
        ("anthropic:claude-sonnet-4-20250514", date(2026, 6, 15)),
        ("google:gemini-1.0-pro-001", date(2025, 4, 9)),
        ("google:gemini-1.5-pro", date(2025, 9, 24)),
        ("google:gemini-1.5-flash-002", date(2025, 9, 24)),
        ("google:gemini-1.5-flash-001", date(2025, 5, 27)),
        ("google:gemini-2.0-flash-001", date(2026, 6, 1)),
        ("openai:text-davinci-003", date(2024, 1, 4)),
        ("openai:davinci-002", date(2026, 9, 28)),
        ("openai:gpt-4.5-preview-2025-02-27", date(2025, 7, 14)),
        ("groq:mixtral-8x7b-32768", date(2025, 3, 20)),
    ],
)
def test_what_ended_long_ago_is_retired(model: str, day: date) -> None:
    info = catalog.model_info(model)
    assert (info.retires, info.retired, info.deprecated) == (day, True, True)


@pytest.mark.parametrize(
    "model",
    [
        "anthropic:claude-haiku-4-5-20251001",
        "anthropic:claude-sonnet-4-6",
        "google:gemini-2.5-flash-lite",
        "groq:openai/gpt-oss-20b",
        "openrouter:mixtral-8x7b-32768",
        "vllm:text-davinci-003",
    ],
)
def test_what_serves_on_and_what_others_serve_has_no_end(model: str) -> None:
    assert catalog.model_info(model).retires is None


def test_a_vendor_under_another_name_retires_the_same_models() -> None:
    at_groq = catalog.model_info("mine:mixtral-8x7b-32768", base_url="https://api.groq.com/openai/v1")
    assert at_groq.retires == date(2025, 3, 20)


def test_the_nearest_names_are_of_models_that_stay() -> None:
    """Those whose end is announced are on their way out, too."""
    slips = ("anthropic:claude-3-opuss", "google:gemini-1.5-proo", "groq:mixtral-8x7b-3276", "openai:gpt-nothing")
    for slip in slips:
        for near in catalog.nearest(slip):
            assert catalog.model_info(near).retires is None


@pytest.mark.usefixtures("announced")
def test_a_model_whose_end_is_announced_is_not_suggested() -> None:
    assert "anthropic:claude-opus-4-1" not in catalog.nearest("anthropic:claude-opus-41")


@pytest.fixture
def announced(announce: Announce) -> None:
    """An SDK that names another day than the record."""
    announce({"claude-opus-4-1": "May 1st, 2086"})


@pytest.mark.usefixtures("announced")
def test_the_installed_sdk_has_the_first_word() -> None:
    assert last_day("anthropic", "claude-opus-4-1") == date(2086, 5, 1)
    assert last_day("anthropic", "claude-2.1") == date(2025, 7, 21)


def test_the_record_is_of_the_past() -> None:
    for provider, row in of_vendors("retired", "catalog/models.json").items():
        for day, names in row["on"].items():
            assert date.fromisoformat(day) < date.today()
            assert {last_day(provider, name) for name in names} == {date.fromisoformat(day)}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-3-opus-20240229", "claude-3-opus"),
        ("claude-3-opus@20240229", "claude-3-opus"),
        ("gpt-4.5-preview-2025-02-27", "gpt-4.5-preview"),
        ("gemini-1.5-pro-002", "gemini-1.5-pro"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("mixtral-8x7b-32768", "mixtral-8x7b-32768"),
        ("gpt-5.4-mini", "gpt-5.4-mini"),
    ],
)
def test_the_issue_of_a_model(name: str, model: str) -> None:
    assert without_issue(name) == model
