"""The practice server runs OpenAI's batches, as the vendor's own SDK sees them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from llmring.testing import BatchLimits, BatchProblem, BatchScript, Fault, PracticeServer, RecordedRequest, Reply

CHAT: Any = "/v1/chat/completions"
RESPONSES: Any = "/v1/responses"


@pytest.fixture
def client(server: PracticeServer) -> Iterator[openai.OpenAI]:
    with of(server) as client:
        yield client


def of(server: PracticeServer, key: str = "one") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key=key, max_retries=0)


def asked(question: str, endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}]
    return {"model": "gpt-5-mini", "messages" if endpoint == CHAT else "input": turns, **more}


def line(key: str, question: str, endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
    return {"custom_id": key, "method": "POST", "url": endpoint, "body": asked(question, endpoint, **more)}


def upload(client: openai.OpenAI, rows: list[Any]) -> openai.types.FileObject:
    data = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    return client.files.create(file=("rows.jsonl", data.encode()), purpose="batch")


def create(client: openai.OpenAI, rows: list[Any], endpoint: Any = CHAT, **more: Any) -> openai.types.Batch:
    file = upload(client, rows)
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


def questions(count: int) -> list[dict[str, Any]]:
    return [line(f"row-{at}", f"Question {at}") for at in range(count)]


def end(client: openai.OpenAI, batch: openai.types.Batch) -> openai.types.Batch:
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
        batch = client.batches.retrieve(batch.id)
    return batch


def read(client: openai.OpenAI, id: str | None) -> list[dict[str, Any]]:
    assert id is not None
    return [json.loads(it) for it in client.files.content(id).text.splitlines()]


def states(client: openai.OpenAI, batch: openai.types.Batch) -> list[str]:
    seen: list[str] = [batch.status]
    while seen[-1] in ("validating", "in_progress", "finalizing", "cancelling"):
        seen.append(client.batches.retrieve(batch.id).status)
    return seen


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
def test_a_batch_says_what_single_requests_are_told(server: PracticeServer, client: Any, endpoint: str) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    form: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    shaped = {"response_format": form} if endpoint == CHAT else {}
    server.script(lambda request: Reply("{}") if "shape" in request.question else None)
    batch = create(client, [line("a", "Hello", endpoint), line("b", "In shape", endpoint, **shaped)], endpoint)
    assert (batch.status, batch.endpoint, batch.completion_window) == ("validating", endpoint, "24h")
    assert batch.request_counts == openai.types.BatchRequestCounts(total=0, completed=0, failed=0)
    assert states(client, batch) == ["validating", "in_progress", "finalizing", "completed"]
    done = client.batches.retrieve(batch.id)
    assert done.request_counts == openai.types.BatchRequestCounts(total=2, completed=2, failed=0)
    assert (done.model, done.error_file_id, done.errors) == ("gpt-5-mini", None, None)
    assert None not in (done.in_progress_at, done.finalizing_at, done.completed_at, done.expires_at)
    rows = read(client, done.output_file_id)
    assert [row["custom_id"] for row in rows] == ["a", "b"]
    assert len({row["id"] for row in rows} | {row["response"]["request_id"] for row in rows}) == 4
    assert all(row["error"] is None and row["response"]["status_code"] == 200 for row in rows)
    bodies = [row["response"]["body"] for row in rows]
    if endpoint == CHAT:
        single = client.chat.completions.create(**asked("Hello"))
        said = [openai.types.chat.ChatCompletion.model_validate(it) for it in bodies]
        assert [it.choices[0].message.content for it in said] == ["You said: Hello", "{}"]
        assert said[0].choices == single.choices
        assert said[0].usage == single.usage
    else:
        answers = [openai.types.responses.Response.model_validate(it) for it in bodies]
        assert [it.output_text for it in answers] == ["You said: Hello", "{}"]
        assert answers[0].usage == client.responses.create(**asked("Hello", RESPONSES)).usage
    assert done.usage is not None
    assert done.usage.total_tokens == sum(it["usage"]["total_tokens"] for it in bodies)


def test_rows_are_told_apart_from_requests(server: PracticeServer, client: openai.OpenAI) -> None:
    batch = create(client, questions(3), metadata={"run": "7"}, extra_headers={"Idempotency-Key": "k"})
    assert [(it.wire, it.action) for it in server.requests] == [("files", "create"), ("batches", "create")]
    (made,) = server.batches.made
    assert (made.id, made.metadata, made.idempotency_key, made.billed) == (batch.id, {"run": "7"}, "k", [])
    assert batch.metadata == {"run": "7"}
    end(client, batch)
    end(client, create(client, questions(1), extra_headers={"Idempotency-Key": "k"}))
    paid = Counter(row.request.question for row in server.batches.billed if row.request)
    assert paid == {"Question 0": 2, "Question 1": 1, "Question 2": 1}
    assert {it.wire for it in server.requests} == {"files", "batches"}
    numbers = {row.request.number for row in server.batches.rows if row.request}
    assert len(numbers) == 4
    assert numbers.isdisjoint(it.number for it in server.requests)


def test_a_batch_goes_on_by_looks(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.script(polls=3)
    batch = create(client, questions(8))
    seen = []
    for _ in range(4):
        client.batches.list()
        seen.append(client.batches.retrieve(batch.id))
    assert [it.request_counts.completed for it in seen if it.request_counts] == [2, 4, 6, 8]
    assert [it.status for it in seen] == ["in_progress", "in_progress", "finalizing", "completed"]
    server.batches.script(polls=0)
    assert client.batches.retrieve(create(client, questions(1)).id).status == "completed"


def test_a_batch_waits_for_an_event(server: PracticeServer, client: openai.OpenAI) -> None:
    over = threading.Event()
    server.batches.script(polls=0, until=over)
    server.batches.script(polls=10**6, times=2)
    first, second, third = (create(client, questions(1)) for _ in range(3))
    assert [client.batches.retrieve(first.id).status for _ in range(3)] == ["in_progress"] * 3
    over.set()
    assert client.batches.retrieve(first.id).status == "completed"
    server.batches.made[1].finish()
    assert client.batches.retrieve(second.id).status == "completed"
    assert client.batches.retrieve(third.id).status == "in_progress"
    server.batches.finish()
    assert [it.status for it in client.batches.list()] == ["completed"] * 3


def test_rows_that_err(server: PracticeServer, client: openai.OpenAI) -> None:
    def decide(request: RecordedRequest) -> Reply | None:
        replies = {
            "limit": Reply(status=429),
            "model": Reply(problem="unknown_model"),
            "lost": Reply(fault=Fault.hang_up()),
        }
        return replies.get(request.question)

    server.script(decide)
    rows = [line(it, it) for it in ("limit", "fine", "model", "lost")]
    rows += [line("field", "a", nonsense=1), line("stream", "a", stream=True)]
    done = end(client, create(client, rows))
    assert done.status == "completed"
    assert done.request_counts == openai.types.BatchRequestCounts(total=6, completed=1, failed=5)
    assert [it["custom_id"] for it in read(client, done.output_file_id)] == ["fine"]
    errors = {it["custom_id"]: it for it in read(client, done.error_file_id)}
    codes = {key: it["response"] and it["response"]["status_code"] for key, it in errors.items()}
    assert codes == {"limit": 429, "model": 404, "lost": None, "field": 400, "stream": 400}
    assert errors["field"]["response"]["body"]["error"]["message"] == "Unknown parameter: 'nonsense'."
    assert errors["lost"]["error"]["code"] == "request_timeout"
    assert [it.key for it in server.batches.billed] == ["fine"]
    server.default = Reply(status=500)
    done = end(client, create(client, questions(2)))
    assert (done.status, done.output_file_id) == ("completed", None)
    assert len(read(client, done.error_file_id)) == 2


BAD: dict[str, tuple[list[Any], int | None]] = {
    "invalid_json_line": (["{\n", *questions(1)], 1),
    "duplicate_custom_id": ([*questions(1), *questions(1)], 2),
    "url_mismatch": ([line("a", "a", RESPONSES)], 1),
    "model_mismatch": ([*questions(1), line("b", "b") | {"body": asked("b", model="gpt-5-nano")}], None),
    "invalid_request": ([{"custom_id": "a", "url": CHAT, "body": asked("a")}], 1),
    "empty_file": (["\n"], None),
    "too_many_tasks": (questions(3), None),
    "file_too_large": ([line("a", "long " * 3000)], None),
}


@pytest.mark.parametrize("code", BAD)
def test_a_file_that_no_batch_can_be_made_of(server: PracticeServer, client: openai.OpenAI, code: str) -> None:
    server.batches.limits["openai"] = BatchLimits(requests=2, bytes=10_000)
    rows, number = BAD[code]
    batch = end(client, create(client, rows))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert (batch.errors.data[0].code, batch.errors.data[0].line) == (code, number)
    assert batch.failed_at is not None
    assert server.batches.billed == []


def test_a_batch_that_fails_as_scripted(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.script(ends="failed", problem=BatchProblem("model_not_found", "No such model", 1, "body.model"))
    batch = create(client, questions(2))
    assert states(client, batch) == ["validating", "validating", "validating", "failed"]
    errors = client.batches.retrieve(batch.id).errors
    assert errors is not None
    assert errors.data == [
        openai.types.BatchError(code="model_not_found", message="No such model", line=1, param="body.model")
    ]


def test_too_many_tokens_wait(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.limits["openai"] = BatchLimits(requests=100, bytes=10_000, enqueued=8)
    first, second = create(client, questions(3)), create(client, questions(3))
    assert end(client, first).status == "completed"
    failed = end(client, second)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert failed.errors.data[0].code == "token_limit_exceeded"
    assert "Enqueued token limit reached for gpt-5-mini" in str(failed.errors.data[0].message)
    assert end(client, create(client, questions(3))).status == "completed"


def test_a_batch_that_expires(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.script(ends="expired")
    server.batches.script(ends="expired", done=1)
    done = end(client, create(client, questions(4)))
    assert done.status == "expired"
    assert done.expired_at is not None
    assert done.request_counts == openai.types.BatchRequestCounts(total=4, completed=2, failed=0)
    assert [it["custom_id"] for it in read(client, done.output_file_id)] == ["row-0", "row-1"]
    errors = read(client, done.error_file_id)
    assert [(it["custom_id"], it["response"], it["error"]["code"]) for it in errors] == [
        ("row-2", None, "batch_expired"),
        ("row-3", None, "batch_expired"),
    ]
    assert len(server.batches.billed) == 2
    assert len(read(client, end(client, create(client, questions(4))).output_file_id)) == 1


def test_cancelling_keeps_what_is_done(server: PracticeServer, client: openai.OpenAI) -> None:
    batch = create(client, questions(6))
    client.batches.retrieve(batch.id)
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status == "cancelling"
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = client.batches.retrieve(batch.id)
    assert done.status == "cancelled"
    assert None not in (done.cancelling_at, done.cancelled_at)
    assert [it["custom_id"] for it in read(client, done.output_file_id)] == ["row-0", "row-1"]
    assert {it["error"]["code"] for it in read(client, done.error_file_id)} == {"batch_cancelled"}
    with pytest.raises(openai.ConflictError, match="cancelled"):
        client.batches.cancel(batch.id)
    assert len(server.batches.billed) == 2


def test_one_that_is_cancelled_does_what_it_must(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.script(done=4)
    batch = create(client, questions(6))
    client.batches.cancel(batch.id)
    done = client.batches.retrieve(batch.id)
    assert (done.status, len(read(client, done.output_file_id))) == ("cancelled", 4)


def test_results_that_are_out_of_order_broken_off_or_gone(server: PracticeServer, client: openai.OpenAI) -> None:
    server.batches.script(order="reversed")
    rows = read(client, end(client, create(client, questions(3))).output_file_id)
    assert [it["custom_id"] for it in rows] == ["row-2", "row-1", "row-0"]
    server.batches.script(results="cut")
    whole, broken = client.files.content(
        str(end(client, create(client, questions(2))).output_file_id)
    ).text.splitlines()
    assert json.loads(whole)["custom_id"] == "row-0"
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|value"):
        json.loads(broken)
    server.batches.script(results="missing")
    done = end(client, create(client, questions(1)))
    with pytest.raises(openai.NotFoundError):
        client.files.content(str(done.output_file_id))
    done = end(client, create(client, questions(1)))
    server.reply(done=True, fault=Fault.cut_after(1), wire="files", action="download")
    with pytest.raises(openai.APIConnectionError):
        client.files.content(str(done.output_file_id))
    assert len(read(client, done.output_file_id)) == 1


def test_what_was_done_and_nobody_heard_of(server: PracticeServer, client: openai.OpenAI) -> None:
    server.reply(done=True, fault=Fault.hang_up(), wire="files", action="create")
    with pytest.raises(openai.APIConnectionError):
        upload(client, questions(1))
    (kept,) = client.files.list(purpose="batch")
    assert kept.filename == "rows.jsonl"
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(input_file_id=kept.id, endpoint=CHAT, completion_window="24h", metadata={"mine": "1"})
    (made,) = client.batches.list()
    assert (made.metadata, made.input_file_id) == ({"mine": "1"}, kept.id)
    server.reply(fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(input_file_id=kept.id, endpoint=CHAT, completion_window="24h")
    assert len(server.batches.made) == 1


@pytest.mark.parametrize("status", [429, 500])
def test_each_endpoint_can_refuse(server: PracticeServer, client: openai.OpenAI, status: int) -> None:
    batch = end(client, create(client, questions(1)))
    steps: dict[tuple[str, str], Callable[[], object]] = {
        ("files", "create"): lambda: upload(client, questions(1)),
        ("files", "retrieve"): lambda: client.files.retrieve(str(batch.output_file_id)),
        ("files", "list"): lambda: client.files.list(),
        ("files", "download"): lambda: client.files.content(str(batch.output_file_id)),
        ("files", "delete"): lambda: client.files.delete(str(batch.output_file_id)),
        ("batches", "create"): lambda: create(client, questions(1)),
        ("batches", "retrieve"): lambda: client.batches.retrieve(batch.id),
        ("batches", "list"): lambda: client.batches.list(),
        ("batches", "cancel"): lambda: client.batches.cancel(batch.id),
    }
    for wire, action in steps:
        server.reply(status=status, wire=wire, action=action)
    for (wire, action), step in steps.items():
        with pytest.raises(openai.APIStatusError) as caught:
            step()
        assert caught.value.status_code == status, (wire, action)
    assert server.pending == []
    assert len(server.batches.made) == 1


def test_what_is_refused_at_once(server: PracticeServer, client: openai.OpenAI) -> None:
    file = upload(client, questions(1))
    other = client.files.create(file=("a.pdf", b"%PDF"), purpose="user_data")
    fine: dict[str, Any] = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"input_file_id": "file-none"}, "No such File object: file-none"),
        ({"input_file_id": other.id}, "purpose"),
        ({"endpoint": "/v1/nothing"}, "'/v1/nothing'"),
        ({"completion_window": "1h"}, "'1h'"),
        ({"metadata": {str(at): "" for at in range(17)}}, "at most 16"),
        ({"metadata": {"a": "x" * 513}}, "too long"),
        ({"extra_body": {"nonsense": 1}}, "nonsense"),
    ]
    for fields, said in wrong:
        with pytest.raises(openai.APIStatusError, match=said):
            client.batches.create(**{**fine, **fields})
    with pytest.raises(openai.NotFoundError, match="batch_none"):
        client.batches.retrieve("batch_none")
    assert server.batches.made == []
    with pytest.raises(ValueError, match="action"):
        server.reply(status=429, wire="openai-chat", action="create")
    with pytest.raises(ValueError, match="ends"):
        BatchScript(ends="never")  # type: ignore[arg-type]


def test_lists_have_pages_and_each_account_its_own(server: PracticeServer, client: openai.OpenAI) -> None:
    made = [create(client, questions(1)).id for _ in range(5)]
    assert [it.id for it in client.batches.list(limit=2)] == made[::-1]
    assert len([it for it in server.requests if it.action == "list"]) == 3
    first = client.batches.list(limit=2)
    assert ([it.id for it in first.data], first.has_more) == ([made[4], made[3]], True)
    with of(server, "another") as other:
        assert [*other.batches.list()] == []
        with pytest.raises(openai.NotFoundError):
            other.batches.retrieve(made[0])
        with pytest.raises(openai.NotFoundError):
            other.batches.create(
                input_file_id=str(server.batches.made[0].input_file), endpoint=CHAT, completion_window="24h"
            )
