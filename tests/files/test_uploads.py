"""Files that are registered with a service, and given to each vendor once, over real sockets and the real SDKs."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import threading
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import FileHandle, LLMRequest, LLMRing, Message, text
from llmring.answer import Call
from llmring.exceptions import (
    InvalidRequestError,
    ModelCapabilityError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.files import sending
from llmring.testing import Fault, PracticeServer, RecordedRequest, Reply

from ..conftest import bind

RESPONSES = '[providers.openai]\napi = "responses"\n'
MODELS = {
    "anthropic": "anthropic:claude-haiku-4-5",
    "openai": "openai:gpt-5-mini",
    "gemini": "google:gemini-2.5-flash",
}
VENDORS = pytest.mark.parametrize("vendor", MODELS)
PDF = b"%PDF-1.7 what it says " * 20
SECRET = "sesame-open-7-practice"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
WAV = b"RIFF\0\0\0\0WAVE" + bytes(100)


@pytest.fixture
def report(server: PracticeServer, bare: Path) -> Path:
    bind({name: [model] for name, model in MODELS.items()}, RESPONSES)
    path = bare / "report.pdf"
    path.write_bytes(PDF)
    return path


def asking(model: str, *parts: Any, **fields: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=[text("Hello"), *parts])], **fields)


def given(server: PracticeServer) -> list[RecordedRequest]:
    """The requests with which a file was given, or begun to be."""
    return [it for it in server.requests if it.wire == "files" and it.method == "POST" and not it.query]


def asked(server: PracticeServer) -> list[RecordedRequest]:
    return [it for it in server.requests if it.wire != "files"]


def replaced(path: Path, content: bytes) -> None:
    """New content, of which the file's time tells."""
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def rewritten(path: Path, content: bytes) -> None:
    """New content, of which neither the file's time nor its size tells."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


# Once


@VENDORS
async def test_a_file_is_given_once_and_named_from_then_on(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        assert server.requests == []
        for _ in range(2):
            response = await service.chat(asking(vendor, handle))
            assert response.content == "You said: Hello"
        (kept,) = server.files.kept
        assert (kept.name, kept.media_type, kept.data) == ("report.pdf", "application/pdf", PDF)
        assert len(given(server)) == 1
        assert [it.refused for it in server.requests if it.refused] == []
        assert all(kept.id in json.dumps(it.body) for it in asked(server))
        (listed,) = await service.files.list()
        (upload,) = listed.uploads
        assert listed.handle == handle
        assert listed.path == report
        assert upload.id.endswith(kept.id)
        assert (upload.expires is None) == (vendor != "gemini")


@VENDORS
async def test_a_stream_is_given_it_too(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        stream = service.chat_stream(asking(vendor, handle))
        assert (await stream.final_response()).content == "You said: Hello"
        assert len(given(server)) == 1


async def test_each_vendor_names_it_in_its_own_way(server: PracticeServer, report: Path, bare: Path) -> None:
    (bare / "cat.png").write_bytes(PNG)
    (bare / "notes.md").write_text("# Notes\n")
    async with LLMRing() as service:
        handles = [await service.files.register(it) for it in (report, "cat.png", "notes.md")]
        for vendor in MODELS:
            await service.chat(asking(vendor, *handles))
        ids = {(it.vendor, it.name): it.id for it in server.files.kept}
        anthropic, openai, gemini = (it.body for it in asked(server))
        assert anthropic["messages"][0]["content"][1:] == [
            {
                "type": "document",
                "source": {"type": "file", "file_id": ids["anthropic", "report.pdf"]},
                "title": "report.pdf",
            },
            {"type": "image", "source": {"type": "file", "file_id": ids["anthropic", "cat.png"]}},
            {
                "type": "document",
                "source": {"type": "file", "file_id": ids["anthropic", "notes.md"]},
                "title": "notes.md",
            },
        ]
        assert openai["input"][0]["content"][1:] == [
            {"type": "input_file", "file_id": ids["openai", "report.pdf"]},
            {"type": "input_image", "file_id": ids["openai", "cat.png"], "detail": "auto"},
            {"type": "input_file", "file_id": ids["openai", "notes.md"]},
        ]
        named = [part["fileData"] for part in gemini["contents"][0]["parts"][1:]]
        assert [it["mimeType"] for it in named] == ["application/pdf", "image/png", "text/markdown"]
        assert [it["fileUri"].rpartition("/")[2] for it in named] == [
            ids["gemini", name] for name in ("report.pdf", "cat.png", "notes.md")
        ]
        # What is text goes to Anthropic as plain text: it takes no other.
        types = {it.media_type for it in server.files.kept if it.name == "notes.md" and it.vendor == "anthropic"}
        assert types == {"text/plain"}


@VENDORS
async def test_requests_at_once_upload_once(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        answers = await asyncio.gather(*(service.chat(asking(vendor, handle)) for _ in range(20)))
        assert {it.content for it in answers} == {"You said: Hello"}
        assert len(given(server)) == 1


def test_event_loops_of_one_service_upload_at_most_once_each(server: PracticeServer, report: Path) -> None:
    service = LLMRing()
    handle = asyncio.run(service.files.register(report))
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        asyncio.run(ask())

    async def ask() -> None:
        for _ in range(3):
            await service.chat(asking("anthropic", handle))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked(server)) == 12
    assert 1 <= len(given(server)) <= 4
    asyncio.run(service.close())


async def test_of_two_services_that_upload_at_once_one_copy_stays(server: PracticeServer, report: Path) -> None:
    server.files.looks = 2  # both are under way for as long as Gemini reads
    async with LLMRing() as one, LLMRing() as other:
        handle = await one.files.register(report)
        await asyncio.gather(*(it.chat(asking("gemini", handle)) for it in (one, other)))
        assert len(given(server)) == 2
        assert len(server.files.kept) == 1
        await other.files.forget(handle)
        assert server.files.kept == []


async def test_the_same_file_in_one_request_twice_is_one(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        one, other = [await service.files.register(report) for _ in range(2)]
        assert one == other
        await service.chat(asking("anthropic", one, other))
        assert len(given(server)) == 1
        assert len(server.requests[-1].body["messages"][0]["content"]) == 3


async def test_a_later_run_uploads_nothing_anew(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        first = await service.files.register(report)
        await service.chat(asking("anthropic", first))
    async with LLMRing() as service:
        assert await service.files.register(report) == first
        await service.chat(asking("anthropic", first))
        assert len(given(server)) == 1


async def test_what_is_not_kept_is_known_to_one_service(server: PracticeServer, report: Path) -> None:
    for _ in range(2):
        async with LLMRing() as service:
            handle = await service.files.register(report, keep=False)
            await service.chat(asking("anthropic", handle))
    assert len(given(server)) == 2
    assert not (Path(os.environ["XDG_STATE_HOME"]) / "llmring").exists()


async def test_a_saved_conversation_goes_on_in_a_later_run(server: PracticeServer, report: Path, bare: Path) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("anthropic")
        handle = await service.files.register(report)
        await conversation.ask([text("What is it?"), handle])
        conversation.save(bare / "talk.json")
    assert str(report) not in (bare / "talk.json").read_text()
    async with LLMRing() as service:
        from llmring import Conversation

        loaded = Conversation.load(service, bare / "talk.json")
        await loaded.ask("Go on")
        assert len(given(server)) == 1
        # The other vendor has never seen it.
        loaded.model = "gemini"
        await loaded.ask("And on")
        assert [it.vendor for it in server.files.kept] == ["anthropic", "gemini"]


# Anew


@VENDORS
async def test_a_file_that_changed_is_uploaded_anew(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking(vendor, handle))
        replaced(report, PDF + b"more")
        await service.chat(asking(vendor, handle))
        assert [it.data for it in server.files.kept] == [PDF, PDF + b"more"]
        assert server.files.kept[1].id in json.dumps(server.requests[-1].body)
        os.utime(report)  # touched, and the same
        await service.chat(asking(vendor, handle))
        replaced(report, PDF)  # what the vendor has already
        await service.chat(asking(vendor, handle))
        assert len(given(server)) == 2
        assert server.files.kept[0].id in json.dumps(server.requests[-1].body)
        forgotten = await service.files.forget(handle)
        assert (len(forgotten.deleted), server.files.kept) == (2, [])


async def test_one_that_was_just_written_is_read_again(server: PracticeServer, report: Path) -> None:
    """What is written twice in a moment may have the same time."""
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking("anthropic", handle))
        rewritten(report, PDF.swapcase())
        await service.chat(asking("anthropic", handle))
        assert [it.data for it in server.files.kept] == [PDF, PDF.swapcase()]


@VENDORS
async def test_a_file_that_the_vendor_has_dropped_is_uploaded_anew(
    server: PracticeServer, report: Path, vendor: str
) -> None:
    async with LLMRing(max_retries=0) as service:
        handle = await service.files.register(report)
        await service.chat(asking(vendor, handle))
        server.files.drop()
        response = await service.chat(asking(vendor, handle))
        assert (response.content, response.retries) == ("You said: Hello", 0)
        assert len(given(server)) == 2
        assert [bool(it.refused) for it in asked(server)] == [False, True, False]
        server.files.drop()
        stream = service.chat_stream(asking(vendor, handle))
        assert (await stream.final_response()).content == "You said: Hello"
        assert len(given(server)) == 3


@VENDORS
async def test_one_that_is_not_found_again_and_again_is_uploaded_anew_but_once(
    server: PracticeServer, report: Path, vendor: str
) -> None:
    async with LLMRing(max_retries=3) as service:
        handle = await service.files.register(report)
        await service.chat(asking(vendor, handle))
        wire = server.requests[-1].wire

        def lost(request: RecordedRequest) -> Reply | None:
            if request.wire != wire:
                return None
            return Reply(status=400, error=f"File {server.files.kept[-1].id} was not found")

        server.script(lost)
        with pytest.raises(ProviderError, match="not found"):
            await service.chat(asking(vendor, handle))
        assert len(given(server)) == 2
        assert len(asked(server)) == 3


@VENDORS
async def test_a_file_whose_time_is_over_is_not_named(server: PracticeServer, report: Path, vendor: str) -> None:
    server.files.lifetime = 1.0
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking(vendor, handle))
        (listed,) = await service.files.list()
        assert listed.uploads == ()
        await service.chat(asking(vendor, handle))
        assert len(given(server)) == 2
        assert [it.refused for it in asked(server)] == [None, None]


async def test_gemini_is_waited_for_until_it_has_read_a_file(server: PracticeServer, report: Path) -> None:
    server.files.looks = 2
    async with LLMRing() as service:
        await service.chat(asking("gemini", await service.files.register(report)))
        assert [it.method for it in server.requests] == ["POST", "POST", "GET", "GET", "GET", "POST"]


async def test_what_gemini_cannot_read_is_an_error_and_taken_back(server: PracticeServer, report: Path) -> None:
    server.files.looks, server.files.fails = 1, True
    async with LLMRing() as service:
        with pytest.raises(ProviderResponseError, match=r"report\.pdf was not taken by google: .*cannot be read"):
            await service.chat(asking("gemini", await service.files.register(report)))
        assert server.files.kept == []


async def test_gemini_that_reads_for_too_long_is_a_timeout(server: PracticeServer, report: Path) -> None:
    server.files.looks = 10**6
    async with LLMRing(timeout=1.0, max_retries=0) as service:
        handle = await service.files.register(report)
        with pytest.raises(ProviderTimeoutError, match=r"The file report\.pdf could not be uploaded"):
            await service.chat(asking("gemini", handle))
        assert server.files.kept == []


# To whom


async def test_nothing_goes_to_another_account_or_address(server: PracticeServer, report: Path) -> None:
    with PracticeServer() as other:
        bind(
            {"here": ["anthropic:m"], "there": ["work:m"]},
            f'[providers.work]\nsdk = "anthropic"\nbase_url = "{other.url}"\napi_key_env = "ANTHROPIC_API_KEY"\n',
        )
        async with LLMRing() as service:
            await service.chat(asking("here", await service.files.register(report)))
        async with LLMRing(api_keys={"anthropic": "another-practice-key"}) as service:
            handle = await service.files.register(report)
            await service.chat(asking("here", handle))
            assert len(server.files.kept) == 2
            assert len({it.account for it in server.files.kept}) == 2
            # It is no vendor's own place, and nobody says that it keeps files.
            await service.chat(asking("there", handle))
            assert [it.wire for it in other.requests] == ["anthropic"]
            assert "base64" in json.dumps(other.requests[0].body)
    known = (Path(os.environ["XDG_STATE_HOME"]) / "llmring" / "files" / "known.json").read_text()
    assert "practice-key" not in known


@pytest.mark.parametrize("status", [404, 405, 501])
@VENDORS
async def test_an_address_without_a_place_for_files_is_sent_them_whole(
    server: PracticeServer, report: Path, vendor: str, status: int
) -> None:
    server.reply(status=status, wire="files", times=2)
    async with LLMRing() as service:
        handle = await service.files.register(report)
        for _ in range(2):
            assert (await service.chat(asking(vendor, handle))).content == "You said: Hello"
        assert len(given(server)) == (2 if vendor == "gemini" and status != 501 else len(given(server)))
        assert server.files.kept == []
        assert all("JVBERi" in json.dumps(it.body) for it in asked(server))


async def test_where_a_wire_has_no_files_they_go_within_the_request(server: PracticeServer, bare: Path) -> None:
    (bare / "cat.png").write_bytes(PNG)
    (bare / "notes.txt").write_text("remember")
    async with LLMRing() as service:
        handles = [await service.files.register(it) for it in ("cat.png", "notes.txt")]
        for model in ("ollama:llama3.2", "openai:gpt-5-mini"):
            await service.chat(asking(model, *handles))
        assert server.files.kept == []
        ollama, chat = (it.body["messages"][0] for it in server.requests)
        assert len(ollama["images"]) == 1
        assert "remember" in ollama["content"]
        assert [it["type"] for it in chat["content"]] == ["text", "image_url", "text"]


async def test_chat_completions_of_openai_itself_take_pdfs_by_id(
    server: PracticeServer, report: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The practice server is reached as a proxy, as by its vendor's own name."""
    bind({"chat": ["openai:gpt-5-mini"]}, '[providers.openai]\napi = "chat"\nbase_url = "http://api.openai.com/v1"\n')
    monkeypatch.setenv("HTTP_PROXY", server.url)
    (bare / "cat.png").write_bytes(PNG)
    async with LLMRing() as service:
        handles = [await service.files.register(it) for it in (report, "cat.png")]
        await service.chat(asking("chat", *handles))
        (kept,) = server.files.kept
        parts = server.requests[-1].body["messages"][0]["content"]
        assert parts[1] == {"type": "file", "file": {"file_id": kept.id}}
        assert parts[2]["type"] == "image_url"


