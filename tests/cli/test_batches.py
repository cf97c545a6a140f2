"""`llmring map --batch` and `llmring batch`: through the real SDKs, to the practice server's batches."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import PracticeServer

from .conftest import Run

OPENAI = "openai:gpt-5-mini"
ASK = ["--prompt", "Label: {text}", "-o", "out.jsonl"]


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_BATCH_PAUSE_S", "0.02")


@pytest.fixture
def rows(bare: Path) -> str:
    return write(bare / "rows.jsonl", 6)


def write(path: Path, count: int) -> str:
    path.write_text("".join(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in range(count)))
    return path.name


def lines(path: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(it) for it in Path(path).read_text().splitlines()]


def steps(path: str = "out.batches.jsonl") -> list[str]:
    return [it["step"] for it in lines(path)]


def billed(server: PracticeServer) -> Counter[str]:
    return Counter(row.request.question for row in server.batches.billed if row.request is not None)


def test_rows_are_answered_in_a_batch(run: Run, server: PracticeServer, rows: str) -> None:
    result = run("map", rows, "--model", OPENAI, *ASK, "--batch")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["answered"], summary["left"], summary["in_batches"], summary["at_vendor"]) == (6, 0, 6, 0)
    assert {it["row"]: it["answer"] for it in lines()} == {n + 1: f"You said: Label: text {n}" for n in range(6)}
    assert billed(server) == Counter(f"Label: text {n}" for n in range(6))
    assert steps() == ["begun", "planned", "uploaded", "creating", "created", "collected", "tidied"]
    assert [*summary["batches"].values()] == [6]
