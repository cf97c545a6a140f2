"""Costs: right where the price data has a price, and said so where it has none."""

import pytest

from llmring import catalog
from llmring.exceptions import ConfigurationError
from llmring.schemas import LLMResponse, StreamChunk, Usage
from llmring.vendors import BUILT_IN

from .rates import PLAIN, rates

CACHED: Usage = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "cache_read_tokens": 800,
    "cache_write_tokens": 100,
    "reasoning_tokens": 60,
}


@pytest.mark.parametrize("model", ["anthropic:claude-sonnet-5-5", "google:gemini-2.5-flash", "openai:gpt-5-mini"])
def test_a_price_is_tokens_times_rate(model: str) -> None:
    input_rate, output_rate, _, _ = rates(model)
    cost = catalog.cost_of(PLAIN, model)
    assert cost.priced
    assert cost.reason is None
    assert cost.input == pytest.approx(input_rate)
    assert cost.output == pytest.approx(output_rate / 10)
    assert cost.total == pytest.approx(input_rate + output_rate / 10)


@pytest.mark.parametrize(
    "model", ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna", "openai:gpt-5-mini", "google:gemini-3.8-flash"]
)
def test_cached_tokens_have_their_own_rates_and_are_not_counted_twice(model: str) -> None:
    input_rate, output_rate, read, write = rates(model)
    cost = catalog.cost_of(CACHED, model)
    assert cost.input == pytest.approx((100 * input_rate + 800 * read + 100 * write) / 1e6)
    assert cost.output == pytest.approx(100 * output_rate / 1e6), "reasoning is part of the completion"


def test_the_model_that_answered_is_priced_before_the_one_asked_for() -> None:
    answer = LLMResponse("openai:gpt-5-mini", usage=PLAIN, response_model="gpt-5-nano-2025-08-07")
    assert catalog.cost_of(answer).model == "openai:gpt-5-nano-2025-08-07"
    assert catalog.cost_of(answer).total == catalog.cost_of(PLAIN, "openai:gpt-5-nano").total
    unheard = LLMResponse("openai:gpt-5-mini", usage=PLAIN, response_model="engine-7")
    assert catalog.cost_of(unheard) == catalog.cost_of(PLAIN, "openai:gpt-5-mini")


def test_a_final_chunk_will_do() -> None:
    chunk = StreamChunk(model="openai:gpt-5-mini", usage=PLAIN, finish_reason="stop")
    assert catalog.cost_of(chunk) == catalog.cost_of(PLAIN, "openai:gpt-5-mini")


@pytest.mark.parametrize(
    ("model", "usage", "reason"),
    [
        ("ollama:llama3.2", PLAIN, "own machine"),
        ("acme:rocket-1", PLAIN, "provider 'acme'"),
        ("openai:no-such-model", PLAIN, "'no-such-model' of openai"),
        ("openai:text-embedding-3-small", PLAIN, "by the token"),
        ("openai:gpt-6-luna", {**CACHED, "cache_read_tokens": 5000}, "cannot be priced"),
    ],
)
def test_no_price_is_said_and_is_not_zero(model: str, usage: Usage, reason: str) -> None:
    cost = catalog.cost_of(usage, model)
    assert not cost.priced
    assert (cost.input, cost.output, cost.total) == (None, None, None)
    assert reason in (cost.reason or "")
    assert cost.model == model


def test_no_usage_no_price() -> None:
    assert "no usage" in (catalog.cost_of(LLMResponse("openai:gpt-5-mini")).reason or "")


def test_a_provider_of_another_name_is_known_by_its_address() -> None:
    model = "mine:llama-3.3-70b-versatile"
    assert not catalog.cost_of(PLAIN, model).priced
    assert catalog.cost_of(PLAIN, model, base_url="https://api.groq.com/openai/v1").priced


def test_a_bare_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="provider:model"):
        catalog.cost_of(PLAIN, "gpt-5-mini")


