"""The practice server keeps files as the vendors do, as their own SDKs see it."""

from __future__ import annotations

import io
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from llmring.testing import PracticeServer

PDF = b"%PDF-1.7 " + b"\r\n--\r\n what it says" * 30


def of_openai(server: PracticeServer, key: str = "one") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def of_anthropic(server: PracticeServer, key: str = "one") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)


def of_google(server: PracticeServer, key: str = "one") -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=server.url))


def naming(server: PracticeServer, uri: str, key: str) -> tuple[int, str | None]:
    """What is said to a message that names a file: the SDK's own spells its fields in another way."""
    parts = [{"fileData": {"fileUri": uri, "mimeType": "application/pdf"}}]
    answer = httpx2.post(
        f"{server.url}/v1beta/models/gemini-2.5-flash:generateContent",
        json={"contents": [{"role": "user", "parts": parts}]},
        headers={"x-goog-api-key": key},
    )
    return answer.status_code, answer.json().get("error", {}).get("status")


def test_openai(server: PracticeServer) -> None:
    with of_openai(server) as client, of_openai(server, "another") as other:
        made = client.files.create(file=("a report.pdf", PDF, "application/pdf"), purpose="user_data")
        (kept,) = server.files.kept
        assert (kept.data, kept.name, kept.media_type) == (PDF, "a report.pdf", "application/pdf")
        assert (made.id, made.bytes, made.purpose) == (kept.id, len(PDF), "user_data")
        assert client.files.retrieve(made.id) == made
        assert [it.id for it in client.files.list()] == [made.id]
        assert [*other.files.list()] == []
        part: Any = {"type": "input_file", "file_id": made.id}
        asked: Any = [{"role": "user", "content": [part]}]
        assert client.responses.create(model="gpt-5-mini", input=asked).status == "completed"
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
            other.responses.create(model="gpt-5-mini", input=asked)
        with pytest.raises(openai.NotFoundError):
            other.files.delete(made.id)
        assert client.files.delete(made.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made.id)
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.files.create(file=("a.pdf", PDF), purpose="nothing")  # type: ignore[arg-type]
        assert {it.wire for it in server.requests} == {"files", "openai-responses"}


def test_openai_in_chat_completions(server: PracticeServer) -> None:
    with of_openai(server) as client:
        part: Any = {"type": "file", "file": {"file_id": "file-none"}}
        with pytest.raises(openai.NotFoundError, match="file-none"):
            client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": [part]}])


def test_anthropic(server: PracticeServer) -> None:
    with of_anthropic(server) as client, of_anthropic(server, "another") as other:
        made = client.files.upload(file=("a report.pdf", PDF, "application/pdf"))
        (kept,) = server.files.kept
        assert (kept.data, kept.name, kept.media_type) == (PDF, "a report.pdf", "application/pdf")
        assert (made.id, made.size_bytes, made.mime_type) == (kept.id, len(PDF), "application/pdf")
        assert client.files.retrieve_metadata(made.id) == made
        assert [it.id for it in client.files.list()] == [made.id]
        assert [*other.files.list()] == []
        part: Any = {"type": "document", "source": {"type": "file", "file_id": made.id}}
        asked: Any = [{"role": "user", "content": [part]}]
        assert client.messages.create(model="m", max_tokens=9, messages=asked).stop_reason == "end_turn"
        with pytest.raises(anthropic.NotFoundError, match=f"File not found: {made.id}"):
            other.messages.create(model="m", max_tokens=9, messages=asked)
        assert client.files.delete(made.id).id == made.id
        with pytest.raises(anthropic.NotFoundError):
            client.files.delete(made.id)
        with pytest.raises(anthropic.BadRequestError, match="Invalid filename"):
            client.files.upload(file=("a?.pdf", PDF))


def test_gemini(server: PracticeServer) -> None:
    server.files.looks = 1
    client, other = of_google(server), of_google(server, "another")
    size = 9 * 1024 * 1024  # in two pieces
    made = client.files.upload(
        file=io.BytesIO(PDF.ljust(size)), config={"mime_type": "application/pdf", "display_name": "a report.pdf"}
    )
    (kept,) = server.files.kept
    assert (len(kept.data), kept.name, kept.media_type) == (size, "a report.pdf", "application/pdf")
    assert (made.name, made.size_bytes, made.uri) == (f"files/{kept.id}", size, kept.uri)
    assert made.state == types.FileState.PROCESSING
    assert made.expiration_time is not None
    assert made.create_time is not None
    assert (made.expiration_time - made.create_time).total_seconds() == pytest.approx(48 * 3600, abs=60)
    assert naming(server, str(made.uri), "one") == (400, "INVALID_ARGUMENT")
    assert client.files.get(name=str(made.name)).state == types.FileState.PROCESSING
    assert client.files.get(name=str(made.name)).state == types.FileState.ACTIVE
    assert [it.name for it in client.files.list()] == [made.name]
    assert [*other.files.list()] == []
    assert naming(server, str(made.uri), "one") == (200, None)
    assert naming(server, str(made.uri), "another") == (403, "PERMISSION_DENIED")
    client.files.delete(name=str(made.name))
    with pytest.raises(errors.ClientError, match="403"):
        client.files.get(name=str(made.name))
    client.close()
    other.close()


def test_a_time_that_is_over_and_files_that_are_lost(server: PracticeServer) -> None:
    with of_openai(server) as client:
        one, two, three = (client.files.create(file=(it, PDF), purpose="user_data") for it in ("a", "b", "c"))
        server.files.kept[0].expires_at = 0.0
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(one.id)
        server.files.drop(two.id)
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(two.id)
        assert client.files.retrieve(three.id) == three
        server.files.drop()
        assert server.files.kept == []


def test_what_is_queued_answers_it(server: PracticeServer) -> None:
    server.reply("Hello")  # is for no files
    server.reply(status=413, wire="files")
    with of_openai(server) as client, pytest.raises(openai.APIStatusError) as caught:
        client.files.create(file=("a", PDF), purpose="user_data")
    assert caught.value.status_code == 413
    assert len(server.pending) == 1
