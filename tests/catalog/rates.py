"""What models cost, for the tests of the catalogue."""

from __future__ import annotations

from llmring import catalog
from llmring.schemas import Usage

__all__ = ["PLAIN", "rates"]

PLAIN: Usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}


def rates(model: str) -> tuple[float, float, float, float]:
    """Dollars for a million tokens: in, out, read from the cache, written to it."""
    info = catalog.model_info(model)
    assert info.input_price
    assert info.output_price
    return (
        info.input_price,
        info.output_price,
        info.cache_read_price if info.cache_read_price is not None else info.input_price,
        info.cache_write_price if info.cache_write_price is not None else info.input_price,
    )
