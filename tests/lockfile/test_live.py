"""A file that is followed, with real edits of a real file."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmring.exceptions import LockfileNotFoundError, LockfileParseError
from llmring.lockfile import LiveLockfile, bind, parse, unbind
from llmring.lockfile import live as live_module

Write = Callable[..., Path]


def text(model: str) -> str:
    return f'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["{model}"]\n'


def model(live: LiveLockfile) -> str:
    return live.current().profile().bindings["a"].models[0]


def settle(live: LiveLockfile) -> None:
    """Waits until one `stat` is enough for the file as it is."""
    live.current()
    time.sleep(live_module._FINE * 1.2)
    live.current()
    assert live._settled is not None


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path, write: Write) -> None:
    live = LiveLockfile(tmp_path / "llmring.lock")
    for _ in range(2):
        with pytest.raises(LockfileNotFoundError):
            live.current()
    write("version = ")
    for _ in range(2):
        with pytest.raises(LockfileParseError, match="not valid TOML"):
            live.current()
    write(text("x:1"))
    assert model(live) == "x:1"


def test_a_relative_path_stays_where_it_was(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(text("x:1"))
    monkeypatch.chdir(tmp_path)
    live = LiveLockfile("llmring.lock")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert live.path == tmp_path / "llmring.lock"
    assert model(live) == "x:1"


@pytest.mark.parametrize("settled", [True, False])
def test_every_way_to_save_a_file(write: Write, tmp_path: Path, settled: bool) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    assert model(live) == "x:1"

    def rewrite() -> None:
        write(text("x:2"))

    def rename() -> None:
        os.replace(write(text("x:3"), "new"), path)

    def delete_and_restore() -> None:
        path.unlink()
        assert model(live) == "x:3"
        write(text("x:4"))

    def rename_away_and_back() -> None:
        os.replace(path, tmp_path / "old")
        write(text("x:5"))

    def link_elsewhere() -> None:
        write(text("x:6"), "target")
        path.unlink()
        path.symlink_to("target")

    def edit_behind_the_link() -> None:
        write(text("x:7"), "target")

    def command() -> None:
        bind(path, "a", ["x:8"])

    edits = (rewrite, rename, delete_and_restore, rename_away_and_back, link_elsewhere, edit_behind_the_link, command)
    for number, edit in enumerate(edits, start=2):
        if settled:
            settle(live)
        edit()
        assert model(live) == f"x:{number}"


def test_edits_that_leave_timestamp_and_size_as_they_were(write: Write) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    for coarse in (False, True):
        for number in "2345":
            before = path.stat()
            stamp = before.st_mtime_ns // 10**9 * 10**9 if coarse else before.st_mtime_ns
            write(text(f"x:{number}"))
            os.utime(path, ns=(stamp, stamp))
            assert path.stat().st_size == before.st_size
            assert model(live) == f"x:{number}"


def test_edits_on_a_drive_whose_marks_are_all_coarse(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network drive in a nutshell: every time in whole seconds, and edits within one of them."""
    path = write(text("x:1"))
    seen = os.stat

    def coarse(name: Any, *arguments: Any, **options: Any) -> Any:
        status = seen(name, *arguments, **options)
        if name != str(path):
            return status
        stamp = 10**18
        return SimpleNamespace(st_mtime_ns=stamp, st_ctime_ns=stamp, st_size=status.st_size, st_ino=status.st_ino)

    live = LiveLockfile(path)
    monkeypatch.setattr(os, "stat", coarse)
    for number in "234":
        write(text(f"x:{number}"))
        assert model(live) == f"x:{number}"
    time.sleep(live_module._FINE * 2)
    assert model(live) == "x:4"
    write(text("x:5"))
    assert model(live) == "x:5"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("settled", [True, False])
def test_a_link_that_is_swapped_for_another(write: Write, tmp_path: Path, settled: bool) -> None:
    path = tmp_path / "llmring.lock"
    for number in "12":
        write(text(f"x:{number}"), f"release-{number}")
        os.utime(tmp_path / f"release-{number}", ns=(10**18 + 1, 10**18 + 1))
    path.symlink_to("release-1")
    live = LiveLockfile(path)
    for number in "1212":
        if settled:
            settle(live)
        (tmp_path / "new").symlink_to(f"release-{number}")
        os.replace(tmp_path / "new", path)
        assert model(live) == f"x:{number}"


