"""`llmring map` where something is not as usual: rows that come and go, files of answers, answers that are none."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from llmring.testing import PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest

from ..program import INSTALLED
from .conftest import Run

ASK = ["map", "rows.jsonl", "--model", "openai:gpt-5-mini", "--prompt", "Label: {text}"]
OUT = ["-o", "out.jsonl"]


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer) -> None:
    write(6)


def write(count: int, begin: int = 0) -> None:
    with open("rows.jsonl", "a" if begin else "w") as file:
        file.writelines(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in range(begin, count))


def test_rows_that_come_while_it_runs_are_for_the_next_run(run: Run, server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        if request.question == "Label: text 0":
            write(9, begin=6)
            with open("rows.jsonl", "a") as file:
                file.write('{"torn')
        return Reply("ok")

    server.script(decide)
    result = run(*ASK, *OUT, "--concurrency", "1")
    summary = json.loads(result.stdout)
    assert (result.exit_code, summary["rows"], summary["answered"], summary["left"]) == (0, 6, 6, 0)
    Path("rows.jsonl").write_text(Path("rows.jsonl").read_text().removesuffix('{"torn'))
    assert json.loads(run(*ASK, *OUT).stdout)["answered"] == 3


@pytest.mark.parametrize("content", [b'{"torn', b"\xff\n"])
def test_what_is_behind_the_rows_that_were_counted_is_not_read(
    run: Run, server: PracticeServer, content: bytes
) -> None:
    def decide(request: RecordedRequest) -> Reply:
        if request.question == "Label: text 0":
            with open("rows.jsonl", "ab") as file:
                file.write(content)
        return Reply("ok")

    server.script(decide)
    assert run(*ASK, *OUT, "--concurrency", "1").exit_code == 0
    assert run(*ASK, "--limit", "6").exit_code == 0
    assert len(server.requests) == 12


@pytest.mark.parametrize("go", ["moved", "deleted", "replaced"])
def test_a_file_of_answers_that_goes_while_it_runs_ends_the_run(run: Run, server: PracticeServer, go: str) -> None:
    def decide(request: RecordedRequest) -> Reply:
        if len(server.requests) == 3:
            if go == "deleted":
                os.unlink("out.jsonl")
            else:
                os.rename("out.jsonl", "moved.jsonl")
            if go == "replaced":
                Path("out.jsonl").write_text("dear diary")
        return Reply("ok")

    server.script(decide)
    write(30)
    result = run(*ASK, *OUT, "--concurrency", "1")
    assert result.exit_code == 1
    assert "out.jsonl was moved or deleted while this run wrote it" in result.stderr
    assert len(server.requests) == 3
    assert Path("out.jsonl").exists() == (go == "replaced")
    if go == "moved":
        assert len(Path("moved.jsonl").read_text().splitlines()) == 3
        os.rename("moved.jsonl", "out.jsonl")
        assert run(*ASK, *OUT).exit_code == 0
        assert len(server.requests) == 30


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_no_rows_are_no_error(run: Run, content: str) -> None:
    Path("rows.jsonl").write_text(content)
    result = run(*ASK, *OUT)
    assert (result.exit_code, json.loads(result.stdout)["rows"]) == (0, 0)
    assert run(*ASK).stderr == "0 answered, 0 failed\nThere are no rows.\n"
    assert json.loads(run(*ASK, "--dry-run").stdout)["usd"] == 0


def test_rows_through_a_pipe_go_on_where_they_ended(run: Run, server: PracticeServer) -> None:
    rows = Path("rows.jsonl").read_text()
    piped = ["map", "-", *ASK[2:], *OUT]
    assert json.loads(run(*piped, "--limit", "2", input=rows).stdout)["answered"] == 2
    again = json.loads(run(*piped, input=rows).stdout)
    assert (again["answered"], again["done_before"], len(server.requests)) == (4, 2, 6)
    command = f"'{INSTALLED}' map --format jsonl <(cat rows.jsonl) {' '.join(map(repr, ASK[2:]))} -o other.jsonl"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answered"] == 6


def test_a_key_that_several_rows_have_is_said(run: Run, server: PracticeServer) -> None:
    Path("rows.jsonl").write_text('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n{"id": "", "text": "c"}\n')
    result = run(*ASK, *OUT, "--key", "id")
    assert "1 values of id are those of several rows" in result.stderr
    keys = sorted(json.loads(it)["key"] for it in Path("out.jsonl").read_text().splitlines())
    assert keys == ["", "1", "1#2"]
    assert len(server.requests) == 3
    Path("rows.jsonl").write_text("".join(f'{{"id": "{it}", "text": "{it}"}}\n' for it in ("x", "x#2", "x", "x")))
    for _ in range(2):
        run(*ASK, "-o", "marks.jsonl", "--key", "id")
    keys = sorted(json.loads(it)["key"] for it in Path("marks.jsonl").read_text().splitlines())
    assert keys == ["x", "x#2", "x#3", "x#4"]
    assert len(server.requests) == 7
    Path("rows.jsonl").write_text('{"id": null, "text": "a"}\n')
    assert 'its field "id" is null' in run(*ASK, *OUT, "--key", "id").stderr


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        (["--image", "path"], 'row 2 (rows.jsonl:2): its field "path" is "none.png", and there is no such file here.'),
        (["--schema", "bad.json"], "refers to /$defs/Nope, which is not in it"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_spent(
    run: Run, server: PracticeServer, option: list[str], wrong: str
) -> None:
    Path("rows.jsonl").write_text('{"text": "a", "path": ""}\n{"text": "b", "path": "none.png"}\n')
    Path("bad.json").write_text('{"type": "object", "properties": {"label": {"$ref": "#/$defs/Nope"}}}')
    result = run(*ASK, *OUT, *option)
    assert result.exit_code == 1
    assert wrong in result.stderr
    assert not server.requests
    assert not Path("out.failed.jsonl").exists()


def test_a_schema_may_refer_to_parts_of_itself(run: Run, server: PracticeServer) -> None:
    schema = {"$defs": {"Label": {"enum": ["good", "bad"]}}, "properties": {"label": {"$ref": "#/$defs/Label"}}}
    Path("label.json").write_text(json.dumps({**schema, "type": "object", "required": ["label"]}))
    server.default = Reply('{"label": "good"}')
    assert run(*ASK, *OUT, "--schema", "label.json").exit_code == 0
    assert {json.loads(it)["parsed"]["label"] for it in Path("out.jsonl").read_text().splitlines()} == {"good"}


def test_an_option_for_the_request_is_told_from_the_file_of_answers(run: Run, server: PracticeServer) -> None:
    """`-o` is an option of the request for `llmring chat`."""
    result = run(*ASK, "-o", "seed", "7")
    assert result.exit_code == 1
    assert "-o is the file of answers here; a parameter of the request is --option seed VALUE." in result.stderr
    assert not Path("seed").exists()
    assert run(*ASK, *OUT, "--option", "seed", "7").exit_code == 0


def test_a_dry_run_counts_what_another_run_left_and_leaves_it(run: Run, server: PracticeServer) -> None:
    left = Path("out.jsonl.d/0123456789ab/block.jsonl")
    left.parent.mkdir(parents=True)
    left.write_text('{"key": "1", "asked": "it", "answer": "a"}\n')
    Path("out.jsonl").touch()
    assert json.loads(run(*ASK, *OUT, "--key", "id", "--dry-run").stdout)["to_ask"] == 5
    assert (Path("out.jsonl").read_text(), left.exists()) == ("", True)
    assert json.loads(run(*ASK, *OUT, "--key", "id").stdout)["answered"] == 5
    assert not left.exists()


def test_how_answers_ended_is_counted(run: Run, server: PracticeServer) -> None:
    ends = {
        "Label: text 0": Reply("", finish_reason="content_filter"),
        "Label: text 1": Reply("a", finish_reason="length"),
    }
    server.script(lambda request: ends.get(request.question, Reply("")))
    summary = json.loads(run(*ASK, *OUT).stdout)
    assert summary["ends"] == {"stop": 4, "content_filter": 1, "length": 1}
    assert summary["answered"] == 6


def test_half_a_character_fails_its_row_alone(run: Run, server: PracticeServer) -> None:
    Path("rows.jsonl").write_text('{"text": "\\ud800"}\n{"text": "a\\u0000"}\n')
    result = run(*ASK, *OUT)
    assert (result.exit_code, json.loads(result.stdout)["answered"]) == (1, 1)
    assert json.loads(Path("out.failed.jsonl").read_text())["row"] == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(run: Run, server: PracticeServer) -> None:
    Path("closed").mkdir(mode=0o500)
    assert "cannot be written: Permission denied" in run(*ASK, "-o", "closed/out.jsonl").stderr
    assert not server.requests


def test_stand_bys_and_shares_serve_rows_as_they_do_requests(run: Run, server: PracticeServer, project: Path) -> None:
    project.write_text(project.read_text().replace("params = { temperature = 0.3 }", "split = { weights = [1, 1] }", 1))
    server.reply(status=503, times=3, wire="anthropic")
    write(40)
    asked = ["map", "rows.jsonl", "--model", "chatbot", "--prompt", "{text}", *OUT, "--max-cost", "5"]
    summary = json.loads(run(*asked).stdout)
    assert summary["answered"] == 40
    assert set(summary["models"]) == {"anthropic:claude-haiku-4-5", "openai:gpt-5-mini"}


def test_a_lockfile_that_is_edited_meanwhile_is_in_force_and_remembered(
    run: Run, server: PracticeServer, project: Path
) -> None:
    def decide(request: RecordedRequest) -> Reply:
        if len(server.requests) == 5:
            project.write_text(project.read_text().replace("claude-haiku-4-5", "claude-sonnet-4-5"))
        return Reply("ok", delay=0.1)

    server.script(decide)
    write(60)
    asked = ["map", "rows.jsonl", "--model", "chatbot", "--prompt", "{text}", *OUT]
    result = run(*asked, "--concurrency", "2")
    assert (
        "chatbot is bound otherwise now: anthropic:claude-sonnet-4-5, openai:gpt-5-mini from here on." in result.stderr
    )
    lines = [json.loads(it) for it in Path("out.jsonl").read_text().splitlines()]
    late = [it for it in lines if it["asked"].endswith(lines[-1]["asked"][-8:])]
    assert 5 < len(late) < 55
    assert {it["model"] for it in late} == {"anthropic:claude-sonnet-4-5"}
    before = len(server.requests)
    assert f"{60 - len(late)} of these rows were asked otherwise" in run(*asked).stderr
    assert run(*asked, "--redo-changed").exit_code == 0
    assert len(server.requests) - before == 60 - len(late)
