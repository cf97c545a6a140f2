"""What is suggested for a role is there, stays, and costs what the role lets expect."""

import pytest

from llmring import catalog
from llmring.vendors import BUILT_IN

from .rates import PLAIN, rates


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
