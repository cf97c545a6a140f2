"""What every test needs: coroutines run to their end, and an environment with nobody's keys in it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from llmring.testing import PracticeServer

# A busy machine is no finding.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_OURS = ("LLMRING_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "OLLAMA_")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in a loop of its own; a task that it leaves behind fails it."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None

    async def run() -> None:
        await pyfuncitem.function(
            **{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.function).parameters}
        )
        for _ in range(3):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left behind: {left}"

    asyncio.run(run())
    return True


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and an environment without a key, an address, a lockfile or a proxy."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    """A practice server that every SDK's environment points at."""
    with PracticeServer() as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server
