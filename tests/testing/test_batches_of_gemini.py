"""The practice server runs Gemini's batches, as the vendor's own SDK sees them."""

from __future__ import annotations

import inspect
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from llmring.testing import BatchLimits, BatchProblem, Fault, PracticeServer, Reply, Tokens

MODEL = "gemini-2.5-flash"
RUNNING = (types.JobState.JOB_STATE_PENDING, types.JobState.JOB_STATE_RUNNING)


Test = Callable[..., Awaitable[None]]


def asking(test: Test) -> Test:
    """Give a test a client of the loop that it runs in."""

    async def run(**given: Any) -> None:
        with of(given["server"]) as client:
            async with client.aio as face:
                await test(client=face, **given)

    parameters = [it for it in inspect.signature(test).parameters.values() if it.name != "client"]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def of(server: PracticeServer, key: str = "one") -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=server.url))


def inlined(*questions: str, **config: Any) -> list[types.InlinedRequest]:
    return [
        types.InlinedRequest(
            contents=question, metadata={"key": question}, config=types.GenerateContentConfig(**config)
        )
        for question in questions
    ]


def questions(count: int) -> list[types.InlinedRequest]:
    return inlined(*(f"Question {at}" for at in range(count)))


def line(key: str, question: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "request": {"contents": [{"role": "user", "parts": [{"text": question}]}], **more}}


async def upload(client: genai.client.AsyncClient, rows: list[Any], name: str = "rows") -> types.File:
    data = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    config = types.UploadFileConfig(mime_type="jsonl", display_name=name)
    return await client.files.upload(file=io.BytesIO(data.encode()), config=config)


async def create(client: genai.client.AsyncClient, rows: list[Any], name: str = "mine") -> types.BatchJob:
    """A batch of inlined requests, or of lines of a file."""
    src: Any = rows
    if not rows or not isinstance(rows[0], types.InlinedRequest):
        src = (await upload(client, rows)).name
    return await client.batches.create(model=MODEL, src=src, config={"display_name": name})


async def look(client: genai.client.AsyncClient, job: types.BatchJob) -> types.BatchJob:
    return await client.batches.get(name=str(job.name))


async def end(client: genai.client.AsyncClient, job: types.BatchJob) -> types.BatchJob:
    while job.state in RUNNING:
        job = await look(client, job)
    return job


def responses(job: types.BatchJob) -> list[types.InlinedResponse]:
    assert job.dest is not None
    return job.dest.inlined_responses or []


async def lines(client: genai.client.AsyncClient, job: types.BatchJob) -> list[dict[str, Any]]:
    assert job.dest is not None
    data = await client.files.download(file=str(job.dest.file_name))
    assert data is not None
    return [json.loads(it) for it in data.splitlines()]


def operation(server: PracticeServer, job: types.BatchJob) -> Any:
    """What the server says: the SDK leaves some of it out."""
    return httpx2.get(f"{server.url}/v1beta/{job.name}", headers={"x-goog-api-key": "one"}).json()


