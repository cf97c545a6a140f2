"""Limits that one process hears of, kept by others that share its store."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.bulk import Limits, RowMap
from llmring.state.asks import Ask, Verdict
from llmring.state.limits import told_by
from llmring.testing import PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest

LOCKFILE = """\
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

[state]
url_env = "COUNTS"
on_failure = "closed"
"""
TOLD = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "60s",
}


def ask(row: object) -> LLMRequest:
    return LLMRequest(model="openai:gpt-5-mini", messages=[Message(role="user", content=str(row))])


def lockfile(folder: Path, name: str) -> Path:
    """Of a project of its own, as another process would have it: its own counts are its own."""
    path = folder / name / "llmring.lock"
    path.parent.mkdir()
    path.write_text(LOCKFILE)
    return path


@asynccontextmanager
async def running(service: LLMRing) -> AsyncIterator[RowMap[int]]:
    """A map that goes on and on, read by a task."""
    answers = service.map(itertools.count(), ask, concurrency=2, ordered=False)

    async def read() -> None:
        async for it in answers:
            assert it.error is None

    reader = asyncio.ensure_future(read())
    try:
        while not answers.progress.answered:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        yield answers
    finally:
        await answers.aclose()
        await reader


async def stopped(answers: RowMap[int]) -> None:
    while answers.progress.limited_by != "alone" or answers.progress.running:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "told", [Reply(status=429, retry_after=60), Reply("ok", headers=TOLD)], ids=["Retry-After", "x-ratelimit"]
)
async def test_what_one_process_is_told_others_keep_to(
    server: PracticeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Reply
) -> None:
    monkeypatch.setenv("COUNTS", f"sqlite:{tmp_path / 'counts.db'}")
    server.script(lambda request: told if request.question.startswith("other") else Reply("ok", delay=0.02))
    async with (
        LLMRing(lockfile_path=lockfile(tmp_path, "a")) as service,
        LLMRing(lockfile_path=lockfile(tmp_path, "b")) as other,
        running(service) as answers,
    ):
        assert answers.progress.limited_by != "alone"
        theirs = other.map((f"other {n}" for n in itertools.count()), ask, concurrency=1)
        reader = asyncio.ensure_future(anext(theirs))
        async with asyncio.timeout(60):
            await stopped(answers)
        reader.cancel()
        await asyncio.wait([reader])
        await theirs.aclose()


async def test_a_store_that_is_away_holds_nobody_up(
    server: PracticeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`on_failure = "closed"` is about what is counted."""
    monkeypatch.setenv("COUNTS", f"sqlite:{tmp_path / 'no' / 'such' / 'folder.db'}")

    def decide(request: RecordedRequest) -> Reply:
        return Reply("ok", headers={**TOLD, "x-ratelimit-remaining-requests": "59"}, delay=0.01)

    server.script(decide)
    async with LLMRing(lockfile_path=lockfile(tmp_path, "a")) as service:
        results = [it async for it in service.map(range(50), ask, concurrency=4)]
    assert [it.error for it in results] == [None] * 50


async def test_what_one_map_is_told_another_of_the_process_keeps_to(server: PracticeServer) -> None:
    server.script(lambda request: Reply("ok", headers=TOLD) if request.question == "other" else Reply("ok", delay=0.02))
    async with LLMRing() as service, running(service) as answers:
        assert [it.error async for it in service.map(["other"], ask)] == [None]
        async with asyncio.timeout(60):
            await stopped(answers)


async def test_what_one_model_is_told_is_not_told_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both serve one map, and the other one answers before the store is told."""
    monkeypatch.setenv("COUNTS", f"sqlite:{tmp_path / 'counts.db'}")
    models = "openai:gpt-5-mini", "anthropic:claude-haiku-4-5"
    figures = told_by({**TOLD, "x-ratelimit-reset-requests": "20h"})
    assert figures is not None
    async with LLMRing(lockfile_path=lockfile(tmp_path, "a")) as service:
        desk = service._stores.desk(service._lockfile())
        limits = Limits(lambda: desk, lambda _: None)
        limits._serves(models[0])
        limits._tell(figures)
        limits._serves(models[1])
        limits.wait()
        for model, is_held in zip(models, (True, False), strict=True):
            verdict = desk.ask(Ask(limit=f"limit:{model}", weight=1))
            assert bool((verdict if isinstance(verdict, Verdict) else await verdict).no) == is_held
