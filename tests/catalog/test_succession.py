"""Successors: the newest of the same family, and none where that is not plain."""

from __future__ import annotations

import pytest

from llmring import catalog
from llmring.catalog.entries import _follower, _read, successor
from llmring.exceptions import ConfigurationError

from ..conftest import Announce, Say

PROVIDERS = ("anthropic", "openai", "google", "mistral", "xai", "moonshot", "cohere")


@pytest.fixture
def announced(announce: Announce, sdk_says: Say) -> None:
    """SDKs that announce the end of some models."""
    soon = "May 1st, 2026"
    announce({"claude-3-5-haiku-20241022": soon, "claude-opus-4-20250514": soon, "claude-instant-1": "June 1st, 2026"})
    sdk_says(
        "openai",
        "types/shared/chat_model.py",
        '"""- "gpt-5-mini", "gpt-5", "gpt-5-2025-08-07", "gpt-4o", "o3", "gpt-5.4-mini", "gpt-4-turbo":\n'
        '  Announced shutdown date: 2026-12-11.\n"""\n',
    )


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize(
    ("old", "family"),
    [
        ("anthropic:claude-3-5-haiku-20241022", "claude-haiku-"),
        ("anthropic:claude-opus-4-20250514", "claude-opus-"),
        ("openai:gpt-5", "gpt-"),
        ("openai:gpt-5-2025-08-07", "gpt-"),
        ("google:gemini-2.0-flash", "gemini-"),
    ],
)
def test_the_newest_of_the_same_family_that_stays(old: str, family: str) -> None:
    new = successor(old)
    assert new is not None
    provider, _, name = new.partition(":")
    assert old.startswith(provider)
    assert name.startswith(family)
    info = catalog.model_info(new)
    assert info.known
    assert not info.deprecated
    assert _read(name).family == _read(old.partition(":")[2]).family
    assert _read(name).generation > _read(old.partition(":")[2]).generation


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize(
    "old",
    [
        "openai:gpt-5-mini",  # the newer mini ends too
        "openai:gpt-4o",  # not a generation, but a name
        "openai:gpt-4-turbo",  # its family ends with it
        "openai:o3",
        "anthropic:claude-instant-1",
        "anthropic:claude-haiku-4-5",  # does not end
        "openai:gpt-0",
        "ollama:llama3.2",
        "acme:rocket-1",
    ],
)
def test_none_where_it_is_not_plain(old: str) -> None:
    assert successor(old) is None


def test_what_the_catalogue_says_ends_has_a_successor_that_does_not_or_none() -> None:
    found = []
    for provider in PROVIDERS:
        for model in catalog.models(provider):
            if (new := successor(f"{provider}:{model.name}")) is not None:
                info = catalog.model_info(new)
                assert model.deprecated
                assert info.known
                assert not info.deprecated
                assert successor(new) is None
                found.append(new)
    assert found


@pytest.mark.parametrize(
    ("old", "names", "expected"),
    [
        ("a-1", ["a-2", "a-3", "a-2.5", "b-9", "a-mini-9"], "a-3"),
        ("a-2", ["a-1", "a-2"], None),
        ("a-2", ["a-2-2026-01-01"], None),
        ("a-9", ["a-10"], "a-10"),
        ("a-2", ["a-3-preview"], None),
        ("a-2-preview", ["a-3-preview"], "a-3-preview"),
        ("a-2-preview", ["a-3", "a-4-preview"], "a-3"),
        ("a-2", ["a-4.20", "a-4.3"], None),
        ("a-2", ["a-4.20", "a-4.3", "a-5"], "a-5"),
    ],
)
def test_which_name_follows(old: str, names: list[str], expected: str | None) -> None:
    assert _follower(old, names) == expected


def test_a_malformed_name_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        successor("gpt-5")


@pytest.mark.parametrize(
    ("name", "family", "generation", "early"),
    [
        ("claude-sonnet-4-5-20250929", ("claude", "sonnet"), (4, 5), False),
        ("claude-3-5-sonnet-latest", ("claude", "sonnet"), (3, 5), False),
        ("claude-haiku-5-5@20260901", ("claude", "haiku"), (5, 5), False),
        ("gpt-5.4-mini-2026-03-17", ("gpt", "mini"), (5, 4), False),
        ("gpt-4-0613", ("gpt",), (4,), False),
        ("gpt-4o-mini", ("4o", "gpt", "mini"), (), False),
        ("o4-mini", ("mini", "o"), (4,), False),
        ("gemini-2.0-flash-lite-001", ("flash", "gemini", "lite"), (2, 0), False),
        ("gemini-3-pro-preview", ("gemini", "pro"), (3,), True),
        ("gemini-2.0-flash-exp", ("flash", "gemini"), (2, 0), True),
        ("gemini-2-pro-experimental", ("gemini", "pro"), (2,), True),
        ("llama-3.3-70b-versatile", ("70b", "llama", "versatile"), (3, 3), False),
        ("a-1-b-2", ("a", "b"), (), False),
    ],
)
def test_how_a_name_is_read(name: str, family: tuple[str, ...], generation: tuple[int, ...], early: bool) -> None:
    reading = _read(name)
    assert (reading.family, reading.generation, reading.early) == (family, generation, early)
