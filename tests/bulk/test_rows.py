"""Rows of files, as odd as files are; and what is asked about them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.bulk import Asking, Row, Rows
from llmring.bulk.lines import Lines, OutputError
from llmring.bulk.rows import RowError
from llmring.exceptions import ConfigurationError, LLMRingError

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(16)


def read(path: Path, content: bytes | str | None = None) -> list[dict[str, Any]]:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [it.data for it in Rows([str(path)])]


def asked(data: dict[str, Any], prompt: str) -> Any:
    return Asking("openai:gpt-5-mini", prompt=prompt).request(Row(1, "a:1", data)).messages[-1].content


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.jsonl", b'\xef\xbb\xbf{"t": "a"}\n', [{"t": "a"}]),
        ("a.jsonl", '{"t": "a"}\r\n\r\n  \n{"t": "b"}', [{"t": "a"}, {"t": "b"}]),
        ("a.jsonl", '{"t": "a\u2028b\\u0000"}\n', [{"t": "a\u2028b\0"}]),
        ("a.jsonl", "", []),
        ("a.jsonl", " \n\n", []),
        ("a.jsonl.GZ", gzip.compress(b'{"t": "a"}', mtime=0), [{"t": "a"}]),
        ("a.csv", b"\xef\xbb\xbfid,t\r\n1,a\r\n", [{"id": "1", "t": "a"}]),
        ("a.csv", 'id,t\n1,"a\nb, c"\n', [{"id": "1", "t": "a\nb, c"}]),
        ("a.csv", "id;t\n1;a, b\n", [{"id": "1", "t": "a, b"}]),
        ("a.csv", "id\tt\n1\ta; b\n", [{"id": "1", "t": "a; b"}]),
        ("a.csv", "t\na;b\n", [{"t": "a;b"}]),
        ("a.csv", "\n \nid,t\n\n1,a\n\n", [{"id": "1", "t": "a"}]),
        ("a.csv", "id,t,,\n1,a,,\n", [{"id": "1", "t": "a"}]),
        ("a.csv", "id,t\r1,a\r", [{"id": "1", "t": "a"}]),
        ("a.csv", "", []),
        ("a.csv", "id,t\n", []),
        ("a.tsv", "id\tt, u\n1\ta;b\n", [{"id": "1", "t, u": "a;b"}]),
    ],
)
def test_odd_files_that_are_rows(tmp_path: Path, name: str, content: bytes | str, rows: list[dict[str, Any]]) -> None:
    assert read(tmp_path / name, content) == rows


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("a.jsonl", '[{"t": 1},\n{"t": 2}]', "jq -c '.[]'"),
        ("a.json", '[{"t": 1}]', "is an array; a row is an object"),
        ("a.json", '[{"t": 1}]', "jq -c '.[]'"),
        ("a.json", '{\n  "t": 1\n}\n', "jq -c ."),
        ("a.jsonl", '{"t": 1}\n{"t": ', "on each line."),
        ("a.jsonl", '"a"\n', "is text; a row is an object"),
        ("a.jsonl", '{"t": "\0"}\n', "a.jsonl:1 is no JSON"),
        ("a.jsonl", "[" * 100_000, "is nested too deeply"),
        ("a.jsonl", '{"t": "a"}\n'.encode("utf-16"), "a.jsonl:1 is UTF-16; write it as UTF-8"),
        ("a.jsonl", b'{"t": "a"}\n{"t": "\xe9"}\n', "a.jsonl:2 is no UTF-8 text"),
        ("a.jsonl", gzip.compress(b'{"t": "a"}\n', mtime=0), "is compressed; have its name end in .gz"),
        ("a.jsonl.gz", b'{"t": "a"}\n', "Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(b'{"t": "a"}\n' * 9, mtime=0)[:-9], "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 30, "cannot be read"),
        ("a.csv", "id,id\n1,2\n", 'has two columns "id"'),
        ("a.csv", "id,t\n1\n", "a.csv:2 has 1 fields, and the first line names 2: id, t."),
        ("a.csv", "\n\nid,t\n1,2,3\n", "a.csv:4 has 3 fields"),
        ("a.csv", 'id,t\n1,"a\n\nb"\n2,"c\nd",3\n', "a.csv:5 has 3 fields"),
        ("a.csv", "id,t,,\n1,a,,b\n", "a.csv:2 has something in a column that the first line does not name"),
        ("a.csv", 'id,t\n1,"a\n', "is no CSV"),
        ("a.csv", "id,t\n1,é\n".encode("latin1"), "is no UTF-8 text"),
        ("a.csv", "id,t\n".encode("utf-16"), "is UTF-16"),
        ("a.parquet", b"", "cannot be read as Parquet"),
        ("a.parquet", b"PAR1....", "cannot be read as Parquet"),
        ("a.txt", "x", "--format jsonl|csv|tsv|parquet"),
    ],
)
def test_files_that_are_none_say_what_to_do(tmp_path: Path, name: str, content: bytes | str, wrong: str) -> None:
    with pytest.raises(LLMRingError) as caught:
        read(tmp_path / name, content)
    assert wrong in str(caught.value)


def test_a_folder_says_how_its_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows" / "more.jsonl").mkdir(parents=True)
    read(tmp_path / "rows" / "a.jsonl", '{"t": 1}\n')
    with pytest.raises(ConfigurationError, match=r"is a folder\. Its files are '.*rows/\*'"):
        Rows([str(tmp_path / "rows")])
    assert [it.data for it in Rows([str(tmp_path / "rows" / "*")])] == [{"t": 1}]


FIELDS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    min_size=1,
    max_size=5,
)


@given(st.lists(FIELDS, max_size=8), st.booleans())
def test_lines_of_json_are_read_as_they_were_written(rows: list[dict[str, str]], packed: bool) -> None:
    text = "".join(json.dumps(it, ensure_ascii=packed) + "\n" for it in rows).encode()
    with _folder() as folder:
        path = folder / ("rows.jsonl.gz" if packed else "rows.jsonl")
        assert read(path, gzip.compress(text) if packed else text) == rows


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12)


@given(
    st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=2, max_size=5, unique=True),
    st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=6),
    st.sampled_from(",;\t"),
)
def test_tables_are_read_as_they_were_written(names: list[str], rows: list[list[str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *(row[: len(names)] for row in rows)])
    with _folder() as folder:
        found = read(folder / "rows.csv", file.getvalue())
    assert found == [dict(zip(names, row, strict=False)) for row in rows]


@given(st.binary(max_size=200), st.sampled_from(["a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.csv.gz"]))
def test_whatever_a_file_holds_it_is_rows_or_an_error_of_ours(content: bytes, name: str) -> None:
    with _folder() as folder:
        try:
            rows = read(folder / name, content)
        except (RowError, ConfigurationError):
            return
        assert all(isinstance(it, dict) for it in rows)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_table_of_ten_thousand_columns_and_a_field_of_megabytes(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(10_000)]
    (row,) = read(tmp_path / "wide.csv", ",".join(names) + "\n" + ",".join(names) + "\n")
    assert row == dict(zip(names, names, strict=True))
    long = "x" * 5_000_000
    assert read(tmp_path / "long.csv", f'"t"\n"{long}"\n') == [{"t": long}]


def test_a_file_is_read_once_however_often_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(f"{name}.jsonl").write_text(f'{{"t": "{name}"}}\n')
    os.symlink("a.jsonl", "c.jsonl")
    rows = Rows(["a.jsonl", "*.jsonl", "./b.jsonl", str(tmp_path / "a.jsonl")])
    assert [it.data["t"] for it in rows] == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_read_once_and_gone_through_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    writer = threading.Thread(target=lambda: (tmp_path / "a.jsonl").write_text('{"t": 1}\n{"t": 2}\n'))
    writer.start()
    rows = Rows([str(tmp_path / "a.jsonl")])
    assert [[it.data["t"] for it in rows] for _ in range(2)] == [[1, 2], [1, 2]]
    writer.join()
    rows.close()


def test_types_of_parquet_are_written_as_one_writes_them(tmp_path: Path) -> None:
    kinds = {
        "text": "é",
        "whole": 7,
        "decimal": Decimal("1.10"),
        "time": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "list": [1, 2],
        "object": {"x": 1, "when": date(2026, 1, 2)},
        "yes": True,
    }
    pyarrow.parquet.write_table(pyarrow.table({name: [it] for name, it in kinds.items()}), tmp_path / "a.parquet")
    (row,) = read(tmp_path / "a.parquet")
    said = {name: asked(row, f"{{{name}}}") for name in kinds}
    assert said == {
        "text": "é",
        "whole": "7",
        "decimal": "1.10",
        "time": "2026-01-02T03:04:00+00:00",
        "day": "2026-01-02",
        "list": "[1, 2]",
        "object": '{"x": 1, "when": "2026-01-02"}',
        "yes": "true",
    }
    words = pyarrow.array(["a", "b", "a"]).dictionary_encode()
    pyarrow.parquet.write_table(pyarrow.table({"word": words}), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet") == [{"word": "a"}, {"word": "b"}, {"word": "a"}]


@pytest.mark.parametrize("value", [b"\xff", [b"x"], {"a": b"x"}])
def test_bytes_are_no_text(value: object) -> None:
    with pytest.raises(RowError, match='its field "t" is nothing that can be written as text'):
        asked({"t": value}, "{t}")


def test_braces_of_a_field_are_its_own() -> None:
    assert asked({"t": "{x} {{y}} $z", "1": 2}, "{{{t}}} {1}") == "{{x} {{y}} $z} 2"


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda _: "none.png", 'its field "p" is "none.png", and there is no such file here'),
        (lambda _: 7, "is no picture, and no path or address of one"),
        (lambda _: b"not a picture", 'its field "p": '),
    ],
)
def test_a_picture_that_is_none_is_said_with_its_row(make: Callable[[None], object], wrong: str) -> None:
    with pytest.raises(RowError) as caught:
        Asking("openai:gpt-5-mini", prompt="x", image="p").request(Row(3, "a:3", {"p": make(None)}))
    assert str(caught.value).startswith("row 3 (a:3): ")
    assert wrong in str(caught.value)


def test_pictures_may_be_in_the_rows(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PIXEL)
    ask = Asking("openai:gpt-5-mini", prompt="x", image="p")
    path = str(tmp_path / "dot.png")
    for value, count in ((PIXEL, 1), ({"bytes": PIXEL, "path": None}, 1), ({"path": path}, 1), ([path, PIXEL], 2)):
        request = ask.request(Row(1, "a:1", {"p": value}))
        assert len(request.messages[0].content) == count + 1  # type: ignore[arg-type]
        assert ask.key_of(Row(1, "a:1", {"p": value}), request)
    for nothing in (None, "", [], [None]):
        assert ask.request(Row(1, "a:1", {"p": nothing})).messages[0].content == "x"


# Where answers go


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3), max_size=6), st.integers(0, 400))
def test_wherever_a_file_of_answers_is_cut_what_was_whole_stays(answers: list[dict[str, str]], cut: int) -> None:
    lines = [{**it, "key": str(number)} for number, it in enumerate(answers)]
    with _folder() as folder:
        path = folder / "out.jsonl"
        written = Lines(path)
        for it in lines:
            written.add(it)
        written.close()
        whole = path.read_bytes()
        path.write_bytes(whole[:cut])
        again = Lines(path)
        count = whole[:cut].count(b"\n")
        kept = list(again)
        assert kept[:count] == lines[:count]
        assert len(kept) - count <= 1  # a line that lacks only its end
        again.add({"key": "last"})
        again.close()
        assert [json.loads(it) for it in path.read_bytes().splitlines()] == [*kept, {"key": "last"}]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl.gz"])
def test_a_name_that_says_something_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"answers are lines of JSON, and are appended; name it \.jsonl"):
        Lines(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_link_stays_one(tmp_path: Path) -> None:
    os.symlink("real.jsonl", tmp_path / "out.jsonl")
    lines = Lines(tmp_path / "out.jsonl")
    lines.add({"key": "a"})
    lines.keep(iter([{"key": "b"}]))
    lines.close()
    assert (tmp_path / "out.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == '{"key": "b"}\n'
