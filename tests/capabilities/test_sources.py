"""Who counts most, where several say what a model can do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.capabilities import Fact, Place, known_of
from llmring.capabilities.facts import Said, joined
from llmring.lockfile import parse

HOME = Place("anthropic", "https://api.anthropic.com")
DAY = date(2026, 11, 1)
MODEL = "anthropic:claude-haiku-5-5"


def test_the_provider_counts_more_than_the_catalogue() -> None:
    before = known_of(MODEL, None, HOME)
    assert (before.can("images"), before.images.source) == (True, "catalogue")
    assert before.context_window.source == before.max_output_tokens.source == "catalogue"
    said = Said("provider", {"images": False, "context_window": 5}, DAY)
    after = known_of(MODEL, None, HOME, said)
    assert after.images == Fact(False, "provider", DAY)
    assert after.context_window == Fact(5, "provider", DAY)
    assert after.documents == before.documents


def test_what_an_sdk_cannot_carry_counts_more_than_the_provider() -> None:
    said = Said("provider", {"audio": True}, DAY)
    assert known_of(MODEL, None, HOME, said).audio == Fact(False, "catalogue")


def test_the_lockfile_counts_more_than_all() -> None:
    lockfile = parse(b'version = "1.0"\n[models."*"]\nimages = false\naudio = true\nrefused_parameters = []\n')
    caps = known_of(MODEL, lockfile, HOME, Said("provider", {"images": True}, DAY))
    assert (caps.images, caps.audio) == (Fact(False, "lockfile"), Fact(True, "lockfile"))
    assert caps.refused_parameters == Fact((), "lockfile")


def test_what_a_wire_and_a_model_refuse_is_both_refused() -> None:
    assert known_of(MODEL, None, HOME).refused_parameters.value == ("seed", "temperature", "top_p")


def test_a_deployment_of_azure_is_no_model_of_its_name() -> None:
    """Its owner calls it as they like, and puts newer models behind the old name."""
    for host in ("https://mine.openai.azure.com/openai/v1/", "https://mine.services.ai.azure.com/openai/v1/"):
        assert known_of("azure:gpt-3.5-turbo", None, Place("openai", host)).can("images") is None
    assert known_of("openai:gpt-3.5-turbo", None, Place("openai", None)).can("images") is False


def test_who_reads_documents_for_its_models_takes_them_for_all() -> None:
    openrouter = Place("openai", "https://openrouter.ai/api/v1")
    said = Said("provider", {"images": False}, DAY)
    for model in ("openai/gpt-oss-120b", "deepseek/deepseek-v4-pro", "nobody/knows"):
        caps = known_of(f"openrouter:{model}", None, openrouter, said)
        assert (caps.can("documents"), caps.can("images")) == (True, False)


def test_the_limits_are_left_out_where_nobody_asks_for_them() -> None:
    caps = known_of(MODEL, None, HOME, limits=False)
    assert caps.context_window == Fact(None)
    assert caps.can("images")


@pytest.mark.parametrize("name", ["nix", "claude-nix-1"])
def test_of_a_model_that_nobody_knows_nothing_is_known(name: str) -> None:
    caps = known_of(f"anthropic:{name}", None, HOME)
    told = {fact_name for fact_name, fact in caps.facts() if fact.value is not None}
    assert told == {"streaming", "audio", "refused_parameters"}


FACTS = st.dictionaries(st.sampled_from(["tools", "images", "audio"]), st.sampled_from([True, False, None]))


@given(st.lists(FACTS, max_size=4))
def test_the_first_who_says_something_counts(facts: list[dict[str, Any]]) -> None:
    caps = joined("a:b", [Said("provider", it) for it in facts])
    for name in ("tools", "images", "audio"):
        said = [it[name] for it in facts if it.get(name) is not None]
        assert getattr(caps, name) == (Fact(said[0], "provider") if said else Fact(None))
