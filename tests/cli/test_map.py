"""`llmring map`: rows of files, through the real SDKs, to the practice server, into a file of answers."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import signal
import subprocess
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from llmring.testing import PracticeServer, Reply, Tokens
from llmring.testing.exchange import RecordedRequest

from ..program import PROGRAM
from .conftest import Run, lines, write

ASK = ["--model", "openai:gpt-5-mini", "--prompt", "Label: {text}"]
OUT = ["-o", "out.jsonl"]


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer) -> None:
    pass


def answers(path: str = "out.jsonl") -> list[str]:
    found = {it["row"]: it["answer"] for it in lines(path)}
    assert len(found) == len(lines(path)), "a row is there twice"
    return [found[row] for row in sorted(found)]


def questions(server: PracticeServer) -> list[str]:
    return sorted(it.question for it in server.requests)


def test_answers_are_lines_and_a_rerun_asks_nothing(run: Run, server: PracticeServer, rows: str) -> None:
    result = run("map", rows, *ASK, *OUT)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["answered"], summary["left"], summary["done_before"]) == (6, 0, 0)
    assert answers() == [f"You said: Label: text {n}" for n in range(6)]
    first = next(it for it in lines("out.jsonl") if it["row"] == 1)
    assert first.keys() >= {"key", "asked", "finish_reason", "model", "response_model", "usage", "cost", "attempts"}
    again = json.loads(run("map", rows, *ASK, *OUT).stdout)
    assert (again["answered"], again["done_before"], len(server.requests)) == (0, 6, 6)
    write(Path(rows), 8)
    assert json.loads(run("map", rows, *ASK, *OUT).stdout)["answered"] == 2
    assert len(answers()) == 8


def test_without_a_file_the_lines_are_printed(run: Run, rows: str) -> None:
    result = run("map", rows, *ASK, "--limit", "2")
    assert sorted(json.loads(it)["answer"][-1] for it in result.stdout.splitlines()) == ["0", "1"]
    assert result.stderr == "2 answered, 0 failed\n"


def test_every_format_and_several_files(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("a.csv").write_text('id,text\n1,"one, and\ntwo"\n')
    Path("b.tsv").write_text("id\ttext\n2\tthree\n")
    with gzip.open("c.jsonl.gz", "wt") as file:
        file.write('{"text": "four"}\n\n')
    pyarrow.parquet.write_table(pyarrow.table({"text": ["five", "six"]}), "d.parquet")
    result = run("map", "*.*v", "c.jsonl.gz", "d.parquet", "-", *ASK, input='{"text": "seven"}\n')
    assert result.exit_code == 0, result.stderr
    said = ["five", "four", "one, and\ntwo", "seven", "six", "three"]
    assert questions(server) == [f"Label: {it}" for it in said]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ('{"text": "a"}\n{"txt": "b"}\n', 'row 2 (rows.jsonl:2): it has no field "text"; it has: txt.'),
        ('{"text": "a"}\n{"text": null}\n', 'row 2 (rows.jsonl:2): its field "text" is null'),
        ('{"text": "a"}\n{"text"', "rows.jsonl:2 is no JSON"),
        ("[1]\n", "rows.jsonl:1 is an array; a row is an object"),
    ],
)
def test_a_row_that_does_not_fit_is_said_before_anything_is_spent(
    run: Run, server: PracticeServer, content: str, wrong: str
) -> None:
    Path("rows.jsonl").write_text(content)
    result = run("map", "rows.jsonl", *ASK, *OUT)
    assert result.exit_code == 1
    assert wrong in result.stderr
    assert not server.requests


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        (["none.jsonl", *ASK], 'there is no file "none.jsonl".'),
        (["*.none", *ASK], 'no file fits "*.none".'),
        (["llmring.lock", *ASK], "does not say what it is by its name"),
        (["rows.jsonl", "--model", "chatbot"], "Nothing would be asked"),
        (["rows.jsonl", "--prompt", '{"a": {text}}'], "that is of no field"),
        (["rows.jsonl", "--prompt", "{a b}"], "a brace that is meant as one is written twice"),
        (["rows.jsonl", "--prompt", "x", "--key", "no"], 'it has no field "no"'),
        (["rows.jsonl", "--model", "no", "--prompt", "x"], "no"),
        (["rows.jsonl", "--messages", "text"], "is no JSON of messages"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, server: PracticeServer, rows: str, args: list[str], wrong: str
) -> None:
    result = run("map", *args)
    assert result.exit_code == 1
    assert wrong in result.stderr
    assert not server.requests


def test_a_parameter_that_is_none_is_said_by_the_name_that_the_option_has_here(run: Run, rows: str) -> None:
    result = run("map", rows, *ASK, "--option", "seed=7", "x")
    assert result.exit_code == 2
    assert "--option seed 7" in result.stderr
    assert "-o seed" not in result.stderr


def test_all_that_is_asked_comes_from_the_row(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("llmring.templates").mkdir()
    Path("llmring.templates/label.toml").write_text('prompt = "Label by $scheme: $input"\nparams = { seed = 5 }\n')
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    row = {"input": "in", "scheme": "mood", "turns": turns, "who": {"name": "Ann"}, "n": 3, "empty": ""}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    model = ["--model", "ollama:llama3.2"]
    assert run("map", "rows.jsonl", *model, "--template", "label").exit_code == 0
    assert run("map", "rows.jsonl", *model, "--messages", "turns", "--system", "You are {who.name}").exit_code == 0
    options = ["--option", "top_k", "7", "--max-tokens", "9", "--image", "empty"]
    assert run("map", "rows.jsonl", *model, "--prompt", "{{{n}}} {who}", *options).exit_code == 0
    first, second, third = server.requests
    assert (first.question, first.body["options"]["seed"]) == ("Label by mood: in", 5)
    assert [it["content"] for it in second.body["messages"]] == ["You are Ann", "a", "b", "c"]
    assert third.question == '{3} {"name": "Ann"}'
    assert (third.body["options"]["num_predict"], third.body["top_k"]) == (9, 7)


def test_a_picture_of_a_field(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    Path("rows.jsonl").write_text('{"path": "dot.png"}\n')
    assert run("map", "rows.jsonl", "--model", "ollama:llama3.2", "--prompt", "What?", "--image", "path").exit_code == 0
    assert len(server.requests[0].body["messages"][0]["images"]) == 1


def test_a_schema_gives_objects_and_what_does_not_keep_to_it_fails(run: Run, server: PracticeServer, rows: str) -> None:
    Path("label.json").write_text(
        '{"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}'
    )

    def decide(request: RecordedRequest) -> Reply:
        return Reply("nothing" if request.question.endswith("2") else '{"label": "good"}')

    server.script(decide)
    result = run("map", rows, *ASK, *OUT, "--schema", "label.json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == 1
    assert [it["parsed"] for it in lines("out.jsonl")] == [{"label": "good"}] * 5
    (failed,) = lines("out.failed.jsonl")
    assert failed["row"] == 3
    assert failed["error"]["class"] == "ProviderResponseError"
    asked = len(server.requests)
    result = run("map", rows, *ASK, *OUT, "--schema", "label.json")
    assert "1 rows failed for good before" in result.stderr
    assert len(server.requests) == asked
    server.default = Reply('{"label": "better"}')
    result = run("map", rows, *ASK, *OUT, "--schema", "label.json", "--retry-failed")
    assert (result.exit_code, len(server.requests)) == (0, asked + 1)
    assert not Path("out.failed.jsonl").exists()
    assert len(lines("out.jsonl")) == 6


def test_the_same_row_several_times_is_answered_as_often(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("rows.jsonl").write_text('{"text": "a"}\n' * 5)
    for _ in range(2):
        assert run("map", "rows.jsonl", *ASK, *OUT).exit_code == 0
    assert len(server.requests) == len(answers()) == 5


def test_a_key_of_the_row_is_its_key_whatever_is_asked(run: Run, server: PracticeServer, rows: str) -> None:
    assert run("map", rows, *ASK, *OUT, "--key", "id").exit_code == 0
    assert sorted(it["key"] for it in lines("out.jsonl")) == list("012345")
    other = ["--model", "openai:gpt-5-mini", "--prompt", "Otherwise: {text}", "--key", "id"]
    assert run("map", rows, *other, *OUT).exit_code == 0
    assert len(server.requests) == 6
    assert run("map", rows, *other, *OUT, "--redo-changed").exit_code == 0
    assert len(server.requests) == 12
    assert answers() == [f"You said: Otherwise: text {n}" for n in range(6)]


def test_an_edited_lockfile_is_seen_and_changes_nothing_by_itself(
    run: Run, server: PracticeServer, rows: str, project: Path
) -> None:
    asked = ["map", rows, "--model", "chatbot", "--prompt", "{text}", *OUT]
    assert run(*asked).exit_code == 0
    project.write_text(project.read_text().replace("0.3", "0.4"))
    result = run(*asked)
    assert "6 of these rows were asked otherwise" in result.stderr
    assert len(server.requests) == 6
    result = run(*asked, "--redo-changed")
    assert result.stderr == ""
    assert len(server.requests) == 12
    assert len(answers()) == 6


@pytest.mark.parametrize("torn", ['{"key": "abc", "row"', '{"key": "abc"}', '{"key": "ab\0\0\0', "\0\0\0\0"])
def test_a_torn_last_line_is_mended(run: Run, server: PracticeServer, rows: str, torn: str) -> None:
    assert run("map", rows, *ASK, *OUT, "--limit", "3").exit_code == 0
    whole = Path("out.jsonl").read_text()
    Path("out.jsonl").write_text(whole + torn)
    assert run("map", rows, *ASK, *OUT).exit_code == 0
    text = Path("out.jsonl").read_text()
    assert text.startswith(whole)
    assert len(server.requests) == 6
    assert ('{"key": "abc"}\n' in text) == (torn == '{"key": "abc"}')


def test_a_file_of_something_else_is_left_alone(run: Run, server: PracticeServer, rows: str) -> None:
    for content in ("dear diary", "dear diary\n", '{"text": "a row"}\n'):
        Path("out.jsonl").write_text(content)
        result = run("map", rows, *ASK, *OUT)
        assert result.exit_code == 1
        assert "name another file" in result.stderr
        assert Path("out.jsonl").read_text() == content
    assert not server.requests


def test_a_file_is_not_read_and_written_at_once(run: Run, server: PracticeServer, rows: str) -> None:
    result = run("map", rows, *ASK, "-o", rows)
    assert result.exit_code == 1
    assert "would be read and written at once" in result.stderr
    for _ in range(2):
        assert run("map", "*.jsonl", *ASK, *OUT).exit_code == 0
    assert len(server.requests) == len(answers()) == 6
    result = run("map", rows, *ASK, "-o", os.devnull)
    assert "/dev/null is no file" in result.stderr
    result = run("map", rows, *ASK, "-o", "no/such/folder.jsonl")
    assert "No such file or directory" in result.stderr


def test_two_runs_at_one_file_refuse_each_other(run: Run, server: PracticeServer, rows: str) -> None:
    with open("out.jsonl", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = run("map", rows, *ASK, *OUT)
    assert result.exit_code == 1
    assert "is being written by another run" in result.stderr
    assert not server.requests


def test_a_dry_run_asks_nobody_and_goes_by_the_answers_that_are_there(
    run: Run, server: PracticeServer, rows: str, billed: None
) -> None:
    server.default = Reply("x", usage=Tokens(prompt=11, completion=70))
    found = json.loads(run("map", rows, *ASK, *OUT, "--dry-run").stdout)
    assert (found["to_ask"], found["guessed"], found["completion_tokens"]) == (6, True, 3000)
    assert not server.requests
    assert not Path("out.jsonl").exists()
    assert run("map", rows, *ASK, *OUT, "--limit", "2").exit_code == 0
    result = run("map", rows, *ASK, *OUT, "--dry-run")
    found = json.loads(result.stdout)
    assert (found["rows"], found["done"], found["to_ask"], found["guessed"]) == (6, 2, 4, False)
    assert found["completion_tokens"] == 280
    assert found["usd"] > 0
    assert "6 rows, 2 of them done. 4 to ask openai:gpt-5-mini" in result.stderr
    assert len(server.requests) == 2


def test_no_more_is_spent_than_was_said(run: Run, server: PracticeServer, bare: Path, billed: None) -> None:
    rows = write(bare / "rows.jsonl", 60)
    server.default = Reply("x", usage=Tokens(prompt=1000, completion=1000), delay=0.02)
    result = run("map", rows, *ASK, *OUT, "--max-cost", "0.03")
    summary = json.loads(result.stdout)
    assert result.exit_code == 1
    assert 0.02 < summary["usd"] <= 0.03
    assert "are spent, and another may not fit into $0.03" in summary["stopped"]
    assert summary["left"] == 60 - summary["answered"] > 0


def test_what_every_row_would_meet_ends_the_run(run: Run, server: PracticeServer, rows: str) -> None:
    server.default = Reply(problem="bad_key")
    result = run("map", rows, *ASK, *OUT)
    assert result.exit_code == 1
    assert result.stderr.count("refused the key") == 1
    assert json.loads(result.stdout)["stopped"] is not None
    assert lines("out.jsonl") == []
    assert not Path("out.failed.jsonl").exists()


def started(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([PROGRAM, "map", *args], stdout=-1, stderr=-1, text=True)


def test_ctrl_c_finishes_what_is_under_way_and_twice_ends_at_once(server: PracticeServer, bare: Path) -> None:
    rows = write(bare / "rows.jsonl", 300)
    server.default = Reply("ok", delay=0.5)
    process = started(rows, *ASK, *OUT, "--concurrency", "4")
    server.wait_request(4, 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    summary = json.loads(out)
    assert summary["stopped"] == "Ctrl-C"
    assert summary["answered"] == len(server.requests) == len(answers()) < 20
    server.default = Reply("ok", delay=60)
    process = started(rows, *ASK, *OUT, "--concurrency", "4")
    server.wait_request(summary["answered"] + 4, 60)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "Ctrl-C again ends at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()
    assert len(answers()) == summary["answered"]


def test_a_full_disk_is_an_error_and_what_is_there_is_whole(server: PracticeServer, bare: Path) -> None:
    rows = write(bare / "rows.jsonl", 40)
    script = 'ulimit -f 4; exec "$0" "$@"'
    done = subprocess.run(
        ["bash", "-c", script, PROGRAM, "map", rows, *ASK, *OUT, "--concurrency", "4"],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"LANG": "C"},
    )
    assert done.returncode == 1
    assert "out.jsonl cannot be written: File too large. What it holds is whole" in done.stderr
    first = len(answers())
    assert 3 <= first < 40
    lost = len(server.requests) - first
    assert 1 <= lost <= 8
    assert subprocess.run([PROGRAM, "map", rows, *ASK, *OUT], capture_output=True, timeout=100).returncode == 0
    assert len(answers()) == 40
    assert len(server.requests) == 40 + lost