async def test_a_type_that_a_vendor_does_not_keep_is_what_its_wire_says_of_it(
    server: PracticeServer, report: Path, bare: Path
) -> None:
    (bare / "hello.wav").write_bytes(WAV)
    async with LLMRing() as service:
        handle = await service.files.register("hello.wav")
        with pytest.raises(ModelCapabilityError):
            await service.chat(asking("anthropic", handle))
        await service.chat(asking("gemini", handle))
        assert [(it.vendor, it.media_type) for it in server.files.kept] == [("gemini", "audio/wav")]


async def test_a_stand_by_is_given_its_own(server: PracticeServer, report: Path) -> None:
    bind({"chatbot": [MODELS["anthropic"], MODELS["gemini"]]})
    async with LLMRing() as service:
        handle = await service.files.register(report)
        server.reply(problem="overloaded", wire="anthropic")
        response = await service.chat(asking("chatbot", handle))
        assert response.model == MODELS["gemini"]
        assert [it.vendor for it in server.files.kept] == ["anthropic", "gemini"]
        server.clear()
        # Also where it is the upload that fails.
        server.files.drop()
        replaced(report, PDF + b"!")
        server.reply(status=503, wire="files")
        response = await service.chat(asking("chatbot", handle))
        assert response.model == MODELS["gemini"]
        assert [it.vendor for it in server.files.kept] == ["gemini"]
        assert "report.pdf could not be uploaded" in str(response.attempts[0])


