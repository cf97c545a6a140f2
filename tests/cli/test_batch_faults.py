"""Runs in batches where things went wrong between two of them: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import anthropic
import pytest

from llmring.batches import Journal
from llmring.testing import BatchProblem, Fault, PracticeServer

from ..program import PROGRAM
from .conftest import Run, lines, write
from .test_batches import (
    ALL,
    ASK,
    MODELS,
    ONCE,
    OPENAI,
    VENDORS,
    alone,
    answers,
    interrupted,
    killed,
    mapped,
    paid,
    steps,
)

OTHER = "openai:gpt-5-nano"
CLAUDE = MODELS["anthropic"]


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


def test_what_is_in_no_batch_yet_goes_into_one_of_the_model_that_is_bound_by_then(
    run: Run, server: PracticeServer, project: Path
) -> None:
    server.reply(status=429, wire="batches", action="create", times=2)
    server.batches.script(polls=10**6)
    process = subprocess.Popen([PROGRAM, "map", "rows.jsonl", "--model", "chatbot", *ASK, "--batch"], stderr=-1)
    try:
        while not server.batches.made:
            assert process.poll() is None, process.communicate()
        bind(project, OTHER)
        assert process.stderr is not None
        while b"is bound otherwise now" not in process.stderr.readline():
            assert process.poll() is None
        server.batches.finish()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert [(len(it.rows), it.rows[0].body["model"]) for it in server.batches.made] == [
        (3, OPENAI.partition(":")[2]),
        (3, OTHER.partition(":")[2]),
    ]
    assert answers() == ALL
    assert not alone(server)


def test_batches_grow_again_where_there_was_no_room_for_a_while(run: Run, server: PracticeServer, bare: Path) -> None:
    full = BatchProblem("token_limit_exceeded", "Enqueued token limit reached.")
    server.batches.script(ends="failed", problem=full, times=4)
    assert mapped(run)["in_batches"] == 6
    assert [len(it.rows) for it in server.batches.made] == [6, 3, 1, 1, 1, 2, 2, 1]
    assert answers() == ALL


@VENDORS
def test_a_clock_that_is_ahead_of_the_vendors_hides_no_batch(run: Run, server: PracticeServer, vendor: str) -> None:
    server.batches.script(polls=0, seconds=0.3)
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    killed(lambda: bool(server.batches.made), MODELS[vendor])
    later = [{**it, "at": it["at"] + 7200} for it in lines("out.batches.jsonl")]
    Path("out.batches.jsonl").write_text("".join(json.dumps(it) + "\n" for it in later))
    assert mapped(run, MODELS[vendor])["in_batches"] == 6
    assert len(server.batches.made) == 1
    assert paid(server) == ONCE


def test_another_batch_of_as_many_rows_whose_answers_are_gone_is_none_of_ours(run: Run, server: PracticeServer) -> None:
    server.batches.script(polls=0)
    server.batches.script(polls=0, results="missing")
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    killed(lambda: bool(server.batches.made), CLAUDE)
    params: Any = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with anthropic.Anthropic() as client:
        client.messages.batches.create(requests=[{"custom_id": f"other-{n}", "params": params} for n in range(6)])
    assert mapped(run, CLAUDE)["in_batches"] == 6
    assert answers() == ALL
    assert len(server.batches.made) == 2


def test_a_file_of_a_batch_that_was_not_made_is_deleted_with_it(run: Run, server: PracticeServer) -> None:
    server.reply(done=True, delay=60, wire="files", action="create")
    killed(lambda: any((it.wire, it.action) == ("files", "create") for it in server.requests), OPENAI)
    assert steps()[-1] == "planned"
    cancelled = run("batch", "cancel", "out.jsonl")
    assert (cancelled.exit_code, "was not made" in cancelled.stderr) == (0, True)
    assert any((it.wire, it.action) == ("files", "delete") for it in server.requests)
    assert steps()[-1] == "tidied"


def test_a_result_with_an_odd_name_is_said_to_be_none(run: Run, server: PracticeServer) -> None:
    server.reply(body=b'{"custom_id": 5, "response": null}\n', wire="files", action="download")
    assert "gave something among the answers of a batch that is none" in mapped(run, code=1)["stderr"]
    assert mapped(run)["answered"] == 6


@VENDORS
def test_answers_that_are_not_there_are_not_said_to_be_a_model(run: Run, server: PracticeServer, vendor: str) -> None:
    server.batches.script(polls=0)
    wire = "batches" if vendor == "anthropic" else "files"
    server.reply(status=404, error="No such thing", wire=wire, action="download", times=1 + (vendor == "gemini"))
    said = mapped(run, MODELS[vendor], code=1)["stderr"]
    assert "did not give the answers of a batch (HTTP 404): No such thing" in said
    assert mapped(run, MODELS[vendor])["answered"] == 6


def test_a_file_that_could_not_be_deleted_is_deleted_by_the_next_run(run: Run, server: PracticeServer) -> None:
    server.reply(status=503, wire="files", action="delete")
    mapped(run)
    assert steps()[-1] == "collected"
    mapped(run)
    assert steps()[-1] == "tidied"
    gone = [it.path for it in server.requests if (it.wire, it.action) == ("files", "delete")]
    assert len({*gone}) == 2


def test_a_journal_is_of_one_file_of_answers_and_may_be_renamed_with_it(
    run: Run, server: PracticeServer, bare: Path
) -> None:
    interrupted(server, OPENAI)
    (bare / "out").touch()
    refused = run("map", "rows.jsonl", "--model", OPENAI, *ASK[:2], "-o", "out", "--batch")
    assert refused.exit_code == 1
    assert "is the journal of" in refused.stderr
    called = run("map", "rows.jsonl", "--model", OPENAI, *ASK[:2], "-o", "out.batches.jsonl")
    assert called.exit_code == 1
    assert "is what a journal of batches is called" in " ".join(called.stderr.split())
    server.batches.finish()
    for name in ("jsonl", "batches.jsonl"):
        (bare / f"out.{name}").rename(bare / f"new.{name}")
    assert run("batch", "collect", "new.jsonl").exit_code == 0
    assert answers("new.jsonl") == ALL
    assert not (bare / "out.jsonl").exists()


def test_a_journal_is_beside_the_answers_whatever_links_lead_there(
    run: Run, server: PracticeServer, bare: Path
) -> None:
    (bare / "real").mkdir()
    (bare / "out.jsonl").symlink_to("real/labels.jsonl")
    interrupted(server, OPENAI)
    server.batches.finish()
    assert not (bare / "out.batches.jsonl").exists()
    command = ["map", "rows.jsonl", "--model", OPENAI, *ASK[:2], "-o", "real/labels.jsonl", "--batch"]
    assert run(*command).exit_code == 0
    assert answers() == ALL
    assert len(server.batches.made) == 1


def test_what_is_wrong_with_one_file_holds_up_no_other(run: Run, server: PracticeServer, bare: Path) -> None:
    for name in ("a", "b", "c"):
        interrupted(server, OPENAI)
        for it in ("jsonl", "batches.jsonl"):
            (bare / f"out.{it}").rename(bare / f"{name}.{it}")
        assert run("batch", "list", f"{name}.jsonl").exit_code == 0
        with Journal(bare / f"{name}.batches.jsonl"):
            pass
    server.batches.finish()
    (bare / "b.batches.jsonl").write_text("[]\n")
    listed = run("batch", "list")
    assert (listed.exit_code, len(listed.stdout.splitlines())) == (0, 3)
    collected = run("batch", "collect")
    assert collected.exit_code == 1
    assert "b.batches.jsonl:1 is no line" in "".join(collected.stderr.split("\n"))
    assert answers("a.jsonl") == answers("c.jsonl") == ALL
    assert run("batch", "cancel", "--all").exit_code == 1


def test_what_is_wrong_with_one_batch_holds_up_no_other(run: Run, server: PracticeServer) -> None:
    server.batches.script(polls=0, results="missing")
    said = mapped(run, code=1)
    assert said["at_vendor"] == 6
    write(Path("rows.jsonl"), 9)
    interrupted(server, OPENAI)
    server.batches.finish()
    assert run("batch", "collect", "out.jsonl").exit_code == 1
    assert len(answers()) == 3


def test_one_batch_is_cancelled_and_the_others_stay(run: Run, server: PracticeServer) -> None:
    interrupted(server, OPENAI)
    write(Path("rows.jsonl"), 9)
    interrupted(server, OPENAI)
    first = server.batches.made[0]
    wrong = run("batch", "cancel", "out.jsonl", "--batch", "batch_other")
    assert (wrong.exit_code, "batch_other is none of those" in " ".join(wrong.stderr.split())) == (1, True)
    assert run("batch", "cancel", "--all", "--batch", first.id).exit_code == 2
    assert run("batch", "cancel", "out.jsonl", "--batch", first.id).exit_code == 0
    server.batches.finish()
    assert mapped(run)["in_batches"] == 9
    assert [len(it.rows) for it in server.batches.made] == [6, 3, 6]


def test_where_nothing_can_be_remembered_of_journals_batches_are_made(
    run: Run, server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(bare / "file"))
    assert mapped(run)["in_batches"] == 6
