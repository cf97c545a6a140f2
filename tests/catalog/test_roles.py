"""What is suggested for a role is there, stays, and costs what the role lets expect."""

import pytest

from llmring import catalog
from llmring.providers.vendors import BUILT_IN
from llmring.schemas import Usage

PLAIN: Usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}


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


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_the_roles_differ_in_price(provider: str) -> None:
    fast, balanced, deep = (rates(f"{provider}:{catalog.suggested(role)[provider]}")[1] for role in catalog.ROLES)
    assert fast < balanced < deep