async def test_an_upload_is_tried_again_where_nobody_comes_after(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        server.reply(status=503, wire="files")
        response = await service.chat(asking("anthropic", handle))
        assert (response.retries, len(server.files.kept)) == (1, 1)


# What goes wrong


@VENDORS
async def test_a_wrong_key_is_one(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        server.reply(problem="bad_key", wire="files")
        with pytest.raises(ProviderAuthenticationError, match=r"report\.pdf could not be uploaded") as caught:
            await service.chat(asking(vendor, handle))
        assert "practice-key" not in f"{caught.value!r} {caught.value.original!r}"
        assert caught.value.__cause__ is None
        assert asked(server) == []


@VENDORS
async def test_a_connection_that_breaks_is_one(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing(max_retries=0) as service:
        handle = await service.files.register(report)
        server.reply(fault=Fault.hang_up(), wire="files")
        with pytest.raises(ProviderConnectionError, match=r"report\.pdf could not be uploaded"):
            await service.chat(asking(vendor, handle))


@VENDORS
async def test_a_server_that_keeps_silent_is_a_timeout(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing(timeout=0.5, max_retries=0) as service:
        handle = await service.files.register(report)
        server.reply(fault=Fault.never_answer(), wire="files")
        with pytest.raises(ProviderTimeoutError, match=r"report\.pdf could not be uploaded"):
            await service.chat(asking(vendor, handle))


@VENDORS
async def test_a_deadline_holds_for_an_upload(server: PracticeServer, report: Path, vendor: str) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        server.reply(fault=Fault.never_answer(), wire="files")
        with pytest.raises(ProviderTimeoutError, match=r"The deadline of 0\.5 s passed"):
            await service.chat(asking(vendor, handle, deadline=0.5))
        assert await server.requests[0].closed()


async def test_an_upload_takes_nothing_of_the_time_for_the_answer(server: PracticeServer, report: Path) -> None:
    """Each is within the timeout, and both together are not."""
    server.lenient = True
    made = {"id": "file_1", "type": "file", "filename": "a", "mime_type": "a/b", "size_bytes": 1, "created_at": 0}
    async with LLMRing(timeout=2.0, max_retries=0) as service:
        handle = await service.files.register(report)
        body = json.dumps(made).encode()
        server.reply(delay=1.2, body=body, content_type="application/json", wire="files")
        server.reply("Late", delay=1.2, wire="anthropic")
        assert (await service.chat(asking("anthropic", handle))).content == "Late"


@VENDORS
async def test_who_is_cancelled_ends_an_upload_that_nobody_else_waits_for(
    server: PracticeServer, report: Path, vendor: str
) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        server.reply(fault=Fault.never_answer(), wire="files")
        task = asyncio.create_task(service.chat(asking(vendor, handle)))
        request = await server.received()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await request.closed()
        assert (await service.chat(asking(vendor, handle))).content == "You said: Hello"


async def test_who_is_cancelled_ends_no_upload_that_others_wait_for(server: PracticeServer, report: Path) -> None:
    server.files.looks = 2  # the upload is under way for as long as Gemini reads
    async with LLMRing() as service:
        handle = await service.files.register(report)
        tasks = [asyncio.create_task(service.chat(asking("gemini", handle))) for _ in range(3)]
        await server.received()
        (flight,) = service.files.placing()._uploads._flights.values()
        while flight._waiting < 3 and not flight._task.done():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.001)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        answers = await asyncio.gather(*tasks[1:])
        assert {it.content for it in answers} == {"You said: Hello"}
        assert len(given(server)) == 1


async def test_who_asks_while_an_upload_is_being_ended_has_another_one(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        uploads = service.files.placing()._uploads
        provider = service.get_provider("anthropic")
        endpoint = uploads.endpoint(provider)
        assert endpoint is not None
        found = sending._found(uploads.stores, handle["file"], provider, endpoint)
        call = Call(asking("anthropic", handle), MODELS["anthropic"].partition(":")[2], stream=False, timeout=30)
        server.reply(fault=Fault.never_answer(), wire="files")
        first = asyncio.create_task(uploads.copy(found, provider, endpoint, call))
        await server.received()
        first.cancel()
        (second,) = await asyncio.gather(uploads.copy(found, provider, endpoint, call))
        assert first.cancelled()
        assert [it.id for it in server.files.kept] == [second.id]


async def test_a_service_that_closes_ends_an_upload(server: PracticeServer, report: Path) -> None:
    service = LLMRing()
    handle = await service.files.register(report)
    server.reply(fault=Fault.never_answer(), wire="files")
    task = asyncio.create_task(service.chat(asking("anthropic", handle)))
    request = await server.received()
    await service.close()
    with pytest.raises(Exception, match="closed"):
        await task
    assert await request.closed()


@VENDORS
async def test_a_big_file_is_sent_as_it_is_read(server: PracticeServer, report: Path, vendor: str) -> None:
    size = 64 * 1024 * 1024
    with report.open("wb") as file:
        file.write(b"%PDF-1.7")
        file.truncate(size)
    async with LLMRing() as service:
        handle = await service.files.register(report)
        warm = await service.files.register(b"%PDF-1.7 small", name="small.pdf")
        await service.chat(asking(vendor, warm))
        seen: list[int] = []
        # The server is in this process, and has it in memory: what it takes is not looked at.
        tracemalloc.start()
        tracemalloc.clear_traces()
        try:
            await service.chat(asking(vendor, handle))
            snapshot = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
        seen += [it.size for it in snapshot.statistics("filename") if "testing" not in it.traceback[0].filename]
        assert len(server.files.kept[-1].data) == size
        assert sum(seen) < 16 * 1024 * 1024


async def test_a_file_that_is_gone_is_named_where_it_is_known(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking("anthropic", handle))
        os.unlink(report)
        await service.chat(asking("anthropic", handle))
        with pytest.raises(InvalidRequestError, match=r"report\.pdf cannot be read: No such file"):
            await service.chat(asking("gemini", handle))


async def test_one_that_nobody_knows_is_an_error(server: PracticeServer, report: Path) -> None:
    made = {"handle": "0" * 32, "sha256": "0" * 64, "filename": "/etc/passwd", "media_type": "text/plain", "size": 1}
    async with LLMRing() as service:
        with pytest.raises(InvalidRequestError, match=r"/etc/passwd, which this service does not know"):
            await service.chat(asking("anthropic", {"type": "file", "file": made}))
        assert server.requests == []
        provider = service.get_provider("anthropic")
        handle = await service.files.register(report)
        with pytest.raises(ModelCapabilityError, match="ask through it"):
            await provider.chat(asking("anthropic", handle))


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
async def test_no_file_goes_where_a_redirect_leads(
    server: PracticeServer, report: Path, vendor: str, status: int
) -> None:
    with PracticeServer() as other:
        async with LLMRing(max_retries=0) as service:
            handle = await service.files.register(report)
            server.reply(status=status, headers={"location": f"{other.url}/v1/files"}, wire="files")
            with pytest.raises(ProviderConnectionError, match="files go to no other server"):
                await service.chat(asking(vendor, handle))
            assert other.requests == []
            # To the same server it is as good as asked there.
            server.reply(status=307, headers={"location": "/moved/v1/files"}, wire="files")
            await service.chat(asking(vendor, handle))
            assert [it.data for it in server.files.kept] == [PDF]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401, error=f"Bad key: {SECRET}"),
        Reply(status=500, error=f"Oh: {SECRET}"),
        Reply(fault=Fault.hang_up()),
        Reply(body=f"nonsense {SECRET}".encode()),
        Reply(body=b'{"file": {"name": 5}, "id": 5}', content_type="application/json"),
        Reply(body=b"[]", content_type="application/json"),
        Reply(status=400, body=SECRET.encode()),
    ],
    ids=range(7),
)
@VENDORS
async def test_no_key_is_seen_of_an_upload_that_failed(
    server: PracticeServer, report: Path, vendor: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in words, logs and pickles, nor in the variables of frames that are not the caller's own."""
    async with LLMRing(max_retries=0, api_keys=dict.fromkeys(("anthropic", "openai", "google"), SECRET)) as service:
        handle = await service.files.register(report)
        server.reply(reply, wire="files")
        with pytest.raises(ProviderError, match=r"report\.pdf") as caught:
            await service.chat(asking(vendor, handle))
    error = caught.value
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack[1:]
    shown = [str(it.locals) for it in frames]
    for said in (*shown, str(error), repr(error.original), str(pickle.dumps(error)), caplog.text):
        assert SECRET not in said
    assert error.__cause__ is None
    assert error.__context__ is None


# Registering, listing, forgetting


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("wrongly.txt", PDF, "application/pdf"),
        ("a.png", PNG, "image/png"),
        ("a.md", b"# Hi", "text/markdown"),
        ("noname", "Grüße".encode(), "text/plain"),
        ("a.csv", b"a,b\n", "text/csv"),
        ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(20), "video/mp4"),
        ("a.txt", "Grüße".encode("utf-16"), "text/plain"),
    ],
)
async def test_the_type_is_found(bare: Path, name: str, content: bytes, media_type: str) -> None:
    (bare / name).write_bytes(content)
    service = LLMRing()
    for handle in (await service.files.register(name), await service.files.register(content, name=name)):
        assert (handle.media_type, handle.name, handle.size) == (media_type, name, len(content))
    assert json.loads(json.dumps(handle)) == handle
    assert isinstance(handle, FileHandle)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda files: files.register("none.pdf"), r"none\.pdf cannot be read: No such file"),
        (lambda files: files.register("."), r"cannot be read: it is no regular file\.$"),
        (lambda files: files.register("a\0b"), "cannot be read: "),
        (lambda files: files.register(PDF, name="a", media_type="pdf"), "'pdf' is no media type"),
        (lambda files: files.register(""), "give a path"),
        (lambda files: files.register(None), "NoneType is no file"),
        (lambda files: files.register(PDF), "Bytes have no name"),
        (lambda files: files.register(b"", name="a.pdf"), r"a\.pdf is empty"),
        (lambda files: files.register(b"\xff\xfe\xfd", name="what"), "What type of file what is cannot be told"),
        (lambda files: files.register(b"\xff\0\xfd", name="a.txt"), r"a\.txt is no UTF-8 text"),
        (lambda files: files.forget("nothing"), "No file of the handle nothing is registered"),
        (lambda files: files.forget(7), "int is no handle"),
    ],
)
async def test_what_cannot_be_is_said(bare: Path, make: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        await make(LLMRing().files)


async def test_text_of_another_kind_is_sent_as_utf_8(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register("Grüße".encode("utf-16"), name="hello.txt")
        await service.chat(asking("anthropic", handle))
        await service.chat(asking("ollama:llama3.2", handle))
        assert server.files.kept[0].data.decode() == "Grüße"
        assert "Grüße" in server.requests[-1].body["messages"][0]["content"]


async def test_forgetting_deletes_it_everywhere(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        for vendor in MODELS:
            await service.chat(asking(vendor, handle))
        forgotten = await service.files.forget(dict(handle))
        assert [it.provider for it in forgotten.deleted] == ["anthropic", "openai", "google"]
        assert (forgotten.failed, server.files.kept, await service.files.list()) == ((), [], [])
        with pytest.raises(InvalidRequestError, match="does not know"):
            await service.chat(asking("anthropic", handle))


async def test_one_that_is_forgotten_while_it_is_uploaded_stays_nowhere(server: PracticeServer, report: Path) -> None:
    server.files.looks = 2
    async with LLMRing() as service:
        handle = await service.files.register(report)
        task = asyncio.create_task(service.chat(asking("gemini", handle)))
        await server.received()
        await service.files.forget(handle)
        with pytest.raises(InvalidRequestError, match="forgotten while it was being sent"):
            await task
        assert (server.files.kept, await service.files.list()) == ([], [])


async def test_what_could_not_be_deleted_is_told_and_stays_listed(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        for vendor in MODELS:
            await service.chat(asking(vendor, handle))
        server.reply(status=500, wire="files")
        forgotten = await service.files.forget(handle)
        ((upload, error),) = forgotten.failed
        assert (upload.provider, [it.provider for it in forgotten.deleted]) == ("anthropic", ["openai", "google"])
        assert "did not delete the file" in str(error)
        (listed,) = await service.files.list()
        assert listed.uploads == (upload,)
        server.files.drop()  # gone already is as good as deleted
        assert (await service.files.forget(handle)).deleted == (upload,)
        assert await service.files.list() == []


async def test_a_copy_of_another_key_is_not_deleted_with_this_one(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking("anthropic", handle))
    async with LLMRing(api_keys={"anthropic": "another-practice-key"}) as service:
        ((_, error),) = (await service.files.forget(handle)).failed
        assert "with another key or address" in str(error)
        assert len(server.files.kept) == 1


async def test_what_was_forgotten_can_be_registered_again(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.files.forget(handle)
        again = await service.files.register(report)
        assert again.id != handle.id
        # The content is the same, so what was said before can be said again.
        await service.chat(asking("anthropic", handle))


async def test_tokens_are_counted_with_the_file_in_it(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        for vendor in MODELS:
            count = await service.count_tokens(asking(vendor, handle))
            assert count.exact
        assert server.files.kept == []
        assert all("JVBERi" in json.dumps(it.body) for it in server.requests)


async def test_a_model_that_takes_none_is_passed_over(server: PracticeServer, bare: Path, report: Path) -> None:
    bind(
        {"chatbot": ["anthropic:small", "google:gemini-2.5-flash"]},
        '[models."anthropic:small"]\ndocuments = false\n',
    )
    async with LLMRing() as service:
        response = await service.chat(asking("chatbot", await service.files.register(report)))
        assert response.model == "google:gemini-2.5-flash"
        assert [it.vendor for it in server.files.kept] == ["gemini"]


async def test_what_stands_beside_a_handle_stays(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        await service.chat(asking("anthropic", {**handle, "cache_control": {"type": "ephemeral"}}))
        assert server.requests[-1].body["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}


async def test_a_tool_may_return_one(server: PracticeServer, report: Path) -> None:
    async with LLMRing() as service:
        handle = await service.files.register(report)
        call: Any = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
        messages = [
            Message(role="user", content="Find it"),
            Message(role="assistant", tool_calls=[call]),
            Message(role="tool", tool_call_id="call_1", content=[handle]),
        ]
        await service.chat(LLMRequest(model="anthropic", messages=messages))
        (block,) = server.requests[-1].body["messages"][2]["content"]
        assert block["content"][0]["source"]["file_id"] == server.files.kept[0].id


def test_the_synchronous_face_has_them(server: PracticeServer, report: Path) -> None:
    from llmring import sync

    with sync.LLMRing() as service:
        handle = service.files.register(report)
        assert service.chat(asking("anthropic", handle)).content == "You said: Hello"
        assert [it.handle for it in service.files.list()] == [handle]
        assert len(service.files.forget(handle).deleted) == 1
        with pytest.raises(AttributeError, match=r"service\.files\.register"):
            service.register_file  # type: ignore[attr-defined]  # noqa: B018


async def test_methods_of_llmring_1_say_what_serves_instead(bare: Path) -> None:
    for name in ("register_file", "list_registered_files", "deregister_file", "upload_file", "delete_file"):
        with pytest.raises(AttributeError, match=r"service\.files\."):
            getattr(LLMRing(), name)
    with pytest.raises(AttributeError, match=r"'LLMRing' object has no attribute 'nothing'$"):
        LLMRing().nothing  # type: ignore[attr-defined]  # noqa: B018
