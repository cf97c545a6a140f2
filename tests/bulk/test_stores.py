"""Rows in an object store: a real server that speaks S3, in a process of its own."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pyarrow.fs
import pyarrow.parquet
import pytest

from llmring.bulk import Rows
from llmring.bulk.stores import found
from llmring.exceptions import ConfigurationError

SERVER = """\
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
input()
"""

Put = Callable[[str, bytes], None]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, "the server did not start"
        yield f"http://127.0.0.1:{port}"
        server.communicate("\n")


@pytest.fixture
def put(address: str, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a file into a bucket of the server that the environment names."""
    for name in [it for it in os.environ if it.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "practice", "SECRET_ACCESS_KEY": "practice"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    options = {"endpoint_override": address, "region": "us-east-1", "allow_bucket_creation": True}
    store = pyarrow.fs.S3FileSystem(access_key="practice", secret_key="practice", **options)

    def put(path: str, data: bytes) -> None:
        store.create_dir(path.partition("/")[0])
        with store.open_output_stream(path, compression=None) as file:
            file.write(data)

    return put


def lines(*texts: str) -> bytes:
    return "".join(json.dumps({"text": it}) + "\n" for it in texts).encode()


def texts(*sources: str) -> list[str]:
    return [row.data["text"] for row in Rows(sources)]


def test_rows_are_those_of_files_on_a_disk(put: Put) -> None:
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["p1", "p2"]}), table)
    put("kinds/a.jsonl", lines("j1", "ü"))
    put("kinds/b.csv", b"text\nc1\n")
    put("kinds/c.parquet", table.getvalue())
    put("kinds/d.jsonl.gz", gzip.compress(lines("z1")))
    assert texts("s3://kinds/a.jsonl") == ["j1", "ü"]
    assert texts("s3://kinds/*") == ["j1", "ü", "c1", "p1", "p2", "z1"]
    again = Rows(["s3://kinds/a.jsonl"])
    assert [[row.place for row in again] for _ in range(2)] == [["s3://kinds/a.jsonl:1", "s3://kinds/a.jsonl:2"]] * 2


def test_globs_are_those_of_folders(put: Put) -> None:
    for path in ("2026/01/a.jsonl", "2026/02/b.jsonl", "2026/c.jsonl", "2026/02/b.txt", "other/d.jsonl"):
        put(f"deep/{path}", lines(path))
    assert texts("s3://deep/2026/*.jsonl") == ["2026/c.jsonl"]
    assert texts("s3://deep/2026/*/*.jsonl") == ["2026/01/a.jsonl", "2026/02/b.jsonl"]
    assert texts("s3://deep/2026/**/*.jsonl") == ["2026/01/a.jsonl", "2026/02/b.jsonl", "2026/c.jsonl"]
    assert texts("s3://deep/2026/0[2-9]/?.jsonl", "s3://deep/other/d.jsonl") == ["2026/02/b.jsonl", "other/d.jsonl"]
    assert found("s3://deep/**/d.jsonl") == ["s3://deep/other/d.jsonl"]


def test_what_is_not_there_is_said(put: Put) -> None:
    put("some/a.jsonl", lines("a"))
    with pytest.raises(ConfigurationError, match="no file fits"):
        Rows(["s3://some/*.csv"], "jsonl")
    with pytest.raises(ConfigurationError, match="no file fits"):
        Rows(["s3://some/nowhere/*.jsonl"])
    with pytest.raises(ConfigurationError, match=r"s3://some/b\.jsonl cannot be read"):
        texts("s3://some/b.jsonl")
    with pytest.raises(ConfigurationError, match="names no file"):
        Rows(["s3://some"], "jsonl")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        texts("s3://no-such-bucket/a.jsonl")
    assert "practice" not in str(caught.value)


@pytest.mark.parametrize("source", ["s3://some/a.jsonl", "s3://some/*.jsonl"])
def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    for name in ("pyarrow", "pyarrow.fs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"the extra parquet.*pip install pyarrow"):
        [*Rows([source])]