def test_the_servers_of_ones_own_are_those_of_the_registry() -> None:
    for name, built_in in BUILT_IN.items():
        assert ("your own machine" in (catalog.cost_of(PLAIN, f"{name}:m").reason or "")) == built_in.local, name


@pytest.mark.latest
@pytest.mark.parametrize("provider", sorted(name for name, it in BUILT_IN.items() if not it.local))
def test_the_price_data_knows_every_vendor(provider: str) -> None:
    assert catalog.covers(provider)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:8000/v1",
        "http://LOCALHOST",
        "http://gpu.localhost/v1",
        "http://127.0.0.2:1",
        "http://0.0.0.0:8000",
        "http://192.168.1.7:8000/v1",
        "http://10.1.2.3",
        "http://[::1]:8000/v1",
        "http://[fd00::7]/v1",
    ],
)
def test_a_host_of_ones_own_bills_nothing_and_retires_nothing(base_url: str) -> None:
    cost = catalog.cost_of(PLAIN, "openai:gpt-4o", base_url=base_url)
    assert (cost.total, cost.model) == (None, "openai:gpt-4o")
    assert cost.reason is not None
    assert "a host of your own" in cost.reason
    info = catalog.model_info("openai:gpt-4", base_url=base_url)
    assert (info.own_host, info.known, info.input_price, info.retires, info.deprecated) == (
        True,
        False,
        None,
        None,
        False,
    )


@pytest.mark.parametrize("login", ["word", "me:word", "a@b:c"])
def test_the_reason_shows_no_login(login: str) -> None:
    """Nor a query, which may hold a key as well."""
    for host in ("http://{}127.0.0.1:9/v1", "https://{}models.example.com/v1"):
        for base_url in (host.format(f"{login}@"), host.format("") + f"?as={login}"):
            for provider in ("openai", "mine", "ollama"):
                reason = str(catalog.cost_of(PLAIN, f"{provider}:m", base_url=base_url).reason)
                assert login not in reason
                assert "@" not in reason


def test_an_address_with_a_login_is_its_vendors_too() -> None:
    assert catalog.cost_of(PLAIN, "mine:gpt-4o", base_url="https://me:word@api.openai.com/v1").priced


@pytest.mark.parametrize("base_url", ["https://ollama.com", "https://word@ollama.com", "ollama.com", "http://8.8.8.8"])
def test_a_server_that_is_not_ones_own_may_bill(base_url: str) -> None:
    """The address says so, whatever the name."""
    cost = catalog.cost_of(PLAIN, "ollama:llama3.2", base_url=base_url)
    assert not cost.priced
    assert f"does not know the provider 'ollama' at {base_url.replace('word@', '')}" in str(cost.reason)
    assert not catalog.model_info("ollama:llama3.2", base_url=base_url).own_host
    assert catalog.cost_of(PLAIN, "vllm:gpt-4o", base_url="https://api.openai.com/v1").priced


@pytest.mark.parametrize(
    "base_url",
    [None, "", "http://ollama:11434", "gpu-box:11434", "http://box.local:1", "http://box.lan", "http://x.internal"],
)
def test_a_server_of_ones_own_that_is_near(base_url: str | None) -> None:
    """A name that nothing on the internet has is of a container or of a machine in the room."""
    assert catalog.model_info("ollama:llama3.2", base_url=base_url).own_host
    assert "nobody bills" in str(catalog.cost_of(PLAIN, "ollama:llama3.2", base_url=base_url).reason)


@pytest.mark.parametrize(
    "base_url",
    [None, "https://models.example.com/v1", "https://8.8.8.8/v1", "https://localhost.example.com", "http://[bad", ""],
)
def test_a_gateway_bills_as_the_vendor_does(base_url: str | None) -> None:
    assert catalog.cost_of(PLAIN, "openai:gpt-4o", base_url=base_url).priced
    assert catalog.model_info("openai:gpt-4", base_url=base_url).retired
