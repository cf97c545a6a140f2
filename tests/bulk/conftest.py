"""What one test's server said of its limits is nothing to the next one's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmring.state.stores import of_this_process


@pytest.fixture(autouse=True)
def _nobodys_limits() -> Iterator[None]:
    yield
    of_this_process.cache_clear()
