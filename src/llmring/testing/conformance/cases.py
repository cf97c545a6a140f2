"""What a test of the suite is: a coroutine, what the contract says of it, and how its failure is told."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

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
    __tracebackhide__ = True
    pytest.fail(f"{wrong}\nThe contract: {contract}", pytrace=False)


def case(contract: str, *needs: str) -> Callable[[_Test], Callable[..., None]]:
    """Make a test of a coroutine, which runs in an event loop of its own: no plugin of pytest is needed.

    Args:
        contract: what a failure goes against.
        needs: the abilities without which it is skipped.
    """

    def make(test: _Test) -> Callable[..., None]:
        @functools.wraps(test)
        def method(self: object, stage: Any, **named: Any) -> None:
            __tracebackhide__ = True
            stage.begin(contract, needs)
            run(stage.perform(test(self, stage, **named)), stage.subject.patience, contract)

        return method

    return make


def run(test: Coroutine[Any, Any, None], patience: float, contract: str) -> None:
    """Run a test, and fail it if it has not ended in time, also where what it waits for cannot be cancelled."""
    __tracebackhide__ = True
    runner = asyncio.Runner()
    loop = runner.get_loop()
    task = loop.create_task(test)

    async def watch() -> bool:
        done, _ = await asyncio.wait([task], timeout=patience)
        if done:
            return True
        for _ in range(2):
            task.cancel()
            await asyncio.wait([task], timeout=_LAST_WORD)
        return False

    in_time = False
    try:
        in_time = runner.run(watch())
    finally:
        if in_time or task.done():
            runner.close()
        else:
            loop.close()
    if in_time:
        task.result()
        return
    ended = "cancelled, it ended" if task.done() else "and it could not be cancelled: something swallows CancelledError"
    fail(
        f"After {patience:g} s the provider was still waiting; {ended}. llmring ends a wait by cancelling it: let "
        "CancelledError through in `send`, and block the event loop nowhere.",
        contract,
    )
