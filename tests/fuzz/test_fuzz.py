"""A short run of every target, with bytes and bent good inputs; `make fuzz` runs them longer, guided by coverage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import TARGETS, seeds

PIECES = [
    b"\n",
    b"\n\n",
    b"\r",
    b"}",
    b'"',
    b",",
    b"[",
    b"{",
    b"\xff",
    b"\\ud83d",
    b"9",
    b"null",
    b"\xe2\x80\xae",
    b"data: ",
    b"=",
]


@st.composite
def bent(draw: st.DrawFn, name: str) -> bytes:
    """A good input with a few pieces taken out, doubled, or put in."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        end = at + draw(st.integers(0, 40))
        data[at:end] = draw(st.sampled_from([b"", bytes(data[at:end]) * 2, *PIECES]))
    return bytes(data)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("CRITICAL", "llmring"):
        yield


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(st.one_of(st.binary(max_size=200), bent(name))))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_can_fail(name: str) -> None:
    """What is good passes, and runs through to the end of its target."""
    for seed in seeds(name):
        TARGETS[name](seed)
