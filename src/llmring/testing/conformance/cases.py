"""What a test of the suite is: a coroutine, what the contract says of it, and how its failure is told."""

from __future__ import annotations

import asyncio
import functools
import gc
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, Protocol

try:
    import pytest
except ImportError as exc:
    raise ImportError("llmring.testing.conformance needs pytest: pip install pytest") from exc

__all__ = ["case", "fail", "pytest", "run"]

_Test = Callable[..., Coroutine[Any, Any, None]]

_LAST_WORD = 1.0
"""Seconds that what was cancelled has to end."""


def fail(wrong: str, contract: str) -> NoReturn:
    """Fail the test that runs, in the author's terms, without the suite's own frames."""
    pytest.fail(f"{wrong}\nThe contract: {contract}", pytrace=False)


def case(contract: str, *needs: str) -> Callable[[_Test], Callable[..., None]]:
    """Make a test of a coroutine, which runs in an event loop of its own: no plugin of pytest is needed.

    Args:
        contract: what a failure goes against.
        needs: the abilities without which it is skipped.
    """

    def make(test: _Test) -> Callable[..., None]:
        @functools.wraps(test)
        def method(self: object, stage: Ground, **named: Any) -> None:
            stage.begin(contract, needs)
            told = None
            try:
                run(stage, test(self, stage, **named), contract)
            except pytest.fail.Exception as failure:
                told = failure
            if told is not None:
                # Its frames hold what the provider left open, of which the next test would be warned.
                told.__traceback__ = told.__context__ = None
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    gc.collect()
                raise told

        return method

    return make


class Ground(Protocol):
    """What a test runs on: a `Stage`."""

    patience: float

    def begin(self, says: str, needs: Sequence[str]) -> None:
        """Begin a test."""
        ...

    async def perform(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test, and close what it opened."""
        ...

    async def hang_up(self) -> None:
        """Reset all connections."""
        ...


def run(stage: Ground, test: Coroutine[Any, Any, None], contract: str) -> None:
    """Run a test, and fail it if it has not ended in time, also where what it waits for cannot be cancelled."""
    runner = asyncio.Runner()
    task = runner.get_loop().create_task(stage.perform(test))

    async def watch() -> str | None:
        if (await asyncio.wait([task], timeout=stage.patience))[0]:
            return None
        for _ in range(2):
            task.cancel()
            await asyncio.wait([task], timeout=_LAST_WORD)
        if task.done():
            return "it ended when it was cancelled"
        await stage.hang_up()
        await asyncio.wait([task], timeout=_LAST_WORD)
        return "it could not be cancelled: something swallows CancelledError"

    waits = None
    try:
        waits = runner.run(watch())
    finally:
        if task.done():
            runner.close()
        else:
            runner.get_loop().close()
    if waits is None:
        task.result()
        return
    if task.done() and not task.cancelled():
        task.exception()
    fail(
        f"After {stage.patience:g} s the provider was still waiting; {waits}. llmring ends a wait by cancelling it: "
        "let CancelledError through in `send`, and block the event loop nowhere.",
        contract,
    )
