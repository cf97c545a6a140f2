"""What is known of files from one run to the next: one private file, that processes change one at a time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llmring.files.contents import Content, State
from llmring.files.handles import Upload
from llmring.files.store import Entry, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llmring" / "files" / "known.json"


def entry(name: str, sha256: str = "a" * 64) -> Entry:
    return Entry(name * 4, name, Content(sha256, 1, "text/plain", State(1, 1)), f"/somewhere/{name}")


def upload(id: str, sha256: str = "a" * 64, expires_at: float | None = None) -> Upload:
    return Upload("anthropic", "anthropic here", "account", sha256, "text/plain", id, id, 1.0, expires_at)


def test_what_one_store_knows_the_next_one_knows(path: Path) -> None:
    one = Store(path)
    made = one.put(entry("a"))
    one.add(upload("file_1"))
    other = Store(path)
    assert other.entries() == [made]
    assert other.find(made.id, None) == made
    assert other.upload("anthropic here", "account", "a" * 64, "text/plain") == upload("file_1")
    assert one.account(lambda digest: digest(b"key")) == other.account(lambda digest: digest(b"key"))
    assert one.account(lambda digest: digest(b"key")) != Store(None).account(lambda digest: digest(b"key"))


def test_nobody_else_may_read_it(path: Path) -> None:
    Store(path).put(entry("a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [it.name for it in path.parent.iterdir()] == ["known.json"]


def test_one_that_others_may_write_is_not_believed(path: Path) -> None:
    Store(path).put(entry("a"))
    path.chmod(0o666)
    assert Store(path).entries() == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"llmring": "files"}', b'{"llmring": "files", "version": 1, "salt": "no", "files": []}'],
)
def test_a_broken_one_is_as_none(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o600)
    store = Store(path)
    assert store.entries() == []
    store.put(entry("a"))
    assert len(Store(path).entries()) == 1


def test_one_of_a_later_release_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True)
    said = json.dumps({"llmring": "files", "version": 2})
    path.write_text(said)
    path.chmod(0o600)
    store = Store(path)
    store.put(entry("a"))
    assert len(store.entries()) == 1
    assert path.read_text() == said


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_where_it_cannot_be_written_memory_has_it(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o500)
    store = Store(path)
    store.put(entry("a"))
    assert len(store.entries()) == 1


def test_where_a_file_stands_in_its_place_memory_has_it(tmp_path: Path) -> None:
    (tmp_path / "llmring").write_text("no folder")
    store = Store(tmp_path / "llmring" / "files" / "known.json")
    made = store.put(entry("a"))
    store.add(upload("file_1"))
    assert (store.entries(), store.uploads("a" * 64)) == ([made], [upload("file_1")])


def test_threads_lose_nothing(path: Path) -> None:
    stores = [Store(path), Store(path)]

    def work(number: int) -> None:
        for at in range(10):
            stores[number % 2].put(entry(f"{number}-{at}", f"{number}{at}"))
            stores[number % 2].add(upload(f"file_{number}_{at}", f"{number}{at}"))

    threads = [threading.Thread(target=work, args=[it]) for it in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = json.loads(path.read_text())
    assert (len(known["files"]), len(known["uploads"])) == (40, 40)


def test_processes_lose_nothing(path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.files.test_store import *\n"
        "for at in range(5): Store(Path(sys.argv[1])).put(entry(f'{sys.argv[2]}-{at}'))\n"
    )
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), str(it)], cwd=root) for it in range(3)]
    assert [it.wait(120) for it in running] == [0, 0, 0]
    assert len(Store(path).entries()) == 15


def test_a_copy_whose_time_is_over_is_none(path: Path) -> None:
    store = Store(path)
    store.put(entry("a"))
    store.put(entry("b", "b" * 64))
    store.add(upload("file_1", expires_at=1.0))
    assert store.upload("anthropic here", "account", "a" * 64, "text/plain") is None
    assert store.uploads("a" * 64) == []
    store.add(upload("file_2", "b" * 64))
    assert len(json.loads(path.read_text())["uploads"]) == 1


def test_of_two_copies_the_first_counts_and_of_what_is_forgotten_none(path: Path) -> None:
    store, other = Store(path), Store(path)
    made = store.put(entry("a"))
    assert store.add(upload("file_1")) == upload("file_1")
    assert other.add(upload("file_2")) == upload("file_1")
    assert not other.drop(made.id)
    store.remove(upload("file_1"))
    assert other.drop(made.id)
    assert store.add(upload("file_3")) is None
    assert store.uploads("a" * 64) == []


def test_a_handle_finds_its_file_and_else_one_with_that_content() -> None:
    store = Store(None)
    made = store.put(entry("a"))
    assert store.find(made.id, None) == made
    assert store.find("another", "a" * 64) == made
    assert store.find("another", "b" * 64) is None
    changed = store.holds(made, Content("b" * 64, 2, "text/plain", State(2, 2)))
    assert (changed.id, changed.earlier) == (made.id, ("a" * 64,))
    # Who knows what it held before does not get what it holds now.
    assert store.find("another", "a" * 64) is None


def test_of_very_many_the_oldest_without_copies_are_dropped() -> None:
    store = Store(None)
    kept = store.put(entry("first", "c" * 64))
    store.add(upload("file_1", "c" * 64))
    for number in range(1010):
        last = store.put(entry(f"{number}"))
    known = store.entries()
    assert len(known) == 1000
    assert kept in known
    assert last in known
