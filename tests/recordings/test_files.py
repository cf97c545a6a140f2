"""Where recordings may be, and what is no recording."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.providers import kinds
from llmring.recordings import RecordingError
from llmring.recordings.exchanges import Answered, Exchange
from llmring.recordings.session import Session

GOOD: dict[str, Any] = {
    "llmring": 1,
    "model": "openai:gpt-5-mini",
    "request": {"messages": [{"role": "user", "content": "Hi"}]},
    "answer": {"chunks": [[5, "Hel"], [0, "lo"]], "finish_reason": "stop"},
}
HI = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])


def write(data: bytes, name: str = "chat.jsonl") -> None:
    Path(name).write_bytes(data)


async def replayed(written: str) -> str:
    async with LLMRing(aliases={"chatbot": f"replay:{written}"}) as service:
        return (await service.chat(HI)).content


@pytest.mark.parametrize(
    "written",
    ["../out.jsonl", "/etc/out.jsonl", "a/../../out.jsonl", "link/out.jsonl", "chat.json", ".jsonl", "a.lock"],
)
@pytest.mark.parametrize("kind", ["replay", "record"])
async def test_no_recording_is_read_or_written_outside_of_the_project(bare: Path, written: str, kind: str) -> None:
    outside = bare / "outside"
    project = bare / "project"
    outside.mkdir()
    project.mkdir()
    os.chdir(project)
    (project / "link").symlink_to(outside)
    for folder in (bare, outside):
        (folder / "out.jsonl").write_text(json.dumps(GOOD))
    model = f"{kind}:{written}" + "+openai:gpt-5-mini" * (kind == "record")
    async with LLMRing(aliases={"chatbot": model}, api_keys={"openai": "none"}) as service:
        with pytest.raises(RecordingError, match=r"outside of the project|names no recording|who is to be asked"):
            await service.chat(HI)


async def test_paths_count_from_the_lockfile(bare: Path) -> None:
    folder = bare / "a" / "b"
    folder.mkdir(parents=True)
    (bare / "chat.jsonl").write_text(json.dumps(GOOD))
    (bare / "llmring.lock").write_text(
        'version = "1.0"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "chatbot"\nmodels = ["replay:chat.jsonl"]\n'
    )
    async with LLMRing(bare / "llmring.lock") as service:
        os.chdir(folder)
        assert (await service.chat(HI)).content == "Hello"


def changed(**fields: Any) -> str:
    return json.dumps({**GOOD, **fields})


def answering(**fields: Any) -> str:
    return changed(answer={**GOOD["answer"], **fields})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no table"),
        ("[" * 100_000, "is no JSON"),
        (changed(llmring=2), '"llmring": 1'),
        (changed(model="gpt"), "no provider:model"),
        (changed(model=3), "no provider:model"),
        (changed(request=[]), "no table with"),
        (changed(request={"messages": 3}), "no table with"),
        (changed(answer=3), '"answer"'),
        (changed(stream="yes"), '"stream"'),
        (answering(chunks=3), "`chunks` are no list"),
        (answering(chunks=[[-1, "x"]]), "chunk 1"),
        (answering(chunks=[[1e99, "x"]]), "chunk 1"),
        (answering(chunks=[[0, {"calls": [[7, "x"]]}]]), "chunk 1"),
        (answering(chunks=[[0, {"calls": [[0, {"id": 1, "name": "f", "arguments": ""}]]}]]), "chunk 1"),
        (answering(finish_reason="done"), "finish_reason"),
        (answering(finish_reason=None), "ends in one of"),
        (answering(left=True), "ends in one of"),
        (answering(usage={"prompt_tokens": "1"}), "usage"),
        (answering(usage={"prompt_tokens": 1}), "usage"),
        (answering(metadata=[]), "metadata"),
        (answering(parts=["x"]), "parts"),
        (answering(calls=[{"function": 3}]), "calls"),
        (answering(finish_reason=None, error={"type": "SystemExit", "message": "x"}), "error"),
        (answering(finish_reason=None, error={"type": "ProviderError", "message": "x", "retry_after": -1}), "error"),
        (answering(finish_reason=None, error={"type": "ProviderError", "message": "x"}).replace('"x"', "NaN"), "error"),
        (answering(finish_reason=None, error={"type": "ProviderError", "message": "x", "retry_after": "1"}), "error"),
    ],
)
async def test_what_is_no_recording_is_refused_in_words(bare: Path, text: str, said: str) -> None:
    write(text.encode())
    with pytest.raises(RecordingError) as caught:
        await replayed("chat.jsonl")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500


async def test_what_is_no_file_or_too_large_is_refused(bare: Path) -> None:
    os.mkdir("folder.jsonl")
    os.mkfifo("pipe.jsonl")
    write(b"", "large.jsonl")
    os.truncate("large.jsonl", 65 * 2**20)
    for name in ("folder", "pipe", "large"):
        with pytest.raises(RecordingError, match=r"cannot be read|more than 64 MiB"):
            await replayed(f"{name}.jsonl")


async def test_a_file_of_many_hands_is_read(bare: Path) -> None:
    """Blank lines, Windows' ends of lines, keys in another order, no end of the last line."""
    table = {key: GOOD[key] for key in reversed(GOOD)}
    write(b"\r\n" + json.dumps(table, indent=None).encode() + b"\r\n\n  \n" + changed().encode())
    assert await replayed("chat.jsonl") == "Hello"


