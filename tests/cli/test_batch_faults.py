"""Runs in batches where things went wrong between two of them: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmring.testing import PracticeServer

from .conftest import Run
from .test_batches import ALL, OPENAI, answers, interrupted, lines, mapped, write

OTHER = "openai:gpt-5-nano"


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_BATCH_PAUSE_S", "0.02")
    project.write_text(project.read_text().replace("anthropic:claude-haiku-4-5", OPENAI))
    write(bare / "rows.jsonl", 6)


def bind(project: Path, model: str) -> None:
    text = project.read_text()
    project.write_text(text.replace(OPENAI, model) if OPENAI in text else text.replace(OTHER, model))


@pytest.mark.parametrize("over", [[[1], [0]], [[0, 1]]])
def test_what_is_asked_anew_stays_whichever_batch_is_over_first(
    run: Run, server: PracticeServer, project: Path, over: list[list[int]]
) -> None:
    interrupted(server, "chatbot")
    bind(project, OTHER)
    interrupted(server, "chatbot", "--redo-changed")
    for numbers in over:
        for number in numbers:
            server.batches.made[number].finish()
        assert run("batch", "collect", "out.jsonl").exit_code == 0
    assert {it["model"] for it in lines()} == {OTHER}
    assert mapped(run, "chatbot", "--redo-changed")["left"] == 0
    assert answers() == ALL
    assert len(server.batches.made) == 2
