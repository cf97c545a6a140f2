"""What holds for the batches of every vendor, as bytes on the wire say it."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.testing import BatchScript, Fault, PracticeServer, Reply

from .conftest import by_hand

VENDORS = ("openai", "anthropic", "gemini")
HEADERS: dict[str, dict[str, str]] = {
    "openai": {"authorization": "Bearer one"},
    "anthropic": {"x-api-key": "one", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "one"},
}
PATHS = {
    "openai": ("/v1/batches", "/v1/batches"),
    "anthropic": ("/v1/messages/batches", "/v1/messages/batches"),
    "gemini": ("/v1beta/models/gemini-2.5-flash:batchGenerateContent", "/v1beta/batches"),
}


class Client:
    """Says what it is told to."""

    def __init__(self, server: PracticeServer, vendor: str) -> None:
        self.http = httpx2.Client(base_url=server.url, headers=HEADERS[vendor])
        self.vendor = vendor
        self.creation, self.place = PATHS[vendor]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def upload(self, data: bytes) -> str:
        if self.vendor == "openai":
            answer = self.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", data)})
            return str(answer.json()["id"])
        headers = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        begun = self.http.post("/upload/v1beta/files", json={"file": {"mimeType": "jsonl"}}, headers=headers)
        headers = {"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"}
        place = begun.headers["x-goog-upload-url"]
        return str(self.http.post(place, content=data, headers=headers).json()["file"]["name"])

    def create(self, questions: list[str]) -> httpx2.Response:
        return self.http.post(self.creation, json=self.body(questions))

    def body(self, questions: list[str]) -> dict[str, Any]:
        turns = [[{"role": "user", "content": it}] for it in questions]
        if self.vendor == "anthropic":
            asked = [{"model": "claude-haiku-4-5", "max_tokens": 9, "messages": it} for it in turns]
            return {"requests": [{"custom_id": f"row-{at}", "params": it} for at, it in enumerate(asked)]}
        if self.vendor == "gemini":
            contents = [{"contents": [{"role": "user", "parts": [{"text": it}]}]} for it in questions]
            return {"batch": {"inputConfig": {"requests": {"requests": [{"request": it} for it in contents]}}}}
        endpoint = "/v1/chat/completions"
        lines = [
            {"custom_id": f"{at}", "method": "POST", "url": endpoint, "body": {"model": "gpt-5-mini", "messages": it}}
            for at, it in enumerate(turns)
        ]
        id = self.upload("\n".join(map(json.dumps, lines)).encode())
        return {"input_file_id": id, "endpoint": endpoint, "completion_window": "24h"}

    def look(self, id: str) -> dict[str, Any]:
        said = self.http.get(f"{self.place}/{id}").json()
        assert isinstance(said, dict)
        return said


@pytest.fixture(params=VENDORS)
def client(request: pytest.FixtureRequest, server: PracticeServer) -> Iterator[Client]:
    with Client(server, request.param) as client:
        yield client


NAMES = (
    *("requests", "custom_id", "params", "batch", "inputConfig", "fileName", "request", "metadata", "model"),
    *("input_file_id", "endpoint", "completion_window", "contents", "messages", "key", "url", "body"),
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("vendor", VENDORS)
@given(body=ODD, line=ODD)
def test_no_body_breaks_the_server(vendor: str, body: Any, line: Any) -> None:
    if vendor == "gemini" and isinstance(body, dict) and "batch" not in body:
        body = {"batch": body}
    with PracticeServer() as server, Client(server, vendor) as client:
        said = [client.http.post(client.creation, json=body)]
        if vendor != "anthropic":
            name = client.upload(json.dumps(line).encode())
            fine: dict[str, Any] = {"batch": {"inputConfig": {"fileName": name}}}
            if vendor == "openai":
                endpoint = "/v1/chat/completions"
                fine = {"input_file_id": name, "endpoint": endpoint, "completion_window": "24h"}
            said.append(client.http.post(client.creation, json=fine))
        assert all(it.status_code < 500 for it in said), [it.text for it in said]
        for _ in range(3):
            for batch in server.batches.made:
                assert client.http.get(f"{client.place}/{batch.id}").status_code == 200
        assert all(it.ended for it in server.batches.made)


@given(
    rows=st.integers(1, 12),
    polls=st.integers(0, 5),
    cancel=st.integers(0, 7),
    ends=st.sampled_from(["completed", "failed", "expired"]),
    done=st.none() | st.integers(0, 15),
)
@pytest.mark.parametrize("vendor", ["openai", "gemini"])
def test_each_row_ends_once(vendor: str, rows: int, polls: int, cancel: int, ends: Any, done: int | None) -> None:
    with PracticeServer() as server, Client(server, vendor) as client:
        server.batches.script(BatchScript(polls=polls, ends=ends, done=done))
        assert client.create([f"Question {at}" for at in range(rows)]).status_code == 200
        (batch,) = server.batches.made
        looks = 0
        while not batch.ended:
            if looks == cancel:
                client.http.post(f"{client.place}/{batch.id}{':' if vendor == 'gemini' else '/'}cancel")
            client.look(batch.id)
            looks += 1
        assert looks <= polls + 1
        asked = Counter(row.request.question for row in batch.rows if row.request)
        assert set(asked.values()) <= {1}
        assert batch.state in (ends, "cancelled")
        outcomes = Counter(row.outcome for row in batch.rows)
        if batch.state == "completed":
            assert outcomes == {"succeeded": rows}
        elif batch.state == "failed":
            assert outcomes == {None: rows}
        else:
            assert None not in outcomes


def test_many_at_once(server: PracticeServer, client: Client) -> None:
    server.batches.default = BatchScript(polls=9)

    def run(at: int) -> None:
        client.create([f"Question {at} {row}" for row in range(20)])
        client.http.get(client.place)
        for batch in list(server.batches.made):
            client.look(batch.id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(12)))
    server.batches.finish()
    client.http.get(client.place)
    assert all(it.ended for it in server.batches.made)
    paid = Counter(row.request.question for row in server.batches.billed if row.request)
    assert (len(paid), set(paid.values())) == (240, {1})


def test_rows_take_what_is_queued_for_their_wire(server: PracticeServer, client: Client) -> None:
    wire = "openai-chat" if client.vendor == "openai" else client.vendor
    server.reply("One", wire=wire)
    server.reply("Nobody's", wire="ollama")
    server.batches.script(polls=0)
    client.create(["a", "b"])
    client.look(server.batches.made[0].id)
    said = [json.dumps(row.answer) for row in server.batches.made[0].rows]
    assert ["One" in it for it in said] == [True, False]
    assert "You said: b" in said[1]
    assert len(server.pending) == 1


def test_a_script_that_fails_is_an_error_of_the_row(client: Client, server: PracticeServer) -> None:
    answers: dict[str, Reply] = {}
    server.script(lambda request: answers[request.question])
    server.batches.script(polls=0)
    client.create(["a"])
    client.look(server.batches.made[0].id)
    assert [row.outcome for row in server.batches.rows] == ["errored"]
    assert isinstance(server.broken, KeyError)
    server._broken = None


def test_what_was_scripted_is_forgotten(server: PracticeServer, client: Client) -> None:
    server.batches.script(ends="expired")
    server.batches.default = BatchScript(polls=0)
    server.clear()
    client.create(["a"])
    assert server.batches.made[0].script == BatchScript()
    assert len(server.batches.made) == 1


def test_a_true_answer_takes_no_other_words(server: PracticeServer) -> None:
    wrong: list[dict[str, Any]] = [{"status": 429}, {"text": "Hello"}, {"problem": "rate_limit"}, {"body": b"{}"}]
    for fields in wrong:
        with pytest.raises(ValueError, match="done=True"):
            server.reply(Reply(done=True, **fields))
    with pytest.raises(TypeError, match="done"):
        Reply(done=1)  # type: ignore[arg-type]


def test_a_listing_can_be_bent_too(server: PracticeServer) -> None:
    server.reply(done=True, fault=Fault.cut_after(1), wire="models")
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server.url}/v1/models")
    assert "gpt-5-mini" in httpx2.get(f"{server.url}/v1/models").text


def test_lists_of_files_have_pages(server: PracticeServer) -> None:
    with Client(server, "openai") as client:
        ids = [client.upload(b"{}") for _ in range(3)]
        client.http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a", b"a")})
        first = client.http.get("/v1/files?purpose=batch&limit=2").json()
        assert ([it["id"] for it in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
        rest = client.http.get(f"/v1/files?purpose=batch&limit=2&after={ids[1]}").json()
        assert ([it["id"] for it in rest["data"]], rest["has_more"]) == ([ids[0]], False)
        assert len(client.http.get("/v1/files?order=asc").json()["data"]) == 4
    with Client(server, "gemini") as client:
        names = [client.upload(b"{}") for _ in range(3)]
        page = client.http.get("/v1beta/files?pageSize=2").json()
        assert [it["name"] for it in page["files"]] == [names[2], names[1]]
        page = client.http.get(f"/v1beta/files?pageSize=2&pageToken={page['nextPageToken']}").json()
        assert ([it["name"] for it in page["files"]], page.get("nextPageToken")) == ([names[0]], None)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/batches", "/v1/none"])
def test_a_head_has_no_body(server: PracticeServer, path: str) -> None:
    with httpx2.Client(base_url=server.url) as client:
        answers = [client.head(path), client.get("/v1/models")]
    assert [it.status_code < 500 for it in answers] == [True, True]
    assert answers[0].content == b""


def test_by_hand() -> None:
    """It takes the seconds that it is told to take."""
    with by_hand("--batch-seconds", "0") as (process, url, _):
        assert process.stderr is not None
        server: Any = type("Server", (), {"url": url})
        with Client(server, "anthropic") as client:
            made = client.create(["a"]).json()
            assert client.look(made["id"])["processing_status"] == "ended"
        os.kill(process.pid, signal.SIGTERM)
        assert " POST /v1/messages/batches - 200" in process.stderr.read()