def test_json_is_followed_as_well(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    def written(name: str) -> str:
        binding = {"alias": "a", "models": [name]}
        return json.dumps({"version": "1.0", "profiles": {"default": {"bindings": [binding]}}}, indent=2)

    path = write(written("x:1"))
    live = LiveLockfile(path)
    assert model(live) == "x:1"
    settle(live)
    write(written("x:2"))
    assert model(live) == "x:2"
    write(written("x:3").replace('"alias"', "alias"))
    settle(live)
    assert model(live) == "x:2"
    assert [record.getMessage().partition(" is not")[0] for record in caplog.records] == [f"{path}:7:11: This"]
    bind_to = write(written("x:3"))
    bind(bind_to, "a", ["x:4"])
    assert model(live) == "x:4"
    write(text("x:5"))
    assert model(live) == "x:5", "from JSON to TOML under the same name"


@pytest.mark.skipif(sys.platform == "win32", reason="only POSIX keeps the time of the last change of any kind")
def test_an_edit_that_restores_the_timestamp_later(write: Write) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    settle(live)
    before = path.stat()
    write(text("x:2"))
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert model(live) == "x:2"


@pytest.mark.parametrize(("stamp", "seconds"), [(10**18, 2.5), (10**18 + 1, 0.1)])
def test_how_long_the_content_is_compared(
    write: Write, monkeypatch: pytest.MonkeyPatch, stamp: int, seconds: float
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = write(text("x:1"))
    os.utime(path, ns=(stamp, stamp))
    live = LiveLockfile(path)
    for elapsed, is_settled in ((0, False), (0.9 * seconds, False), (1.1 * seconds, True)):
        now[0] = 100 + elapsed
        live.current()
        assert (live._settled is not None) is is_settled


def test_an_unchanged_file_gives_the_same_object(write: Write) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    first = live.current()
    assert live.current() is first
    settle(live)
    assert live.current() is first
    write(text("x:1"))
    os.utime(path)
    assert live.current() is first


def test_a_broken_save_is_reported_once_and_the_last_good_one_serves(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    model(live)
    write("version = '1.0'\n[profiles")
    for _ in range(3):
        assert model(live) == "x:1"
    assert caplog.records == [], "it may be a save that is not done yet"
    settle(live)
    os.utime(path)
    settle(live)
    assert model(live) == "x:1"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}:2:10: This is not valid TOML: Expected ']' at the end of a table declaration. "
        "The last good one stays in force"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].name == "llmring.lockfile"
    write("version = '1.0'\n\n[profiles")
    settle(live)
    assert model(live) == "x:1"
    assert len(caplog.records) == 2
    write(text("x:2"))
    assert model(live) == "x:2"
    write("version = '1.0'\n\n[profiles")
    settle(live)
    assert model(live) == "x:2"
    assert len(caplog.records) == 3


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """More time until a save counts as done, for tests that save slowly on a machine that may be busy."""
    monkeypatch.setattr(live_module, "_FINE", 0.5)


@pytest.mark.usefixtures("patient")
def test_a_good_save_that_is_slow_is_not_reported(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    settle(live)
    content = text("x:2")
    with path.open("w") as file:
        for start in range(0, len(content), 20):
            file.write(content[start : start + 20])
            file.flush()
            live.current()
            time.sleep(0.01)
    settle(live)
    assert model(live) == "x:2"
    assert caplog.records == []


def test_a_secret_or_another_version_does_not_come_into_force(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveLockfile(write(text("x:1")))
    model(live)
    write(text("x:2") + '[providers.x]\napi_key = "anything"\n')
    settle(live)
    assert model(live) == "x:1"
    write(text("x:3").replace("1.0", "2.0"))
    settle(live)
    assert model(live) == "x:1"
    assert [word in record.getMessage() for record, word in zip(caplog.records, ("secret", "2.0"), strict=True)]
    assert "anything" not in caplog.text


@pytest.mark.parametrize("halfway", ["gone", "empty"])
def test_a_save_caught_halfway_is_not_reported_unless_it_stays_so(
    write: Write, caplog: pytest.LogCaptureFixture, halfway: str
) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    model(live)

    def leave() -> None:
        path.unlink() if halfway == "gone" else path.write_bytes(b"")

    leave()
    assert model(live) == "x:1"
    write(text("x:2"))
    assert model(live) == "x:2"
    assert caplog.records == []
    leave()
    assert model(live) == "x:2"
    time.sleep(live_module._FINE * 1.2)
    for _ in range(3):
        assert model(live) == "x:2"
    assert len(caplog.records) == 1
    write(text("x:2"))
    assert model(live) == "x:2"
    leave()
    assert model(live) == "x:2"
    time.sleep(live_module._FINE * 1.2)
    assert model(live) == "x:2"
    assert len(caplog.records) == 2


def many(model: str, count: int = 30) -> list[str]:
    """A file in parts: after each of them it is one that loads."""
    head = 'version = "1.0"\n\n[profiles.default]\nname = "default"\n'
    bindings = [f'\n[[profiles.default.bindings]]\nalias = "a{n}"\nmodels = ["{model}"]\n' for n in range(count)]
    end = ["params = { seed = 1 }\n", "\n[profiles.dev]\n", '\n[providers.x]\nbase_url = "https://localhost/v1"\n']
    return [head, *bindings, *end, '\n[extends]\npackages = ["somelib"]\n']


def names(live: LiveLockfile) -> tuple[list[str], list[str], list[str], list[str]]:
    """Aliases, profiles, providers and packages."""
    now = live.current()
    return sorted(now.profile().bindings), sorted(now.profiles), sorted(now.providers), sorted(now.extends)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("new", ["x:1", "x:2"])
def test_a_slow_save_loses_no_name_and_is_followed_as_far_as_it_goes(write: Write, new: str) -> None:
    path = write("".join(many("x:1")))
    live = LiveLockfile(path)
    before, all_names = live.current(), names(live)
    settle(live)
    with path.open("w") as file:
        for number, part in enumerate(many(new)):
            assert names(live) == all_names
            if new == "x:1":
                assert live.current() is before, "what has been written so far says nothing new"
            elif number > 1:
                assert live.current().profile().bindings[f"a{min(number - 2, 29)}"].models == (new,)
            time.sleep(0.01)
            file.write(part)
            file.flush()
    after = live.current()
    assert {binding.models for binding in after.profile().bindings.values()} == {(new,)}
    assert after.data == tomllib.loads("".join(many(new)))
    assert names(live) == all_names


@pytest.mark.parametrize("coarse", [False, True])
def test_a_save_in_place_that_also_takes_a_name_out(
    write: Write, monkeypatch: pytest.MonkeyPatch, coarse: bool
) -> None:
    monkeypatch.setattr(live_module, "_COARSE", 2.0 if coarse else 0.0)
    path = write("".join(many("x:1", 2)))
    live = LiveLockfile(path)
    settle(live)
    if coarse:
        count_in_seconds(monkeypatch, path)
    write("".join(many("x:2", 1)))
    bindings = live.current().profile().bindings
    assert {alias: it.models for alias, it in bindings.items()} == {"a0": ("x:2",), "a1": ("x:1",)}
    assert live.current() is live.current()
    time.sleep(live_module._FINE * 1.2)
    assert list(live.current().profile().bindings) == (["a0", "a1"] if coarse else ["a0"])
    if coarse:
        time.sleep(live_module._COARSE)
        assert list(live.current().profile().bindings) == ["a0"]


def count_in_seconds(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Gives a file marks as a network drive has them: whole seconds, rounded down."""
    seen = os.stat

    def coarse(name: Any, *arguments: Any, **options: Any) -> Any:
        status = seen(name, *arguments, **options)
        if name != str(path):
            return status
        written, changed = (stamp // 10**9 * 10**9 for stamp in (status.st_mtime_ns, status.st_ctime_ns))
        return SimpleNamespace(st_mtime_ns=written, st_ctime_ns=changed, st_size=status.st_size, st_ino=status.st_ino)

    monkeypatch.setattr(os, "stat", coarse)


@pytest.mark.parametrize(
    "rest", ["params = { seed = 12 }\n", "params.seed = 1\nparams.top_p = 0.5\n", "[providers.x]\n", "2"]
)
def test_a_save_cut_short_says_nothing_new(write: Write, rest: str) -> None:
    """What it lacks here is no name: the end of a number, params, a provider's address."""
    begin = text("x:1") + {"2": "params.seed = 1", "[providers.x]\n": ""}.get(rest, "")
    whole = begin + rest + ('base_url = "https://localhost/v1"\n' if rest.startswith("[") else "")
    path = write(whole)
    live = LiveLockfile(path)
    before = live.current()
    settle(live)
    write(begin)
    assert live.current() is before
    time.sleep(live_module._FINE * 1.2)
    assert live.current().data == tomllib.loads(begin)


def test_a_provider_whose_table_is_cut_stays_where_it_was(write: Write) -> None:
    table = '[providers.openai]\nbase_url = "https://localhost/v1"\n'
    path = write(text("x:1") + table)
    live = LiveLockfile(path)
    settle(live)
    write(text("x:2") + "[providers.openai]\n")
    assert model(live) == "x:2"
    assert live.current().providers["openai"].base_url == "https://localhost/v1"
    time.sleep(live_module._FINE * 1.2)
    assert live.current().providers["openai"].base_url is None


@pytest.mark.parametrize("lost", ["budget = { usd = 1.0, per = 'day' }\n", "rate.requests = 5\nrate.per = 'day'\n"])
def test_a_binding_that_loses_a_limit_halfway_stays_what_it_was(write: Write, lost: str) -> None:
    live = LiveLockfile(write(text("x:1") + "deadline = 5\n" + lost))
    settle(live)
    for cut in ("deadline = 6\n", ""):
        write(text("x:2") + cut)
        assert model(live) == "x:1"
    time.sleep(live_module._FINE * 1.2)
    assert (model(live), live.current().profile().bindings["a"].policy) == ("x:2", None)


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        ('base_url = "https://a.test"\napi_key_env = "A_KEY"\n', 'api_key_env = "B_KEY"\n', "old"),
        ('base_url = "https://a.test"\napi_key_env = "A_KEY"\n', 'base_url = "https://b.test"\n', "old"),
        ('base_url = "https://a.test"\nheaders = { A = "1", B = "2" }\n', 'headers = { A = "3" }\n', "old"),
        (
            'base_url = "https://a.test"\nheaders = { A = "1", B = "2" }\n',
            'base_url = "https://b.test"\nheaders = { A = "3" }\n',
            "old",
        ),
        (
            'base_url = "https://a.test"\napi_key_env = "A_KEY"\n',
            'api_key_env = "B_KEY"\nbase_url = "https://b.test"\napi = "chat"\n',
            "new",
        ),
    ],
)
def test_a_provider_is_never_a_mixture_of_two_edits(write: Write, old: str, new: str, taken: str) -> None:
    """A key of the new table must not go to the host of the old one."""
    live = LiveLockfile(write(text("x:1") + f'[providers.groq]\nsdk = "openai"\n{old}'))
    before = live.current().providers["groq"]
    settle(live)
    edited = text("x:2") + f'[providers.groq]\nsdk = "openai"\n{new}'
    after = parse(edited.encode()).providers["groq"]
    write(edited)
    assert model(live) == "x:2"
    assert live.current().providers["groq"] == {"old": before, "new": after}[taken]
    time.sleep(live_module._FINE * 1.2)
    assert live.current().providers["groq"] == after


def test_a_save_cut_above_its_default_profile_serves_the_one_that_was(write: Write) -> None:
    rest = 'default_profile = "b"\n[[profiles.b.bindings]]\nalias = "a"\nmodels = ["x:1"]\n'
    live = LiveLockfile(write(f'version = "1.0"\n{rest}'))
    settle(live)
    write('version = "1.0"\n# a comment of this edit\n')
    assert model(live) == "x:1"


@pytest.mark.parametrize("taken", [1, 5, 33, 34])
def test_what_a_save_in_place_takes_out_stays_for_a_moment_at_most(write: Write, taken: int) -> None:
    live = LiveLockfile(write("".join(many("x:1"))))
    all_names = names(live)
    settle(live)
    parts = many("x:2")
    del parts[taken]
    write("".join(parts))
    assert names(live) == all_names
    time.sleep(live_module._FINE * 1.2)
    assert live.current().data == tomllib.loads("".join(parts))
    assert names(live) != all_names


def test_what_a_save_in_place_took_out_before_it_was_noticed_is_gone_at_once(write: Write) -> None:
    live = LiveLockfile(write("".join(many("x:1"))))
    settle(live)
    write("".join(many("x:1", 29)))
    time.sleep(live_module._FINE * 1.2)
    assert "a29" not in live.current().profile().bindings


def test_what_a_file_in_its_place_lacks_is_gone_at_once(write: Write) -> None:
    path = write("".join(many("x:1")))
    live = LiveLockfile(path)
    live.current()
    for count in (29, 28):
        os.replace(write("".join(many("x:1", count)), "new"), path)
        assert len(live.current().profile().bindings) == count
    unbind(path, "a27")
    assert len(live.current().profile().bindings) == 27
    for alias in ("a26", "a25", "a24", "a23"):
        bind(path, "passing", ["x:3"])
        unbind(path, "passing")
        unbind(path, alias)
        assert alias not in live.current().profile().bindings


def test_a_folder_in_its_place_is_reported(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    model(live)
    path.unlink()
    path.mkdir()
    assert model(live) == "x:1"
    time.sleep(live_module._FINE * 1.2)
    assert model(live) == "x:1"
    assert "it is a folder" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_file_that_cannot_even_be_looked_for_leaves_the_last_good_one_in_force(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    assert model(live) == "x:1"
    path.unlink()
    path.symlink_to("n" * 300)  # no name can be that long, so every question about it is an error
    assert model(live) == "x:1"
    time.sleep(live_module._FINE * 1.2)
    for _ in range(3):
        assert model(live) == "x:1"
    assert len(caplog.records) == 1
    assert "cannot be read: File name too long" in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_was_closed_leaves_the_last_good_one_in_force(write: Write, tmp_path: Path) -> None:
    live = LiveLockfile(write(text("x:1")))
    assert model(live) == "x:1"
    tmp_path.chmod(0)
    try:
        assert model(live) == "x:1"
        with pytest.raises(LockfileParseError, match="Permission denied"):
            LiveLockfile(tmp_path / "llmring.lock").current()
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("broken", ['version = "1.0"\nseed =  {}\n', '{{"version": "1.0",\n"seed": {}}}'])
def test_a_number_that_nobody_reads_is_a_broken_save(
    write: Write, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    assert model(live) == "x:1"
    write(broken.format("9" * 5000))
    settle(live)
    assert model(live) == "x:1"
    assert f"{path}:2:9: This number has more digits than can be read" in caplog.text


def test_threads_see_what_was_in_force_and_at_last_the_newest(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(text("x:0"))
    live = LiveLockfile(path)
    live.current()
    seen: list[list[int]] = [[] for _ in range(4)]
    done = threading.Event()

    def follow(numbers: list[int]) -> None:
        while not done.is_set():
            numbers.append(int(model(live).removeprefix("x:")))

    threads = [threading.Thread(target=follow, args=(numbers,)) for numbers in seen]
    for thread in threads:
        thread.start()
    for number in range(1, 200):
        os.replace(write(text(f"x:{number}"), "new"), path)
        if number % 10 == 0:
            assert model(live) == f"x:{number}"
    done.set()
    for thread in threads:
        thread.join()
    assert model(live) == "x:199"
    for numbers in seen:
        assert numbers == sorted(numbers)
        assert set(numbers) <= set(range(200))
    assert caplog.records == []


def test_asking_costs_one_stat(write: Write) -> None:
    live = LiveLockfile(write(text("x:1")))
    settle(live)
    best = 1.0
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(1000):
            live.current()
        best = min(best, (time.perf_counter() - begin) / 1000)
    assert best < 20e-6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_its_place_leaves_the_last_good_one_in_force(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(text("x:1"))
    live = LiveLockfile(path)
    assert model(live) == "x:1"
    path.unlink()
    os.mkfifo(path)
    assert model(live) == "x:1"
    time.sleep(live_module._FINE * 1.2)
    for _ in range(3):
        assert model(live) == "x:1"
    assert [record.message.partition(": ")[2].partition(",")[0] for record in caplog.records] == ["it is a pipe"]
    path.unlink()
    write(text("x:2"))
    assert model(live) == "x:2"