def test_processes_add_to_one_file_and_lose_nothing(bare: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.recordings.test_files import add\n"
        "for n in range(25): add(Path('chat.jsonl').resolve(), f'{sys.argv[1]} {n}')"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(it)], env={**os.environ, "PYTHONPATH": path})
        for it in range(4)
    ]
    assert [it.wait() for it in running] == [0] * 4
    found = [json.loads(line) for line in Path("chat.jsonl").read_text().splitlines()]
    asked = [it["request"]["messages"][0]["content"] for it in found]
    assert sorted(asked) == sorted(f"{one} {n}" for one in range(4) for n in range(25))
    for one in range(4):
        assert [it for it in asked if it.startswith(f"{one} ")] == [f"{one} {n}" for n in range(25)]


def add(path: Path, text: str, test: str | None = None, session: Session | None = None, said: str = "Yes") -> None:
    """Record an exchange."""
    request = {"messages": [{"role": "user", "content": text}]}
    answered = Answered(finish_reason="stop", unclosed=said)
    (session or Session()).add(path, Exchange.of("openai:gpt-5-mini", request, answered, stream=True, test=test))


def test_tests_are_in_order_whoever_records_first(bare: Path) -> None:
    path = Path("chat.jsonl").resolve()
    for test, text in [("b", "1"), ("a", "1"), (None, "1"), ("c", "1"), ("b", "2"), ("a", "2")]:
        add(path, text, test)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(it.get("test"), it["request"]["messages"][0]["content"]) for it in found if "test" in it] == [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("b", "2"),
        ("c", "1"),
    ]


def test_what_is_recorded_anew_stands_where_it_stood(bare: Path) -> None:
    path = Path("chat.jsonl").resolve()
    for text in ("1", "2", "2", "3"):
        add(path, text, said="old")
    anew = Session("all")
    add(path, "2", session=anew, said="new")
    add(path, "2", session=anew, said="newer")
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(it["request"]["messages"][0]["content"], it["answer"]["unclosed"]) for it in found] == [
        ("1", "old"),
        ("2", "new"),
        ("3", "old"),
        ("2", "newer"),
    ]


def test_what_is_replayed_is_no_vendor_among_others() -> None:
    assert not {"record", "replay"} & {*kinds.names()}
    assert kinds.origin_of("replay") is not None
