"""What gateways, clouds and routers write into a model's name: its limits and prices are found, or said not to be."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import ClauseContains, ClauseEquals, ClauseOr, ClauseStartsWith, ModelInfo, ModelPrice, Provider
from hypothesis import given
from hypothesis import strategies as st

from llmring import catalog
from llmring.catalog.naming import model_of

from ..conftest import Say
from .rates import PLAIN


def entry(name: str, price: int, *clauses: Any) -> ModelInfo:
    prices = ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(0))
    return ModelInfo(name, ClauseOr([ClauseEquals(name), *clauses]), context_window=1000 * price, prices=prices)


LISTS = [
    Provider(
        "anthropic",
        "Anthropic",
        r"https://api\.anthropic\.com",
        models=[entry("claude-opal-3", 3, ClauseStartsWith("claude-opal-3")), entry("claude-opal-3-5", 5)],
    ),
    Provider(
        "openai",
        "OpenAI",
        r"https://api\.openai\.com",
        models=[entry("gpt-77", 7), entry("gpt-77-mini", 1), entry("gpt-oss-9b", 2)],
    ),
    Provider(
        "google",
        "Google",
        r"https://(.*\.)?googleapis\.com",
        fallback_model_providers=["anthropic"],
        models=[entry("gemini-77-flash", 4)],
    ),
    Provider(
        "aws",
        "AWS",
        r"https://bedrock",
        models=[
            entry("global.anthropic.claude-opal-3", 9, ClauseContains("global.anthropic.claude-opal-3")),
            entry("claude-opal-3-20990101", 11, ClauseContains("us.anthropic.claude-opal-3")),
        ],
    ),
    Provider("fireworks", "Fireworks", r"https://api\.fireworks\.ai", models=[entry("opal-v3", 6)]),
    Provider(
        "openrouter",
        "OpenRouter",
        r"https://openrouter\.ai",
        models=[
            entry("anthropic/claude-opal-3.5", 5),
            entry("meta/opal:free", 8),
            entry("openai/gpt-77", 7),
            entry("meta/opal-9-8-large", 4),
        ],
    ),
    Provider("groq", "Groq", r"https://api\.groq\.com", models=[entry("openai/gpt-oss-9b", 1)]),
]


@pytest.fixture(autouse=True)
def price_lists(sdk_says: Say) -> Iterator[None]:
    """Price lists of this test's own, and an SDK that lists no names."""
    sdk_says("anthropic", "types/model.py", None)
    set_custom_snapshot(DataSnapshot(LISTS, from_auto_update=False))
    yield
    set_custom_snapshot(None)


def price(model: str, base_url: str | None = None) -> float | None:
    cost = catalog.cost_of(PLAIN, model, base_url=base_url)
    assert cost.priced == (cost.reason is None)
    return cost.total


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("anthropic:claude-opal-3@20990101", 3),
        ("anthropic:claude-opal-3@latest", 3),
        ("anthropic:claude-opal-3-20990101", 3),
        ("anthropic:claude-opal-3-5-2099-01-01", 5),
        ("anthropic:anthropic/claude-opal-3-5", 5),
        ("openai:gpt-77-2099-01-01", 7),
        ("openai:gpt-77-mini-20990101", 1),
        ("openai:openai/gpt-77-mini", 1),
        ("google:models/gemini-77-flash", 4),
        ("google:publishers/google/models/gemini-77-flash", 4),
        ("google:projects/p/locations/global/publishers/google/models/gemini-77-flash", 4),
        ("google:publishers/anthropic/models/claude-opal-3-5@20990101", 5),
        ("google:google/gemini-77-flash", 4),
        ("bedrock:global.anthropic.claude-opal-3-20990101-v1:0", 9),
        ("bedrock:us.anthropic.claude-opal-3-20990101-v1:0", 11),
        ("bedrock:arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opal-3-v1:0:24k", 11),
        ("fireworks:accounts/fireworks/models/opal-v3", 6),
        ("openrouter:anthropic/claude-opal-3.5", 5),
        ("openrouter:anthropic/claude-opal-3-5", 5),
        ("openrouter:anthropic/claude-opal-3-5-20990101", 5),
        ("openrouter:meta/opal-9.8-large", 4),
        ("openrouter:meta/opal-9-8-large", 4),
        ("openrouter:meta/opal:free", 8),
        ("groq:openai/gpt-oss-9b", 1),
        # Behind a gateway that the price data does not know.
        ("gateway:anthropic/claude-opal-3-5", 5),
        ("gateway:us.anthropic.claude-opal-3-20990101-v1:0", 11),
        ("gateway:bedrock/converse/us.anthropic.claude-opal-3-20990101-v1:0", 11),
        ("gateway:openrouter/anthropic/claude-opal-3.5", 5),
        ("gateway:vertex_ai/claude-opal-3-5@20990101", 5),
        ("gateway:groq/openai/gpt-oss-9b", 1),
        ("gateway:fireworks_ai/accounts/fireworks/models/opal-v3", 6),
    ],
)
def test_a_model_is_found_by_any_name_of_it(model: str, dollars: int) -> None:
    assert price(model) == pytest.approx(dollars)
    info = catalog.model_info(model)
    assert (info.input_price, info.context_window) == (dollars, 1000 * dollars)
    assert f"{info.provider}:{info.name}" == model


