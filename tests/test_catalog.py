"""Prices and limits: right where a source has them, and said so where none has."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from llmring import catalog, sdk_lists
from llmring.exceptions import ConfigurationError
from llmring.providers.vendors import BUILT_IN
from llmring.schemas import LLMResponse, StreamChunk, Usage

PLAIN: Usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}
CACHED: Usage = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "cache_read_tokens": 800,
    "cache_write_tokens": 100,
    "reasoning_tokens": 60,
}


def rates(model: str) -> tuple[float, float, float, float]:
    info = catalog.model_info(model)
    assert info.input_price
    assert info.output_price
    return (
        info.input_price,
        info.output_price,
        info.cache_read_price if info.cache_read_price is not None else info.input_price,
        info.cache_write_price if info.cache_write_price is not None else info.input_price,
    )


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


@pytest.mark.parametrize("role", catalog.ROLES)
def test_what_is_suggested_exists_and_is_current(role: catalog.Role) -> None:
    assert set(catalog.suggested(role)) == set(catalog.suggested("fast")) >= {"openai", "anthropic", "google"}
    assert set(catalog.suggested(role)) < set(BUILT_IN)
    for provider, name in catalog.suggested(role).items():
        reference = f"{provider}:{name}"
        info = catalog.model_info(reference)
        assert catalog.known(reference)
        assert not info.deprecated
        assert info.retires is None
        assert "preview" not in name
        assert catalog.cost_of(PLAIN, reference).priced
        if provider in ("openai", "anthropic", "google"):
            assert info.context_window is not None
            assert info.context_window >= 200_000


def test_the_servers_of_ones_own_are_those_of_the_registry() -> None:
    for name, built_in in BUILT_IN.items():
        assert ("your own machine" in (catalog.cost_of(PLAIN, f"{name}:m").reason or "")) == built_in.local, name


@pytest.mark.parametrize("provider", sorted(name for name, it in BUILT_IN.items() if not it.local))
def test_the_price_data_knows_every_vendor(provider: str) -> None:
    assert catalog.covers(provider)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_the_roles_differ_in_price(provider: str) -> None:
    fast, balanced, deep = (rates(f"{provider}:{catalog.suggested(role)[provider]}")[1] for role in catalog.ROLES)
    assert fast < balanced < deep


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


@pytest.mark.parametrize(
    ("package", "file", "text", "model", "day"),
    [
        (
            "anthropic",
            "_data/deprecated_models.py",
            "from typing import Dict\n\nDEPRECATED_MODELS: Dict[str, str] = {\n"
            '    "claude-old-1": "June 1st, 2026",\n    "claude-old-2": "November 30th, 2026",\n}\n',
            "claude-old-2",
            date(2026, 11, 30),
        ),
        (
            "openai",
            "types/shared/chat_model.py",
            'ChatModel = str\n"""Deprecated values:\n\n- "gpt-old", "gpt-old-1",\n  "gpt-older":'
            '\n  Announced shutdown date: 2026-12-11. See there.\n- "gpt-odd": Not a model.\n"""\n',
            "gpt-older",
            date(2026, 12, 11),
        ),
    ],
)
def test_retirement_is_read_from_the_installed_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, file: str, text: str, model: str, day: date
) -> None:
    (tmp_path / package / file).parent.mkdir(parents=True)
    (tmp_path / package / "__init__.py").write_text("raise AssertionError('an SDK was imported')")
    (tmp_path / package / file).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, package, raising=False)
    sdk_lists.announced_ends.cache_clear()
    info = catalog.model_info(f"{package}:{model}")
    sdk_lists.announced_ends.cache_clear()
    assert (info.retires, info.deprecated) == (day, True)


@pytest.mark.parametrize("text", [None, "", "DEPRECATED_MODELS = {", "DEPRECATED_MODELS = {'a': f()}"])
def test_an_sdk_that_says_nothing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    folder = tmp_path / "anthropic" / "_data"
    folder.mkdir(parents=True)
    (tmp_path / "anthropic" / "__init__.py").touch()
    if text is not None:
        (folder / "deprecated_models.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "anthropic", raising=False)
    sdk_lists.announced_ends.cache_clear()
    assert catalog.model_info("anthropic:claude-haiku-4-5").retires is None
    sdk_lists.announced_ends.cache_clear()


def test_the_installed_sdks_are_understood() -> None:
    for provider in ("anthropic", "openai"):
        found = sdk_lists.announced_ends(provider)
        assert found, f"the file of {provider} that lists what ends has another form now"
        assert all(isinstance(day, date) for day in found.values())


@pytest.mark.parametrize(
    ("model", "limit"),
    [("claude-opus-4-20250514", 32_000), ("claude-sonnet-5-5", 128_000), ("claude-haiku-4-5", 64_000), ("x", None)],
)
def test_the_most_that_a_model_generates(model: str, limit: int | None) -> None:
    assert catalog.max_output_tokens(model) == limit


def test_limits_cost_no_price_data() -> None:
    code = (
        "import sys; from llmring.catalog import max_output_tokens, suggested; "
        "max_output_tokens('claude-haiku-4-5'); suggested('fast'); "
        "print([m for m in ('genai_prices', 'pydantic', 'anthropic', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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


@pytest.mark.parametrize(
    "base_url",
    [None, "https://models.example.com/v1", "https://8.8.8.8/v1", "https://localhost.example.com", "http://[bad", ""],
)
def test_a_gateway_bills_as_the_vendor_does(base_url: str | None) -> None:
    assert catalog.cost_of(PLAIN, "openai:gpt-4o", base_url=base_url).priced
    assert catalog.model_info("openai:gpt-4", base_url=base_url).retired


def test_what_runs_locally_is_at_a_host_of_ones_own() -> None:
    assert catalog.model_info("ollama:llama3.2").own_host
    assert not catalog.model_info("openai:gpt-4o").own_host


INVENTED = [
    "anthropic:claude-haiku-4-5-20251015",
    "anthropic:claude-sonnet-4-5-latest",
    "anthropic:claude-opus-4-88",
    "google:gemini-3.8-flashy",
    "google:gemini-3.8-flash-latest",
    "openai:gpt-5.2-20251211",
]


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
        "openai:GPT-4o",
        "mistral:magistral-medium-latest",
        "xai:grok-4.7",
    ],
)
def test_a_name_that_the_catalogue_or_the_sdk_lists_is_known(model: str) -> None:
    info = catalog.model_info(model)
    assert (info.known, info.taken_for) == (True, None)


def test_every_name_that_an_sdk_lists_is_known() -> None:
    for provider in ("anthropic", "openai", "google"):
        listed = sdk_lists.listed_models(provider)
        assert len(listed) > 10, f"the file of {provider} that lists its models has another form now"
        for name in listed:
            assert catalog.known(f"{provider}:{name}")


def test_every_model_of_a_provider_is_known() -> None:
    for provider in ("anthropic", "openai", "google", "groq", "mistral", "deepseek", "xai"):
        for info in catalog.models(provider):
            assert info.known, info.name
