"""`llmring map --batch` and `llmring batch`: through the real SDKs, to the practice server's batches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from llmring.testing import (
    BatchLimits,
    BatchProblem,
    Fault,
    PracticeServer,
    RecordedRequest,
    Reply,
    Tokens,
    ToolCallScript,
)

from ..program import PROGRAM
from .conftest import Run, lines, write

MODELS = {
    "openai": "openai:gpt-5-mini",
    "anthropic": "anthropic:claude-haiku-4-5",
    "gemini": "google:gemini-2.5-flash",
}
OPENAI = MODELS["openai"]
VENDORS = pytest.mark.parametrize("vendor", MODELS)
ASK = ["--prompt", "Label: {text}", "-o", "out.jsonl"]
SCHEMA = {"type": "array", "items": {"type": "string"}}


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_BATCH_PAUSE_S", "0.02")


def answers(path: str = "out.jsonl") -> dict[int, str]:
    found = {it["row"]: it["answer"] for it in lines(path)}
    assert len(found) == len(lines(path)), "a row is there twice"
    return found


ALL = {n + 1: f"You said: Label: text {n}" for n in range(6)}
ONCE = Counter(f"Label: text {n}" for n in range(6))


def steps(path: str = "out.batches.jsonl") -> list[str]:
    return [it["step"] for it in lines(path)]


def paid(server: PracticeServer) -> Counter[str]:
    """What was paid for, in batches or by itself."""
    rows = [row.request for row in server.batches.billed]
    return Counter(it.question for it in [*rows, *alone(server)] if it is not None)


def alone(server: PracticeServer) -> list[RecordedRequest]:
    return [it for it in server.requests if it.wire not in ("files", "batches")]


def asked(server: PracticeServer, action: str) -> int:
    return sum((it.wire, it.action) == ("batches", action) for it in server.requests)


def mapped(run: Run, model: str = OPENAI, *more: str, code: int = 0) -> dict[str, Any]:
    result = run("map", "rows.jsonl", "--model", model, *ASK, "--batch", *more)
    assert result.exit_code == code, result.stderr
    said: dict[str, Any] = json.loads(result.stdout) | {"stderr": " ".join(result.stderr.split())}
    return said


@VENDORS
def test_rows_are_answered_in_a_batch(run: Run, server: PracticeServer, rows: str, vendor: str) -> None:
    said = mapped(run, MODELS[vendor])
    assert (said["answered"], said["left"], said["in_batches"], said["at_vendor"]) == (6, 0, 6, 0)
    assert answers() == ALL
    assert paid(server) == ONCE
    assert {"planned", "creating", "created", "collected", "tidied"} < {*steps()}
    assert [*said["batches"].values()] == [6]
    assert {it["batch"].removeprefix("batches/") for it in lines()} == {server.batches.made[0].id}
    assert mapped(run, MODELS[vendor])["done_before"] == 6
    assert len(server.batches.made) == 1


@VENDORS
def test_no_file_is_left_at_the_vendor(run: Run, server: PracticeServer, rows: str, vendor: str) -> None:
    mapped(run, MODELS[vendor])
    made = server.batches.made[0]
    files = {it for it in (made.input_file, made.output_file, made.error_file) if it}
    gone = [it for it in server.requests if (it.wire, it.action) == ("files", "delete")]
    assert len(gone) == len(files)


@pytest.mark.parametrize("api", ["chat", "responses"])
@VENDORS
def test_what_is_asked_and_answered_is_as_by_itself(
    run: Run, server: PracticeServer, rows: str, project: Path, vendor: str, api: str
) -> None:
    if vendor != "openai" and api == "chat":
        pytest.skip("it has one")
    if api == "responses":
        project.write_text(project.read_text() + '\n[providers.openai]\napi = "responses"\n')
    Path("label.json").write_text(json.dumps(SCHEMA))
    server.default = Reply('{"value": ["good", "short"]}', usage=Tokens(prompt=21, completion=7))
    more = ["--schema", "label.json", "--system", "You are {id}.", "--max-tokens", "70", "--temperature", "0.5"]
    by_itself = run("map", rows, "--model", MODELS[vendor], *ASK[:2], "-o", "single.jsonl", *more)
    assert by_itself.exit_code == 0, by_itself.stderr
    single = {it.question: it.body for it in alone(server)}
    mapped(run, MODELS[vendor], *more)
    assert {row.request.question: row.body for row in server.batches.rows if row.request} == single
    names = ("key", "row", "asked", "parsed", "finish_reason", "model", "response_model", "usage")
    expected = {it["row"]: [it[name] for name in names] for it in lines("single.jsonl")}
    assert {it["row"]: [it[name] for name in names] for it in lines()} == expected
    assert lines()[0]["parsed"] == ["good", "short"]


def test_tools_and_pictures_are_as_in_a_request_by_itself(run: Run, server: PracticeServer, bare: Path) -> None:
    (bare / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (bare / "rows.jsonl").write_text('{"text": "what", "picture": "one.png"}\n')
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    more = ["--image", "picture", "--option", "tools", json.dumps([tool])]
    server.reply(tool_calls=[ToolCallScript("look", {})], times=2)
    run("map", "rows.jsonl", "--model", OPENAI, *ASK[:2], "-o", "single.jsonl", *more)
    mapped(run, OPENAI, *more)
    assert server.batches.rows[0].body == alone(server)[0].body
    assert lines()[0]["tool_calls"][0]["function"]["name"] == "look"
    assert lines()[0]["finish_reason"] == "tool_calls"


@VENDORS
def test_what_expired_is_asked_by_itself(run: Run, server: PracticeServer, rows: str, vendor: str) -> None:
    server.batches.script(ends="expired", done=4)
    said = mapped(run, MODELS[vendor])
    there = 0 if vendor == "gemini" else 4
    assert (said["answered"], said["in_batches"], said["left"]) == (6, there, 0)
    assert answers() == ALL
    assert paid(server) == ONCE
    assert len(alone(server)) == 6 - there


@VENDORS
def test_rows_that_are_refused_have_failed_and_what_may_pass_is_asked_again(
    run: Run, server: PracticeServer, rows: str, vendor: str
) -> None:
    seen: Counter[str] = Counter()

    def decide(request: RecordedRequest) -> Reply:
        seen[request.question] += 1
        if request.question.endswith("1"):
            return Reply(status=400, error="no such thing")
        if request.question.endswith("2") and seen[request.question] == 1:
            return Reply(status=500)
        return Reply(f"You said: {request.question}")

    server.script(decide)
    said = mapped(run, MODELS[vendor], code=1)
    assert (said["answered"], said["failed"], said["in_batches"], said["left"]) == (5, 1, 4, 0)
    assert answers() == {row: it for row, it in ALL.items() if row != 2}
    (failed,) = lines("out.failed.jsonl")
    assert (failed["row"], failed["error"]["class"]) == (2, "ProviderResponseError")
    assert "no such thing" in failed["error"]["message"]
    assert mapped(run, MODELS[vendor], code=0)["answered"] == 0
    server.script(lambda request: Reply(f"You said: {request.question}"))
    assert mapped(run, MODELS[vendor], "--retry-failed")["in_batches"] == 1
    assert answers() == ALL
    assert not Path("out.failed.jsonl").exists()


def test_an_answer_that_does_not_have_its_form_has_failed(run: Run, server: PracticeServer, rows: str) -> None:
    Path("label.json").write_text(json.dumps(SCHEMA))
    server.default = Reply('{"value": 7}')
    assert mapped(run, OPENAI, "--schema", "label.json", code=1)["failed"] == 6
    assert "does not have the form" in lines("out.failed.jsonl")[0]["error"]["message"]


def test_a_batch_that_fails_as_a_whole_is_an_error(run: Run, server: PracticeServer, rows: str) -> None:
    server.batches.script(ends="failed", problem=BatchProblem("model_not_found", "There is no such model.", line=1))
    said = mapped(run, code=1)
    assert "took none of the 6 rows" in said["stderr"]
    assert "There is no such model." in said["stderr"]
    assert (said["answered"], said["failed"], said["at_vendor"]) == (0, 0, 0)
    assert mapped(run)["answered"] == 6


def test_too_much_that_waits_is_waited_for(run: Run, server: PracticeServer, rows: str) -> None:
    server.batches.script(ends="failed", problem=BatchProblem("token_limit_exceeded", "Enqueued token limit reached."))
    said = mapped(run)
    assert (said["in_batches"], [*said["batches"].values()]) == (6, [0, 3, 3])
    assert answers() == ALL
    assert paid(server) == ONCE


def test_a_vendor_that_takes_no_more_for_now_is_asked_again(run: Run, server: PracticeServer, rows: str) -> None:
    server.reply(status=429, retry_after=0.05, wire="batches", action="create", times=2)
    assert mapped(run, MODELS["anthropic"])["in_batches"] == 6
    assert paid(server) == ONCE


@VENDORS
def test_a_batch_that_was_made_and_not_heard_of_is_found(
    run: Run, server: PracticeServer, rows: str, vendor: str
) -> None:
    server.batches.script(polls=0, seconds=0.3)
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    said = mapped(run, MODELS[vendor])
    assert said["in_batches"] == 6
    assert answers() == ALL
    assert len(server.batches.made) == 1
    assert paid(server) == ONCE
    assert ("is known when those that are under way" in said["stderr"]) == (vendor == "anthropic")


@VENDORS
def test_one_that_was_not_made_is_made_once_that_is_sure(
    run: Run, server: PracticeServer, rows: str, vendor: str
) -> None:
    server.reply(fault=Fault.hang_up(), wire="batches", action="create")
    assert mapped(run, MODELS[vendor])["in_batches"] == 6
    assert "dropped" in steps()
    assert asked(server, "create") == 2
    assert len(server.batches.made) == 1
    assert paid(server) == ONCE


def test_answers_that_are_cut_on_the_way_are_taken_again(run: Run, server: PracticeServer, rows: str) -> None:
    server.reply(done=True, fault=Fault.cut_after(1), wire="files", action="download", times=2)
    said = mapped(run)
    assert (said["answered"], answers()) == (6, ALL)
    assert paid(server) == ONCE


def test_faults_of_looks_pass(run: Run, server: PracticeServer, rows: str) -> None:
    server.reply(status=503, wire="batches", action="retrieve")
    server.reply(fault=Fault.hang_up(), wire="batches", action="retrieve")
    assert mapped(run)["in_batches"] == 6


def test_ctrl_c_leaves_batches_at_the_vendor_and_the_next_run_goes_on(
    run: Run, server: PracticeServer, rows: str
) -> None:
    server.batches.script(polls=10**6)
    command = [PROGRAM, "map", rows, "--model", OPENAI, *ASK, "--batch"]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True)
    try:
        while not server.batches.made or server.batches.made[0].looks < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        for name in ("cancel", "collect"):
            early = run("batch", name, "out.jsonl")
            assert early.exit_code == 1
            assert "End it first, with Ctrl-C there" in " ".join(early.stderr.split())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "1 batch with 6 rows at the vendor, billed whether they are collected or not." in " ".join(err.split())
    assert json.loads(out)["at_vendor"] == 6

    look = run("map", rows, "--model", OPENAI, *ASK, "--batch", "--dry-run")
    dry = json.loads(look.stdout)
    assert (dry["to_ask"], dry["at_vendor"]) == (6, 6)
    assert "6 rows at the vendor: what is in them is not asked again" in " ".join(look.stderr.split())
    look = run("map", rows, "--model", OPENAI, *ASK, "--dry-run")
    assert "a run without --batch is refused until they are over" in " ".join(look.stderr.split())
    refused = run("map", rows, "--model", OPENAI, *ASK)
    assert refused.exit_code == 1
    assert "1 batch with 6 rows at the vendor, made for out.jsonl" in " ".join(refused.stderr.split())
    (listed,) = json.loads(run("batch", "--json").stdout)
    assert (listed["rows"], listed["state"], listed["model"]) == (6, "in_progress", OPENAI)
    assert run("batch", "list", "out.jsonl").stdout.count(listed["batch"]) == 1

    server.batches.finish()
    assert mapped(run)["in_batches"] == 6
    assert answers() == ALL
    assert asked(server, "create") == 1


@VENDORS
def test_what_is_done_is_collected_without_the_rows(
    run: Run, server: PracticeServer, rows: str, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("label.json").write_text(json.dumps(SCHEMA))
    server.default = Reply('{"value": ["good"]}')
    interrupted(server, MODELS[vendor], "--schema", "label.json")
    early = run("batch", "collect", "out.jsonl")
    assert early.exit_code == 0
    assert json.loads(early.stdout)["at_vendor"] == 6
    assert "1 batch with 6 rows at the vendor; they are not over yet." in early.stderr
    server.batches.finish()
    os.unlink(rows)
    result = run("batch", "collect")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert (said["answered"], said["at_vendor"], Path(said["file"]).name) == (6, 0, "out.jsonl")
    assert [it["parsed"] for it in lines()] == [["good"]] * 6
    write(Path(rows), 6)
    assert mapped(run, MODELS[vendor], "--schema", "label.json")["done_before"] == 6
    assert len(server.batches.made) == 1
    assert "None is at a vendor" in run("batch").stderr


def interrupted(server: PracticeServer, model: str, *more: str) -> None:
    """A run that is killed while its batch is under way."""
    server.batches.script(polls=10**6)
    there = len(server.batches.made)
    killed(lambda: len(server.batches.made) > there and server.batches.made[-1].looks > 0, model, *more)


def killed(has_come: Callable[[], bool], model: str, *more: str) -> None:
    """A run that is killed once something has come."""
    process = subprocess.Popen([PROGRAM, "map", "rows.jsonl", "--model", model, *ASK, "--batch", *more], stderr=-1)
    try:
        while not has_come():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()


@VENDORS
def test_a_batch_is_cancelled_and_its_rows_go_into_the_next_one(
    run: Run, server: PracticeServer, rows: str, vendor: str
) -> None:
    interrupted(server, MODELS[vendor])
    assert run("batch", "cancel").exit_code == 2
    assert run("batch", "cancel", "none.jsonl").exit_code == 1
    result = run("batch", "cancel", "out.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "is being cancelled" in " ".join(result.stderr.split())
    said = mapped(run, MODELS[vendor])
    assert (said["answered"], said["left"]) == (6, 0)
    assert answers() == ALL
    assert paid(server) == ONCE
    assert not alone(server)
    assert len(server.batches.made) == 2
    assert "none is at a vendor" in run("batch", "cancel", "out.jsonl").stderr


@VENDORS
@pytest.mark.parametrize("results", ["cut", "missing"])
def test_answers_that_cannot_be_read_are_said_to_be_and_paid_for_again_only_if_that_is_wanted(
    run: Run, server: PracticeServer, rows: str, vendor: str, results: Literal["cut", "missing"]
) -> None:
    server.batches.script(polls=0, results=results)
    said = mapped(run, MODELS[vendor], code=1)
    there = 5 if results == "cut" else 0
    assert (said["answered"], said["at_vendor"], len(server.batches.made)) == (there, 6, 1)
    assert f"llmring batch cancel out.jsonl --batch {lines('out.batches.jsonl')[-1]['batch']}" in said["stderr"]
    assert mapped(run, MODELS[vendor], code=1)["answered"] == 0
    assert run("batch", "cancel", "out.jsonl").exit_code == 0
    assert mapped(run, MODELS[vendor])["in_batches"] == 6 - there
    assert answers() == ALL


def test_an_alias_that_is_split_is_refused(run: Run, rows: str, project: Path) -> None:
    split = "split = { weights = [90, 10] }"
    project.write_text(project.read_text().replace("params = { temperature = 0.3 }", split))
    said = run("map", rows, "--model", "chatbot", *ASK, "--batch")
    assert said.exit_code == 1
    assert "has a split" in said.stderr


def test_another_key_is_refused(run: Run, server: PracticeServer, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(server, OPENAI)
    monkeypatch.setenv("OPENAI_API_KEY", "another-one-for-practice")
    assert "was made with another one" in mapped(run, code=1)["stderr"]
    assert "was made with another one" in " ".join(run("batch", "cancel", "out.jsonl").stderr.split())
    assert len(server.batches.made) == 1


def test_odd_settings_are_said_to_be(run: Run, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_BATCH_PAUSE_S", "often")
    assert "LLMRING_BATCH_PAUSE_S is 'often'" in run("map", rows, "--model", OPENAI, *ASK, "--batch").stderr
    assert run("batch", "collect", "none.jsonl").exit_code == 1


def test_a_batch_that_is_gone_is_said_to_be_and_paid_for_again_only_if_that_is_wanted(
    run: Run, server: PracticeServer, rows: str
) -> None:
    interrupted(server, OPENAI)
    server.reply(status=404, error="No such batch", wire="batches", action="retrieve", times=1000)
    said = mapped(run, code=1)
    assert "is not at openai any more" in said["stderr"]
    server.clear()
    server.reply(status=404, error="No such batch", wire="batches", action="cancel")
    assert run("batch", "cancel", "out.jsonl").exit_code == 0
    assert mapped(run)["answered"] == 6


def test_who_takes_no_batches_is_said_and_who_does(run: Run, rows: str, project: Path) -> None:
    project.write_text(
        project.read_text().replace(
            '"anthropic:claude-haiku-4-5", "openai:gpt-5-mini"', f'"ollama:llama3.2", "{OPENAI}"'
        )
    )
    said = run("map", rows, "--model", "chatbot", *ASK, "--batch")
    assert said.exit_code == 1
    assert f"ollama:llama3.2 takes no batches, as far as is known. {OPENAI} would" in " ".join(said.stderr.split())
    assert run("map", rows, "--model", "vllm:m", *ASK, "--batch").exit_code == 1
    assert run("map", rows, "--model", OPENAI, "--prompt", "x", "--batch").exit_code == 2


def test_an_alias_with_a_budget_is_not_asked_in_batches(run: Run, rows: str, project: Path) -> None:
    text = project.read_text().replace("params = { temperature = 0.3 }", 'budget = { usd = 1, per = "day" }')
    project.write_text(text)
    said = run("map", rows, "--model", "chatbot", *ASK, "--batch")
    assert said.exit_code == 1
    assert "has a budget" in said.stderr


@VENDORS
def test_the_price_is_that_of_batches(run: Run, server: PracticeServer, rows: str, billed: None, vendor: str) -> None:
    server.default = Reply("x", usage=Tokens(prompt=1000, completion=1000))
    model = MODELS[vendor]
    dry = [json.loads(run("map", rows, "--model", model, *ASK, "--dry-run", *it).stdout) for it in ([], ["--batch"])]
    assert 2 * dry[1]["usd"] == pytest.approx(dry[0]["usd"])
    assert dry[1]["seconds"] >= 86_400
    assert not server.requests
    run("map", rows, "--model", model, *ASK[:2], "-o", "single.jsonl")
    said = mapped(run, model)
    assert 2 * said["usd"] == pytest.approx(sum(it["cost"] for it in lines("single.jsonl")))


def test_no_more_is_spent_than_was_said(run: Run, server: PracticeServer, rows: str, billed: None) -> None:
    server.default = Reply("x", usage=Tokens(prompt=3, completion=1000))
    one = (
        json.loads(run("map", rows, "--model", OPENAI, *ASK[:2], "-o", "single.jsonl", "--limit", "1").stdout)["usd"]
        / 2
    )
    assert "Bound them by --max-tokens" in mapped(run, OPENAI, "--max-cost", "1", code=1)["stderr"]
    said = mapped(run, OPENAI, "--max-cost", str(3.5 * one), "--max-tokens", "1000", code=1)
    assert said["answered"] == 3
    assert said["usd"] == pytest.approx(3 * one)
    assert "another may not fit into" in said["stopped"]
    assert said["left"] == 6 - said["answered"]


def test_what_a_vendor_has_no_room_for_goes_into_smaller_batches(run: Run, server: PracticeServer, rows: str) -> None:
    server.batches.limits["anthropic"] = BatchLimits(requests=100, bytes=10**6, enqueued=4)
    said = mapped(run, MODELS["anthropic"])
    assert [*said["batches"].values()] == [3, 3]
    assert paid(server) == ONCE
