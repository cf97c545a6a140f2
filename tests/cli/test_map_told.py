"""`llmring map`: what it says of answers that are there, of rows that fail, and of what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import PracticeServer

from .conftest import Run

MODEL = ["map", "rows.jsonl", "--model", "openai:gpt-5-mini"]
ASK = [*MODEL, "--prompt", "Label: {text}"]
OTHERWISE = [*MODEL, "--prompt", "Otherwise: {text}"]
OUT = ["-o", "out.jsonl"]
KEY = ["--key", "id"]


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer) -> None:
    write("rows.jsonl", range(6))


def write(name: str, numbers: range) -> None:
    Path(name).write_text("".join(json.dumps({"id": f"n{n}", "no": n, "text": f"text {n}"}) + "\n" for n in numbers))


def summary(run: Run, *args: str, code: int = 0) -> dict[str, Any]:
    result = run(*args)
    assert result.exit_code == code, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    return said | {"stderr": result.stderr}


@pytest.mark.parametrize(("before", "after"), [([], KEY), (KEY, [])])
def test_what_is_answered_by_another_key_is_not_paid_for_twice(
    run: Run, server: PracticeServer, before: list[str], after: list[str]
) -> None:
    assert run(*ASK, *OUT, *before, "--limit", "4").exit_code == 0
    for more in ([], ["--dry-run"], ["--redo-changed"]):
        result = run(*ASK, *OUT, *after, *more)
        assert result.exit_code == 1
        assert "out.jsonl has the answer to what would be asked first, by another key" in result.stderr
    assert len(server.requests) == 4
    assert summary(run, *ASK, *OUT, *before)["answered"] == 2


def test_rows_of_one_text_are_each_asked_by_keys_of_their_own(run: Run, server: PracticeServer) -> None:
    assert run(*ASK, *OUT, *KEY).exit_code == 0
    with open("rows.jsonl", "a") as file:
        file.write('{"id": "other", "text": "text 1"}\n')
    assert summary(run, *ASK, *OUT, *KEY)["answered"] == 1


def test_answers_that_are_of_no_row_are_said_before_anybody_is_asked(run: Run, server: PracticeServer) -> None:
    assert run(*ASK, *OUT).stderr == ""
    words = "6 answers in out.jsonl are of no row of this run"
    assert words in run(*OTHERWISE, *OUT, "--dry-run").stderr
    assert words in run(*OTHERWISE, *OUT, "--limit", "1").stderr
    assert len(server.requests) == 7
    # What is asked is all there, or there may be more rows, or there are more than before.
    assert run(*ASK, *OUT).stderr == ""
    write("rows.jsonl", range(3))
    assert run(*ASK, *OUT).stderr == ""
    Path("out.jsonl").unlink()
    assert run(*ASK, *OUT).stderr == ""
    write("rows.jsonl", range(9))
    assert run(*ASK, *OUT).stderr == ""
    assert run(*ASK, *OUT, "--limit", "2").stderr == ""


def test_rows_that_are_done_and_were_asked_otherwise_are_said(run: Run, server: PracticeServer) -> None:
    assert run(*ASK, *OUT, *KEY).exit_code == 0
    assert run(*ASK, *OUT, *KEY).stderr == ""
    write("rows.jsonl", range(2, 8))
    for more in ([], ["--dry-run"]):
        said = summary(run, *OTHERWISE, *OUT, *KEY, *more)["stderr"]
        assert "4 of these rows were asked otherwise" in said
        assert "--redo-changed" in said
    assert len(server.requests) == 8
    assert "asked otherwise" not in summary(run, *OTHERWISE, *OUT, *KEY, "--redo-changed")["stderr"]
    assert len(server.requests) == 12
