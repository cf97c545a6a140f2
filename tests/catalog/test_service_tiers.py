"""The tier that served has its own price, or none is said; and each model that served a part has its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
)
from pydantic_core import to_json

from llmring import LLMResponse, StreamChunk, catalog
from llmring.schemas import Served
from llmring.wire.anthropic import MessagesDecoder
from llmring.wire.base import Decoder
from llmring.wire.gemini import GenerateDecoder
from llmring.wire.openai_chat import ChatDecoder
from llmring.wire.openai_responses import ResponsesDecoder

from ..wire.streams import answered
from .rates import PLAIN


def variant(kind: str, tier: str, price: int, start: date | None = None) -> PriceVariant:
    constraint = StartDateConstraint(start) if start else None
    return PriceVariant({kind: tier}, ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(0)), constraint)


def model(name: str, price: int, *variants: PriceVariant) -> ModelInfo:
    prices = ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(0))
    return ModelInfo(name, ClauseEquals(name), prices=prices, price_variants=list(variants))


TIERED = (
    variant("service_tier", "flex", 2),
    variant("service_tier", "priority", 8),
    variant("processing", "batch", 1),
    variant("speed", "fast", 12),
    variant("service_tier", "soon", 3, date(9000, 1, 1)),
)
LISTS = [
    Provider("openai", "OpenAI", r"https://api\.openai\.com", models=[model("tiered", 4, *TIERED), model("plain", 4)]),
    Provider("azure", "Azure", r"https://azure", fallback_model_providers=["openai"], models=[]),
    Provider("anthropic", "Anthropic", r"https://api\.anthropic\.com", models=[model("dear", 500, *TIERED)]),
]


@pytest.fixture(autouse=True)
def price_lists() -> Iterator[None]:
    """Price lists of this test's own."""
    set_custom_snapshot(DataSnapshot(LISTS, from_auto_update=False))
    yield
    set_custom_snapshot(None)


@pytest.mark.parametrize(
    ("tier", "dollars"),
    [
        (None, 4),
        *dict.fromkeys(
            ["default", "standard", "auto", "on_demand", "ON_DEMAND", "TRAFFIC_TYPE_UNSPECIFIED"], 4
        ).items(),
        ("flex", 2),
        ("FLEX", 2),
        ("ON_DEMAND_FLEX", 2),
        ("priority", 8),
        ("ON_DEMAND_PRIORITY", 8),
        ("batch", 1),
        ("fast", 12),
    ],
)
def test_a_tier_has_its_own_price(tier: str | None, dollars: int) -> None:
    answer = LLMResponse("openai:tiered", usage=PLAIN, served=(Served("openai:tiered", PLAIN, None, tier),))
    final = StreamChunk(model="openai:tiered", finish_reason="stop", usage=PLAIN, served=answer.served)
    assert answer.service_tier == final.service_tier == tier
    for cost in (
        catalog.cost_of(answer),
        catalog.cost_of(final),
        catalog.cost_of(PLAIN, "openai:tiered", service_tier=tier),
    ):
        assert (cost.total, cost.reason) == (dollars, None)


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("openai:plain", "flex"),
        ("openai:tiered", "scale"),
        ("openai:tiered", "PROVISIONED_THROUGHPUT"),
        ("openai:tiered", "soon"),
        ("azure:tiered", "flex"),  # its standard prices are OpenAI's; of its tiers nothing is known
    ],
)
def test_a_tier_without_a_price_is_not_priced_as_the_standard_one(name: str, tier: str) -> None:
    assert catalog.cost_of(PLAIN, name, service_tier="default").total == 4
    cost = catalog.cost_of(PLAIN, name, service_tier=tier)
    assert not cost.priced
    assert repr(tier) in (cost.reason or "")
    assert name in (cost.reason or "")


def test_each_model_that_served_is_priced_by_its_own_prices() -> None:
    share = (Served("anthropic:dear", PLAIN), Served("openai:tiered", PLAIN, None, "flex"))
    answer = LLMResponse("openai:tiered", usage=PLAIN, served=share)
    cost = catalog.cost_of(answer)
    assert (cost.input, cost.output, cost.total) == (502, 0, 502)
    assert cost.model == "anthropic:dear + openai:tiered"


