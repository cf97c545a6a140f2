"""What is known of a model, and what is not; and which models there are."""

from datetime import UTC, datetime, timedelta

import pytest

from llmring import catalog
from llmring.schemas import Usage

INVENTED = [
    "anthropic:claude-haiku-4-5-20251015",
    "anthropic:claude-sonnet-4-5-latest",
    "anthropic:claude-opus-4-88",
    "google:gemini-3.8-flashy",
    "google:gemini-3.8-flash-latest",
    "openai:gpt-5.2-20251211",
]


def test_what_is_known_of_a_model() -> None:
    info = catalog.model_info("anthropic:claude-haiku-4-5-20251001")
    assert (info.provider, info.name, info.known) == ("anthropic", "claude-haiku-4-5-20251001", True)
    assert (info.title, info.context_window, info.max_output_tokens) == ("Claude Haiku 4.5", 200_000, 64_000)
    assert (info.input_price, info.output_price, info.cache_read_price, info.cache_write_price) == (1, 5, 0.1, 1.25)
    assert catalog.model_info("anthropic:claude-haiku-5-5").dearer_above == 100_000


def test_the_price_of_a_longer_prompt_is_what_it_costs() -> None:
    long: Usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "total_tokens": 2_000_000}
    with_tiers = [info for info in catalog.models("openai") if info.tiers]
    assert with_tiers
    for info in with_tiers:
        cost = catalog.cost_of(long, f"openai:{info.name}")
        assert (info.tiers[-1].input_price, info.tiers[-1].output_price) == (cost.input, cost.output)
        assert info.dearer_above == info.tiers[0].above
        assert (info.tiers[0].input_price or 0) > (info.input_price or 0)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "groq"])
def test_the_models_of_a_provider(provider: str) -> None:
    found = catalog.models(provider)
    names = [info.name for info in found]
    assert len(names) == len(set(names)) > 10
    for info in found:
        assert info == catalog.model_info(f"{provider}:{info.name}"), "listed as it is known by its name"
    assert not [name for name in names if "embedding" in name or name.endswith("-")]
    for role in catalog.ROLES:
        assert provider == "groq" or catalog.suggested(role)[provider] in names


def test_the_models_are_in_the_order_of_their_versions() -> None:
    names = [info.name for info in catalog.models("openai")]
    wanted = ["gpt-4", "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-5.4", "gpt-6-luna", "gpt-oss-20b", "gpt-oss-120b"]
    assert [name for name in names if name in wanted] == wanted
    assert not [info.name for info in catalog.models("google") if info.name.startswith("claude-")]


def test_a_provider_that_the_catalogue_lacks_has_no_models_unless_its_address_is_known() -> None:
    assert catalog.models("ollama") == catalog.models("acme") == []
    address = "https://api.groq.com/openai/v1"
    listed = catalog.models("mine", base_url=address)
    assert [info.name for info in listed] == [info.name for info in catalog.models("groq")]
    assert {info.provider for info in listed} == {"mine"}
    model = "mine:llama-3.3-70b-versatile"
    assert not catalog.model_info(model).known
    assert catalog.model_info(model, base_url=address).input_price is not None


def test_a_model_is_retired_when_its_last_day_has_passed() -> None:
    today = datetime.now(UTC).date()
    assert not catalog.ModelInfo("openai", "x").retired
    assert not catalog.ModelInfo("openai", "x", retires=today).retired
    assert catalog.ModelInfo("openai", "x", retires=today - timedelta(days=1)).retired


def test_what_is_not_known_is_none() -> None:
    assert catalog.model_info("ollama:llama3.2:3b") == catalog.ModelInfo("ollama", "llama3.2:3b", own_host=True)
    assert not catalog.known("openai:gpt-0")
    assert catalog.covers("openai")
    assert catalog.covers("groq")
    assert not catalog.covers("ollama")
    assert not catalog.covers("acme")


def test_slips_are_answered_with_the_nearest_names() -> None:
    assert "anthropic:claude-haiku-5-5" in catalog.nearest("anthropic:claude-haiku5-5")
    assert "anthropic:claude-haiku-5-5" in catalog.nearest("antropic:claude-haiku-5-5")
    assert catalog.nearest("zzz:zzz") == []
    for reference in catalog.nearest("openai:gpt-5-minni"):
        assert catalog.known(reference)


def test_what_runs_locally_is_at_a_host_of_ones_own() -> None:
    assert catalog.model_info("ollama:llama3.2").own_host
    assert not catalog.model_info("openai:gpt-4o").own_host


@pytest.mark.parametrize("model", INVENTED)
def test_a_name_that_only_begins_like_a_models_is_not_known(model: str) -> None:
    info = catalog.model_info(model)
    assert not info.known
    assert not catalog.known(model)
    assert info.taken_for is not None
    assert model.partition(":")[2].startswith(info.taken_for)
    assert info.input_price == catalog.model_info(f"{info.provider}:{info.taken_for}").input_price
    near = catalog.nearest(model)
    assert near
    for reference in near:
        assert catalog.known(reference)


@pytest.mark.parametrize(
    "model",
    [
        "anthropic:claude-haiku-4-5-20251001",
        "anthropic:claude-haiku-5-5",
        "anthropic:claude-haiku-5-5-20260901",
        "anthropic:claude-3-opus-20240229",
        "anthropic:claude-mythos-5",
        "google:gemini-3.8-flash",
        "google:gemini-flash-latest",
        "google:gemini-3.1-pro-preview-customtools",
        "google:gemini-2.0-flash-001",
        "google:gemma-3-27b-it",
        "openai:gpt-4o-2024-11-20",
        "openai:gpt-6-luna-2026-10-01",
        "openai:gpt-4o-audio-preview-2025-06-03",
        "openai:ft:gpt-4o-mini-2024-07-18:acme::abc",
        "openai:ft:gpt-4.1-mini-2025-04-14:acme:x:abc",
        "openai:ft:gpt-3.5-turbo-0125:acme",
        "openai:GPT-4o",
        "mistral:magistral-medium-latest",
        "xai:grok-4.7",
    ],
)
def test_a_name_that_the_catalogue_or_the_sdk_lists_is_known(model: str) -> None:
    info = catalog.model_info(model)
    assert (info.known, info.taken_for) == (True, None)


@pytest.mark.parametrize(
    "name", ["gpt-4.9-mini:acme::abc", "gpt-3.5-turbo-77:acme", "gpt-4.1-mini-2025-04-14", ":acme"]
)
def test_a_tuned_model_is_known_as_far_as_the_one_that_it_was_tuned_from(name: str) -> None:
    info = catalog.model_info(f"openai:ft:{name}")
    assert not info.known
    assert not catalog.model_info(f"anthropic:ft:{name}").known


@pytest.mark.latest
def test_every_model_of_a_provider_is_known() -> None:
    for provider in ("anthropic", "openai", "google", "groq", "mistral", "deepseek", "xai"):
        for info in catalog.models(provider):
            assert info.known, info.name