@asking
async def test_inlined_requests(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    server.script(lambda request: Reply("Four.", usage=Tokens(12, 2)) if "2" in request.question else None)
    job = await create(client, inlined("2 + 2?", "Hello", system_instruction="Be short"))
    assert (job.state, job.display_name, job.model) == (types.JobState.JOB_STATE_PENDING, "mine", f"models/{MODEL}")
    seen = [(await look(client, job)).state for _ in range(3)]
    assert seen == ["JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    done = await look(client, job)
    assert done.end_time is not None
    assert [it.metadata for it in responses(done)] == [{"key": "2 + 2?"}, {"key": "Hello"}]
    answers = [it.response for it in responses(done)]
    assert [it and it.text for it in answers] == ["Four.", "You said: Hello"]
    single = await client.models.generate_content(
        model=MODEL, contents="2 + 2?", config=types.GenerateContentConfig(system_instruction="Be short")
    )
    assert answers[0] is not None
    assert answers[0].usage_metadata == single.usage_metadata
    said = operation(server, job)
    assert said["done"] is True
    assert said["response"]["inlinedResponses"] == said["metadata"]["output"]["inlinedResponses"]
    assert said["metadata"]["batchStats"] == {"requestCount": "2", "successfulRequestCount": "2"}
    assert said["metadata"]["state"] == "BATCH_STATE_SUCCEEDED"
    (one, _) = server.batches.made[0].rows
    assert one.request is not None
    assert one.request.body == server.requests[-2].body
    assert (one.request.model, one.request.wire) == (MODEL, "gemini")


@asking
async def test_a_file_of_requests(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    rows = [line("a", "Hello", generation_config={"max_output_tokens": 9}), line("b", "What?")]
    done = await end(client, await create(client, rows))
    assert done.dest is not None
    assert done.dest.file_name == f"files/batch-{server.batches.made[0].id}"
    results = await lines(client, done)
    assert [it["key"] for it in results] == ["a", "b"]
    answers = [types.GenerateContentResponse.model_validate(it["response"]) for it in results]
    assert [it.text for it in answers] == ["You said: Hello", "You said: What?"]
    assert [it.action for it in server.requests[:3]] == ["begin", "create", "create"]
    assert [it.wire for it in server.requests[:3]] == ["files", "files", "batches"]
    with pytest.raises(errors.ClientError, match="not downloadable"):
        await client.files.download(file=str(server.batches.made[0].input_file))


@asking
async def test_rows_are_told_apart_from_requests(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    await end(client, await create(client, questions(3)))
    await end(client, await create(client, [line("a", "Question 0")]))
    paid = Counter(row.request.question for row in server.batches.billed if row.request)
    assert paid == {"Question 0": 2, "Question 1": 1, "Question 2": 1}
    assert {it.wire for it in server.requests} == {"files", "batches"}


@pytest.mark.parametrize("in_file", [True, False])
@asking
async def test_rows_that_err(server: PracticeServer, client: genai.client.AsyncClient, in_file: bool) -> None:
    replies = {
        "limit": Reply(status=429, retry_after=3),
        "busy": Reply(problem="overloaded"),
        "lost": Reply(fault=Fault.hang_up()),
    }
    server.script(lambda request: replies.get(request.question))
    asked = ["limit", "fine", "busy", "lost"]
    rows: list[Any] = [*inlined(*asked)]
    if in_file:
        rows = [*(line(it, it) for it in asked), line("field", "a", nonsense=1)]
    done = await end(client, await create(client, rows))
    assert done.state == types.JobState.JOB_STATE_SUCCEEDED
    codes = {"limit": 8, "fine": None, "busy": 14, "lost": 13}
    if in_file:
        read = {it["key"]: it.get("error", {}).get("code") for it in await lines(client, done)}
        assert read == {**codes, "field": 3}
    else:
        assert {str(it.metadata and it.metadata["key"]): it.error and it.error.code for it in responses(done)} == codes
        assert operation(server, done)["metadata"]["batchStats"]["failedRequestCount"] == "3"
    assert [row.request and row.request.question for row in server.batches.billed] == ["fine"]


@asking
async def test_a_batch_that_fails(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    job = await create(client, [line("a", "Hello"), "{\n"])
    assert (await end(client, job)).state == types.JobState.JOB_STATE_FAILED
    assert operation(server, job)["error"]["code"] == 3
    server.batches.script(ends="failed", problem=BatchProblem("RESOURCE_EXHAUSTED", "Not today"))
    job = await create(client, questions(1))
    assert (await end(client, job)).state == types.JobState.JOB_STATE_FAILED
    said = operation(server, job)
    assert (said["error"], said["done"]) == ({"code": 8, "message": "Not today"}, True)
    assert "output" not in said["metadata"]
    assert server.batches.billed == []


@asking
async def test_one_that_is_not_completed_has_no_results(
    server: PracticeServer, client: genai.client.AsyncClient
) -> None:
    server.batches.script(ends="expired")
    expired = await end(client, await create(client, questions(4)))
    assert (expired.state, expired.dest) == (types.JobState.JOB_STATE_EXPIRED, None)
    job = await create(client, questions(6))
    await look(client, job)
    await client.batches.cancel(name=str(job.name))
    await client.batches.cancel(name=str(job.name))
    cancelled = await look(client, job)
    assert (cancelled.state, cancelled.dest) == (types.JobState.JOB_STATE_CANCELLED, None)
    assert operation(server, job)["error"]["code"] == 1
    with pytest.raises(errors.ClientError, match="FAILED_PRECONDITION"):
        await client.batches.cancel(name=str(job.name))
    assert server.batches.billed == []


@asking
async def test_what_is_refused_at_once(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    server.batches.limits["gemini"] = BatchLimits(requests=5, bytes=1000, inlined=1000, enqueued=12, batches=2)
    wrong: list[tuple[Any, str]] = [
        ([], "no requests"),
        ("files/none", "403"),
        (inlined("long " * 1000), "payload size exceeds the limit: 1000 bytes"),
        (questions(6), "6 requests"),
    ]
    for src, said in wrong:
        with pytest.raises(errors.ClientError, match=said):
            await client.batches.create(model=MODEL, src=src)
    with pytest.raises(errors.ClientError, match="larger than 1000 bytes"):
        await create(client, [line("a", "long " * 1000)])
    first = await create(client, questions(5))
    with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED"):
        await create(client, questions(2))
    await create(client, questions(1))
    with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED"):
        await client.batches.create(model="gemini-2.5-pro", src=questions(1))
    await end(client, first)
    await client.batches.create(model="gemini-2.5-pro", src=questions(1))
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        await client.batches.get(name="batches/none")
    empty = httpx2.post(f"{server.url}/v1beta/models/{MODEL}:batchGenerateContent", json={"batch": {}})
    assert empty.status_code == 400
    assert len(server.batches.made) == 3


@asking
async def test_results_that_are_out_of_order_broken_off_or_gone(
    server: PracticeServer, client: genai.client.AsyncClient
) -> None:
    rows = [line(str(at), "Hello") for at in range(3)]
    server.batches.script(order="reversed", times=2)
    assert [it["key"] for it in await lines(client, await end(client, await create(client, rows)))] == ["2", "1", "0"]
    inline = await end(client, await create(client, questions(2)))
    assert [it.metadata for it in responses(inline)] == [{"key": "Question 0"}, {"key": "Question 1"}]
    server.batches.script(results="cut")
    done = await end(client, await create(client, rows))
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|value"):
        await lines(client, done)
    server.batches.script(results="missing", times=2)
    done = await end(client, await create(client, rows))
    with pytest.raises(errors.ClientError, match="403"):
        await lines(client, done)
    assert responses(await end(client, await create(client, questions(2)))) == []
    done = await end(client, await create(client, rows))
    server.reply(done=True, fault=Fault.cut_after(1), wire="files", action="download")
    with pytest.raises(httpx2.RemoteProtocolError):
        await lines(client, done)
    assert len(await lines(client, done)) == 3


@asking
async def test_what_was_done_and_nobody_heard_of(server: PracticeServer, client: genai.client.AsyncClient) -> None:
    server.reply(done=True, fault=Fault.hang_up(), wire="files", action="create")
    with pytest.raises(Exception, match="disconnected"):
        await upload(client, [line("a", "Hello")], "one of mine")
    found = [it async for it in await client.files.list()]
    assert [it.display_name for it in found] == ["one of mine"]
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(Exception, match="disconnected"):
        await client.batches.create(model=MODEL, src=str(found[0].name), config={"display_name": "mine 7"})
    (made,) = [it async for it in await client.batches.list()]
    assert made.display_name == "mine 7"
    assert len(await lines(client, await end(client, made))) == 1
    server.reply(fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(Exception, match="disconnected"):
        await create(client, questions(1))
    assert len(server.batches.made) == 1


@pytest.mark.parametrize("status", [429, 500])
@asking
async def test_each_endpoint_can_refuse(server: PracticeServer, client: genai.client.AsyncClient, status: int) -> None:
    rows = [line("a", "Hello")]
    job = await end(client, await create(client, rows))
    name = str(job.name)
    steps: dict[tuple[str, str], Callable[[], Awaitable[Any]]] = {
        ("files", "begin"): lambda: upload(client, rows),
        ("files", "download"): lambda: lines(client, job),
        ("batches", "create"): lambda: create(client, questions(1)),
        ("batches", "retrieve"): lambda: client.batches.get(name=name),
        ("batches", "list"): lambda: client.batches.list(),
        ("batches", "cancel"): lambda: client.batches.cancel(name=name),
        ("batches", "delete"): lambda: client.batches.delete(name=name),
    }
    for (wire, action), step in steps.items():
        server.reply(status=status, wire=wire, action=action)
        with pytest.raises(errors.APIError) as caught:
            await step()
        assert caught.value.code == status, (wire, action)
    assert server.pending == []


@asking
async def test_lists_have_pages_and_each_account_its_own(
    server: PracticeServer, client: genai.client.AsyncClient
) -> None:
    made = [(await create(client, questions(1), f"job {at}")).name for at in range(5)]
    pages = await client.batches.list(config={"page_size": 2})
    assert [it.name async for it in pages] == made[::-1]
    assert len([it for it in server.requests if it.action == "list"]) == 3
    await client.batches.delete(name=str(made[0]))
    assert [it.display_name async for it in await client.batches.list()] == ["job 4", "job 3", "job 2", "job 1"]
    with of(server, "another") as other:
        assert [*other.batches.list()] == []
        with pytest.raises(errors.ClientError, match="404"):
            other.batches.get(name=str(made[1]))
