"""What naming the catalogue costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmring import catalog


def loaded(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "modules"),
    [
        ("import llmring.catalog", set()),
        ("from llmring.catalog import ROLES, suggested", {"records", "naming"}),
        ("from llmring.catalog.records import max_output_tokens", {"records", "naming"}),
    ],
)
def test_only_what_is_asked_for_is_loaded(statement: str, modules: set[str]) -> None:
    found = {name for name in loaded(statement) if name.startswith("llmring.catalog.")}
    assert found == {f"llmring.catalog.{name}" for name in modules}


def test_the_price_data_is_loaded_when_something_is_looked_up() -> None:
    assert "genai_prices" not in loaded("from llmring.catalog import cost_of, model_info, nearest, successor")
    assert "genai_prices" in loaded("from llmring.catalog import model_info; model_info('openai:gpt-6-luna')")


def test_every_name_is_there() -> None:
    assert set(catalog.__all__) <= set(dir(catalog))
    for name in catalog.__all__:
        assert getattr(catalog, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = catalog.nothing  # type: ignore[attr-defined]
