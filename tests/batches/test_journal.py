"""The journal of batches: what was noted whole is read again, wherever the file was cut."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.batches import Journal, journal_beside, known_journals, read_only
from llmring.batches.spool import Entry
from llmring.bulk.lines import OutputError
from llmring.private import state_folder

STEPS: list[tuple[str, dict[str, Any]]] = [
    ("uploaded", {"upload": "file-1"}),
    ("creating", {}),
    ("created", {"batch": "batch-1"}),
    ("cancelled", {}),
    ("collected", {"files": ["file-1", "file-2"]}),
    ("tidied", {}),
]
ENTRY = st.builds(Entry, st.integers(1, 10**9), st.text(max_size=8), st.text("0123456789abcdef.", max_size=20))


def seen(journal: Journal) -> list[tuple[Any, ...]]:
    return [
        (it.tag, it.step, it.batch, it.upload, it.files, it.cancelled, journal.plan_of(it)["rows"])
        for it in journal.shards.values()
    ]


@given(
    st.lists(st.tuples(st.lists(ENTRY, min_size=1, max_size=3), st.integers(0, len(STEPS))), max_size=3),
    st.floats(0, 1),
)
def test_what_was_whole_is_read_again_wherever_it_was_cut(shards: list[tuple[list[Entry], int]], part: float) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out.batches.jsonl"
        states: list[tuple[int, list[tuple[Any, ...]]]] = [(0, [])]
        with Journal(path) as journal:
            states.append((path.stat().st_size, seen(journal)))
            for number, (rows, steps) in enumerate(shards):
                tag = f"tag{number}"
                journal.plan(tag, "openai:m", "openai http://x", "account", rows, None, request={})
                states.append((path.stat().st_size, seen(journal)))
                for step, more in STEPS[:steps]:
                    journal.note(tag, step, **more)
                    states.append((path.stat().st_size, seen(journal)))
        whole = path.read_bytes()
        cut = round(part * len(whole))
        path.write_bytes(whole[:cut])
        # A line that lacks nothing but its end is whole.
        expected = [state for size, state in states if size <= cut + 1][-1]
        with Journal(path) as journal:
            assert seen(journal) == expected
            journal.plan("later", "openai:m", "openai http://x", "account", [Entry(1, "k", "a")], None)
            assert [*read_only(path).shards] == [*journal.shards]
        with Journal(path) as journal:
            assert seen(journal)[:-1] == expected
            assert journal.shards["later"].step == "planned"
            open_rows = [row for it in journal.open for row in journal.plan_of(it)["rows"]]
            assert all(key in journal.keys(with_asked=False) for _, key, _ in open_rows)


def test_it_is_of_one_process_for_its_user_alone_and_known(tmp_path: Path) -> None:
    path = journal_beside(tmp_path / "labels")
    assert path.name == "labels.batches.jsonl"
    with Journal(path, tmp_path / "labels") as journal:
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(OutputError, match="being written by another run"):
            Journal(path)
        assert journal.output == tmp_path / "labels"
    assert journal_beside(path) == path
    assert read_only(path).output == tmp_path / "labels"
    assert [*known_journals()] == [path]
    (state_folder() / "batches" / "a folder").mkdir()  # no note can be read there
    (state_folder() / "batches" / "no path").write_bytes(b"a\0b")
    assert [*known_journals()] == [path]
    path.unlink()
    assert [*known_journals()] == []


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("begun", {"salt": "zz"}),
        ("begun", {"output": "../x"}),
        ("planned", {"model": 5}),
        ("planned", {"rows": [1]}),
        ("planned", {"rows": [["1", "k"]]}),
        ("created", {"batch": 5}),
    ],
)
def test_what_was_changed_by_hand_is_named(tmp_path: Path, step: str, change: dict[str, Any]) -> None:
    path = tmp_path / "out.batches.jsonl"
    with Journal(path) as journal:
        journal.plan("tag", "openai:m", "openai http://x", "account", [Entry(1, "k", "a")], None)
        journal.note("tag", "created", batch="batch-1")
    said = [json.loads(it) for it in path.read_text().splitlines()]
    changed = [it | change if it["step"] == step else it for it in said]
    path.write_text("".join(json.dumps(it) + "\n" for it in changed))
    with pytest.raises(OutputError, match=r"batches.jsonl:\d is no line of a journal"):
        read_only(path)


def test_one_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.batches.jsonl"
    with Journal(path):
        pass
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(OutputError, match="another version of llmring"):
        Journal(path)


def test_what_is_no_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "out.batches.jsonl"
    path.write_text('{"key": "a"}\n')
    with pytest.raises(OutputError, match=":1 is no line of a journal"):
        Journal(path)
    assert path.read_text() == '{"key": "a"}\n'
    with pytest.raises(OutputError, match="cannot be read"):
        read_only(tmp_path / "none")
