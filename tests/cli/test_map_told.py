"""`llmring map`: what it says of answers that are there, of rows that fail, and of what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import PracticeServer, Reply, Tokens

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


# What ends a run


def test_rows_that_failed_are_said_with_where_they_are(run: Run, server: PracticeServer) -> None:
    server.script(lambda it: Reply(problem="too_long") if it.question.endswith(("1", "2")) else Reply("ok"))
    said = summary(run, *ASK, *OUT, code=1)
    assert "2 rows failed: out.failed.jsonl says why. To ask about them again: --retry-failed" in said["stderr"]
    assert (said["failed"], said["failed_before"]) == (2, 0)
    again = summary(run, *ASK, *OUT)
    assert (again["done_before"], again["failed_before"], again["failed"]) == (6, 2, 0)
    assert summary(run, *ASK, *OUT, "--dry-run")["failed_before"] == 2
    assert summary(run, *ASK, *OUT, "--retry-failed", code=1)["failed_before"] == 0


def test_that_all_of_the_first_rows_failed_is_said(run: Run, server: PracticeServer) -> None:
    server.default = Reply(problem="too_long")
    write("rows.jsonl", range(60))
    said = summary(run, *ASK, *OUT, "--concurrency", "1", code=1)
    assert "The first 20 rows all failed, so no more are asked." in said["stderr"]
    assert (said["failed"], said["left"]) == (20, 40)


@pytest.mark.parametrize("more", [["--limit", "1"], [], OUT])
def test_what_is_to_be_kept_to_needs_a_price(run: Run, server: PracticeServer, billed: None, more: list[str]) -> None:
    result = run("map", "rows.jsonl", "--model", "openai:foo-1", "--prompt", "{text}", "--max-cost", "1", *more)
    assert result.exit_code == 1
    assert (
        "--max-cost cannot be kept: the price data has no model 'foo-1' of openai. Nothing was asked." in result.stderr
    )
    assert not server.requests


def test_what_nobody_bills_fits_into_any_cost(run: Run, server: PracticeServer) -> None:
    free = ["map", "rows.jsonl", "--model", "ollama:llama3.2", "--prompt", "{text}", "--max-cost", "0"]
    assert run(*free).exit_code == 0
    assert len(server.requests) == 6
    assert json.loads(run(*free, "--dry-run").stdout)["usd"] is None  # a proxy may send a bill


def test_that_money_ended_a_run_is_said(run: Run, server: PracticeServer, billed: None) -> None:
    write("rows.jsonl", range(60))
    server.default = Reply("x", usage=Tokens(prompt=1000, completion=1000), delay=0.02)
    said = summary(run, *ASK, *OUT, "--max-cost", "0.03", code=1)
    assert f"It ended with {said['left']} rows left: {said['stopped']}." in said["stderr"]


def test_no_rows_are_said(run: Run) -> None:
    Path("rows.jsonl").write_text("")
    assert "There are no rows." in run(*ASK, *OUT).stderr


# What is asked


@pytest.mark.parametrize("prompt", ["Label it", "{{text}}"])
def test_that_all_rows_are_asked_the_same_is_said(run: Run, server: PracticeServer, prompt: str) -> None:
    words = "Nothing of a row is in the prompt: all are asked the same. A field is {text}"
    assert words in run(*MODEL, "--prompt", prompt, "--dry-run").stderr
    assert words in run(*MODEL, "--prompt", prompt).stderr
    assert words not in run(*MODEL, "--prompt", prompt, "--limit", "1").stderr
    assert words not in run(*MODEL, "--prompt", prompt, "--system", "Of {text}", "--dry-run").stderr
    Path("llmring.templates").mkdir()
    Path("llmring.templates/input.toml").write_text('prompt = "Label this"\n')
    write_input = "".join(json.dumps({"input": str(n)}) + "\n" for n in range(3))
    Path("rows.jsonl").write_text(write_input)
    assert words not in run(*MODEL, "--template", "input", "--dry-run").stderr
    assert words in run(*MODEL, "--template", "input", "--prompt", prompt, "--dry-run").stderr


def test_rows_without_a_picture_are_said(run: Run, server: PracticeServer) -> None:
    Path("dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    Path("rows.jsonl").write_text('{"path": "dot.png"}\n{"path": null}\n{"path": ""}\n{}\n')
    look = ["map", "rows.jsonl", "--model", "ollama:llama3.2", "--prompt", "What?", "--image", "path", "--dry-run"]
    assert 'row 4 (rows.jsonl:4): it has no field "path"' in run(*look).stderr
    result = run(*look, "--limit", "3")
    assert "2 rows have no picture in path, and are asked without one." in result.stderr
    assert json.loads(result.stdout)["without_picture"] == 2