@pytest.mark.parametrize(
    "model",
    [
        "openai:gpt-77-min",
        "openai:gpt-77-pro",
        "openai:gpt-771",
        "openai:gpt-77-mini-audio",
        "anthropic:claude-opal-31",
        "anthropic:claude-opal-3-mini",
        "anthropic:claude-opal-3-5-fast",
        "anthropic:us.anthropic.claude-opal-3-5",  # Bedrock's name for it, and its prices are Bedrock's
        "bedrock:us.anthropic.claude-opal-3-mini-v1:0",
        "bedrock:ceus.anthropic.claude-opal-3",
        "fireworks:accounts/somebody/models/opal-v3",
        "openrouter:anthropic/claude-opal-3.5:nitro",
        "openrouter:anthropic/claude-opal-3.5:free",
        "openrouter:openai/gpt-77:online",
        "openrouter:openai/gpt-77-mini",
        "openrouter:openai/gpt-7-7",
        "openrouter:anthropic/claude-opal-3-5:nitro",
        "openrouter:meta/opal-9-8b-large",
        "openrouter:meta/opal-9-80-large",
        "anthropic:claude-opal-3.5",
        "groq:openai/gpt-77",
        "gateway:claude-opal-3-5",  # who serves it?
        "gateway:openai/gpt-oss-9b",
        "gateway:anthropic/claude-opal-3-5:nitro",
        "gateway:anthropic/",
        "gateway:somebody/gpt-77",
    ],
)
def test_a_model_is_not_priced_as_another_one(model: str) -> None:
    assert price(model) is None


@pytest.mark.parametrize(
    ("base_url", "dollars"),
    [
        (None, None),
        ("https://api.openai.com/v1", None),
        ("https://llm.example.com/v1", 5),
        ("http://127.0.0.1:1", None),
    ],
)
def test_the_name_says_who_is_behind_a_gateway_and_not_behind_a_vendor(base_url: str | None, dollars: int) -> None:
    assert price("openai:anthropic/claude-opal-3-5", base_url) == dollars
    if dollars:
        assert catalog.cost_of(PLAIN, "openai:anthropic/claude-opal-3-5", base_url=base_url).model == (
            "anthropic:claude-opal-3-5"
        )


def test_a_variant_has_the_limits_of_its_model_and_no_price() -> None:
    info = catalog.model_info("openrouter:anthropic/claude-opal-3.5:nitro")
    assert (info.context_window, info.input_price) == (5000, None)


WRAPPINGS = [
    "{}",
    "anthropic/{}",
    "~anthropic/{}",
    "us.anthropic.{}",
    "us.anthropic.{}-v1:0",
    "bedrock/us-gov.anthropic.{}-v1:0:24k",
    "models/{}",
    "publishers/anthropic/models/{}",
    "accounts/fireworks/models/{}",
    "{}:free",
    "anthropic/{}:nitro",
    "arn:aws:bedrock:us-east-1:123456789012:foundation-model/anthropic.{}-v1:0",
]


@given(
    st.sampled_from(["claude-opus-4-5", "claude-haiku-4-5", "gpt-4o-mini", "claude-sonnet-4-6", "gpt-4.1", "opal-9"]),
    st.sampled_from(["", "-20250929", "@20250929", "-2025-09-29", "-latest", "@latest"]),
    st.sampled_from(WRAPPINGS),
    st.booleans(),
)
def test_the_limit_of_a_model_is_that_of_all_its_names(name: str, day: str, wrapping: str, upper: bool) -> None:
    limit = catalog.max_output_tokens(name)
    written = wrapping.format(name + day)
    assert catalog.max_output_tokens(written.upper() if upper else written) == limit


def test_a_name_that_is_read_is_read_the_same_again() -> None:
    for name in (
        "us.anthropic.claude-opus-4.5-v1:0",
        "openrouter/openai/gpt-5.4-mini:free",
        "qwen2.5-7b",
        "llama3.1-8b",
    ):
        assert model_of(model_of(name)) == model_of(name)
    assert model_of("openai/gpt-5.4-mini:free") == "gpt-5-4-mini"
