"""The most that a model generates, which costs no price data to know."""

import subprocess
import sys

import pytest

from llmring import catalog


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-opus-4-20250514", 32_000),
        ("claude-sonnet-5-5", 128_000),
        ("claude-sonnet-55", None),
        ("claude-haiku-4-5", 64_000),
        ("gpt-4.1-mini", 32_768),
        ("gpt-4-1106-preview", None),
        ("x", None),
    ],
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