def test_each_model_that_served_has_an_address_of_its_own() -> None:
    answer = LLMResponse("openai:tiered", served=(Served("mine:tiered", PLAIN), Served("openai:tiered", PLAIN)))
    addresses = {"mine:tiered": "https://api.openai.com/v1"}
    assert catalog.cost_of(answer, base_url=addresses.get).total == 8
    assert not catalog.cost_of(answer).priced


@pytest.mark.parametrize("gone", [Served("anthropic:dear"), Served("anthropic:unheard", PLAIN)])
def test_where_one_is_not_priced_the_whole_is_not(gone: Served) -> None:
    cost = catalog.cost_of(LLMResponse("openai:tiered", served=(gone, Served("openai:tiered", PLAIN))))
    assert (cost.total, cost.model) == (None, f"{gone.model} + openai:tiered")
    assert (cost.reason or "").startswith(f"{gone.model} is not priced: ")


CHAT_USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
CLAUDE_USAGE = {"input_tokens": 5, "output_tokens": 1}
WHOLE: list[tuple[type[Decoder], dict[str, Any], str | None]] = [
    (ChatDecoder, {"choices": [{"message": {"content": "Hi"}}], "usage": CHAT_USAGE, "service_tier": "flex"}, "flex"),
    (ChatDecoder, {"choices": [{"message": {"content": "Hi"}}], "usage": CHAT_USAGE, "service_tier": None}, None),
    (ResponsesDecoder, {"status": "completed", "output": [], "service_tier": "priority"}, "priority"),
    (MessagesDecoder, {"content": [], "usage": CLAUDE_USAGE | {"service_tier": "batch"}}, "batch"),
    (MessagesDecoder, {"content": [], "usage": CLAUDE_USAGE | {"service_tier": "standard", "speed": "fast"}}, "fast"),
    (
        GenerateDecoder,
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 5, "serviceTier": "flex"}},
        "flex",
    ),
    (
        GenerateDecoder,
        {
            "candidates": [{"finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "trafficType": "ON_DEMAND"},
        },
        "ON_DEMAND",
    ),
]


@pytest.mark.parametrize(("wire", "answer", "tier"), WHOLE)
def test_every_wire_says_which_tier_served(wire: type[Decoder], answer: dict[str, Any], tier: str | None) -> None:
    assert answered(wire("p:m"), to_json(answer)).service_tier == tier


STREAMED: list[tuple[type[Decoder], list[dict[str, Any]], str]] = [
    (
        ChatDecoder,
        [
            {"model": "m", "choices": [{"delta": {"content": "Hi"}}], "service_tier": "auto"},
            {"choices": [], "usage": CHAT_USAGE, "service_tier": "flex"},
        ],
        "flex",
    ),
    (
        ChatDecoder,
        [
            {"model": "m", "choices": [{"delta": {"content": "Hi"}}], "service_tier": "flex"},
            {"choices": [], "usage": CHAT_USAGE},
        ],
        "flex",
    ),
    (
        ResponsesDecoder,
        [{"type": "response.completed", "response": {"status": "completed", "output": [], "service_tier": "flex"}}],
        "flex",
    ),
    (
        MessagesDecoder,
        [
            {"type": "message_start", "message": {"usage": CLAUDE_USAGE | {"service_tier": "priority"}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        ],
        "priority",
    ),
    (
        GenerateDecoder,
        [
            {"usageMetadata": {"promptTokenCount": 5, "trafficType": "ON_DEMAND_FLEX"}},
            {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 5}},
        ],
        "ON_DEMAND_FLEX",
    ),
]


@pytest.mark.parametrize(("wire", "events", "tier"), STREAMED)
def test_a_stream_says_it_too_and_as_soon_as_it_is_known(
    wire: type[Decoder], events: list[dict[str, Any]], tier: str
) -> None:
    decoder = wire("p:m")
    for event in events:
        decoder.read(b"data: " + to_json(event) + b"\n\n")
    assert decoder.served.service_tier == tier
    assert decoder.close().service_tier == tier
