"""What several processes wrote is taken up by the next run, once those that wrote it are gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmring.bulk import Output
from llmring.bulk.lines import OutputError
from llmring.bulk.shards import Shards, beside, take_up

WORKER = """
import sys
from pathlib import Path
from llmring.bulk.shards import Shards
Shards(Path(sys.argv[1])).enter()
print("here", flush=True)
input()
"""


def line(key: str, answer: str = "a", **more: object) -> str:
    return json.dumps({"key": key, "row": 1, "asked": f"{key}.whom", "answer": answer, "cost": None} | more) + "\n"


def failure(key: str) -> str:
    return json.dumps({"key": key, "row": 1, "asked": f"{key}.whom", "error": {"class": "E", "message": "no"}}) + "\n"


def kept(path: Path) -> dict[str, str]:
    lines = [json.loads(it) for it in path.read_text().splitlines()]
    assert len({it["key"] for it in lines}) == len(lines)
    return {it["key"]: it.get("answer", "") for it in lines}


def test_a_run_takes_up_what_another_left(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(line("one", "before"))
    for texts in (
        [line("one", "again"), line("two")],
        [failure("three"), line("four", result="x"), '{"key": "five", "as'],
    ):
        run = Shards.made(beside(out))
        run.of(texts).write_text("".join(texts))
    with Output(out, "whom") as output:
        take_up(output)
        assert (output.answered, output.failed) == (3, 1)
        assert output.wants("four", "four") is None
        assert output.wants("three", "three") is None
        assert output.wants("five", "five") == ("five", "five.whom")
    assert kept(out) == {"one": "before", "two": "a", "four": "a"}
    assert "result" not in out.read_text()
    assert kept(tmp_path / "out.failed.jsonl") == {"three": ""}
    assert not beside(out).exists()


def test_who_only_looks_knows_of_it_and_leaves_it_where_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run = Shards.made(beside(out))
    shard = run.of(["one"])
    shard.write_text(line("one") + failure("two"))
    with Output(out, "whom") as output:
        take_up(output, keep=False)
        assert (output.answered, output.failed) == (1, 1)
        assert output.wants("one", "one") is None
    assert not out.read_text()
    assert not (tmp_path / "out.failed.jsonl").exists()
    assert shard.read_text() == line("one") + failure("two")
    with Output(out, "whom") as output:
        take_up(output)
    assert kept(out) == {"one": "a"}


def test_what_failed_first_and_was_answered_then_has_not_failed(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    (tmp_path / "out.failed.jsonl").write_text(failure("one"))
    run = Shards.made(beside(out))
    run.of(["one"]).write_text(line("one"))
    with Output(out, "whom") as output:
        take_up(output)
        output.tidy()
    assert kept(out) == {"one": "a"}
    assert not (tmp_path / "out.failed.jsonl").exists()


def test_workers_of_a_run_that_was_killed_are_waited_for(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run = Shards.made(beside(out))
    with subprocess.Popen([sys.executable, "-c", WORKER, str(run.folder)], stdin=-1, stdout=-1, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "here\n"
        with Output(out, "whom") as output:
            with pytest.raises(OutputError, match="still at work"):
                take_up(output, patience=0)
            worker.communicate("\n")
            take_up(output)
    assert not beside(out).exists()


def test_what_is_no_runs_is_left_alone(tmp_path: Path) -> None:
    out, mine = tmp_path / "out.jsonl", tmp_path / "mine"
    mine.mkdir()
    (mine / "a.jsonl").write_text(line("one") + '{"torn')
    for name in ("0123456789ab", "old"):
        beside(out).mkdir(exist_ok=True)
        (beside(out) / name).symlink_to(mine)
    (beside(out) / "notes").mkdir()
    run = Shards.made(beside(out))
    (run.folder / "b.jsonl").symlink_to(mine / "a.jsonl")
    with Output(out, "whom") as output:
        take_up(output)
        assert output.answered == 0
    assert (mine / "a.jsonl").read_text().endswith('{"torn')
    assert sorted(it.name for it in beside(out).iterdir()) == ["0123456789ab", "notes", "old"]


def test_a_worker_that_comes_too_late_or_sees_nothing_is_told(tmp_path: Path) -> None:
    run = Shards.made(beside(tmp_path / "out.jsonl"))
    os.unlink(run.folder / "lock")
    with pytest.raises(OutputError, match=r"not to be seen from the machine .*: -o"):
        Shards(run.folder).enter()


def test_a_block_has_the_same_file_whoever_does_it(tmp_path: Path) -> None:
    run = Shards.made(tmp_path)
    assert run.of(["a", "b"]) == Shards(run.folder).of(["a", "b"]) != run.of(["a", "c"])
