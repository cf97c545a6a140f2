"""The practice server runs Anthropic's Message Batches, as the vendor's own SDK sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse, MessageBatchRequestCounts

from llmring.testing import BatchLimits, BatchProblem, Fault, PracticeServer, Reply, Tokens, ToolCallScript


@pytest.fixture
def client(server: PracticeServer) -> Iterator[anthropic.Anthropic]:
    with of(server) as client:
        yield client


def of(server: PracticeServer, key: str = "one") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)


def params(question: str, **more: Any) -> Any:
    return {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": question}], **more}


def questions(count: int) -> list[Any]:
    return [{"custom_id": f"row-{at}", "params": params(f"Question {at}")} for at in range(count)]


def create(client: anthropic.Anthropic, requests: list[Any], **more: Any) -> MessageBatch:
    return client.messages.batches.create(requests=requests, **more)


def end(client: anthropic.Anthropic, batch: MessageBatch) -> MessageBatch:
    while batch.processing_status != "ended":
        batch = client.messages.batches.retrieve(batch.id)
    return batch


def results(client: anthropic.Anthropic, batch: MessageBatch) -> list[MessageBatchIndividualResponse]:
    return [*client.messages.batches.results(batch.id)]


def counts(batch: MessageBatch) -> dict[str, int]:
    return {name: count for name, count in batch.request_counts.model_dump().items() if count}


def test_a_batch_says_what_single_requests_are_told(server: PracticeServer, client: anthropic.Anthropic) -> None:
    replies = {
        "Question 0": Reply(reasoning="Hm", text="Four.", usage=Tokens(12, 2)),
        "Question 1": Reply(tool_calls=[ToolCallScript("look", {"at": 1})]),
    }
    server.script(lambda request: replies.get(request.question))
    rows = questions(3)
    singles = [client.messages.create(**params(f"Question {at}")) for at in range(3)]
    batch = create(client, rows[:1])
    assert (batch.processing_status, batch.results_url, batch.ended_at) == ("in_progress", None, None)
    assert batch.request_counts == MessageBatchRequestCounts(
        processing=1, succeeded=0, errored=0, canceled=0, expired=0
    )
    end(client, batch)
    other = create(client, rows[1:])
    seen = [client.messages.batches.retrieve(other.id) for _ in range(3)]
    assert [it.processing_status for it in seen] == ["in_progress", "in_progress", "ended"]
    assert [counts(it) for it in seen] == [{"processing": 2}, {"processing": 2}, {"succeeded": 2}]
    assert seen[-1].ended_at is not None
    assert (seen[-1].expires_at - seen[-1].created_at).total_seconds() == 24 * 3600
    both = [*results(client, batch), *results(client, other)]
    assert [it.custom_id for it in both] == ["row-0", "row-1", "row-2"]
    for single, row in zip(singles, both, strict=True):
        assert row.result.type == "succeeded"
        assert single.usage.service_tier != "batch"
        assert row.result.message.usage == single.usage.model_copy(update={"service_tier": "batch"})
        assert [it.type for it in row.result.message.content] == [it.type for it in single.content]
        assert row.result.message.stop_reason == single.stop_reason
    assert server.pending == []


def test_rows_are_told_apart_from_requests(server: PracticeServer, client: anthropic.Anthropic) -> None:
    batch = create(client, questions(3), extra_headers={"Idempotency-Key": "k"})
    assert [(it.wire, it.action) for it in server.requests] == [("batches", "create")]
    assert server.batches.made[0].idempotency_key == "k"
    assert server.batches.billed == []
    end(client, batch)
    end(client, create(client, questions(1), extra_headers={"Idempotency-Key": "k"}))
    paid = Counter(row.request.question for row in server.batches.billed if row.request)
    assert paid == {"Question 0": 2, "Question 1": 1, "Question 2": 1}
    assert {row.request.wire for row in server.batches.rows if row.request} == {"anthropic"}


def test_rows_that_err(server: PracticeServer, client: anthropic.Anthropic) -> None:
    replies = {
        "limit": Reply(status=429),
        "busy": Reply(problem="overloaded"),
        "lost": Reply(fault=Fault.hang_up()),
    }
    server.script(lambda request: replies.get(request.question))
    rows: list[Any] = [{"custom_id": it, "params": params(it)} for it in ("limit", "fine", "busy", "lost")]
    rows += [{"custom_id": "field", "params": params("a", seed=1)}, {"custom_id": "empty", "params": {}}]
    rows.append({"custom_id": "stream", "params": params("a", stream=True)})
    done = end(client, create(client, rows))
    assert counts(done) == {"succeeded": 1, "errored": 6}
    errors = {}
    for it in results(client, done):
        if it.result.type == "errored":
            errors[it.custom_id] = it.result.error.error.type
    assert errors == {
        "limit": "rate_limit_error",
        "busy": "overloaded_error",
        "lost": "api_error",
        "field": "invalid_request_error",
        "empty": "invalid_request_error",
        "stream": "invalid_request_error",
    }
    assert [it.key for it in server.batches.billed] == ["fine"]


def test_what_is_refused_at_once(server: PracticeServer, client: anthropic.Anthropic) -> None:
    server.batches.limits["anthropic"] = BatchLimits(requests=3, bytes=2000)
    wrong: list[tuple[list[Any], str]] = [
        ([], "requests: List should have at least 1 item after validation, not 0"),
        (questions(4), "requests: List should have at most 3 items after validation, not 4"),
        ([*questions(1), *questions(1)], r"requests\.1\.custom_id: 'row-0'"),
        ([{"params": params("a")}], r"requests\.0\.custom_id: Field required"),
        ([{"custom_id": "a"}], r"requests\.0\.params: Field required"),
        ([{"custom_id": "x" * 65, "params": {}}], "at most 64 characters"),
        ([{"custom_id": "a b", "params": {}}], "String should match pattern"),
        (["a"], r"requests\.0: Input should be an object"),
    ]
    for rows, said in wrong:
        with pytest.raises(anthropic.BadRequestError, match=said):
            create(client, rows)
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(client, [{"custom_id": "a", "params": params("long " * 1000)}])
    assert caught.value.status_code == 413
    with pytest.raises(anthropic.NotFoundError, match="msgbatch_none"):
        client.messages.batches.retrieve("msgbatch_none")
    server.batches.script(ends="failed", problem=BatchProblem("any", "Not today"))
    with pytest.raises(anthropic.BadRequestError, match="Not today"):
        create(client, questions(1))
    assert server.batches.made == []
    assert counts(end(client, create(client, questions(1)))) == {"succeeded": 1}


def test_too_many_requests_wait(server: PracticeServer, client: anthropic.Anthropic) -> None:
    server.batches.limits["anthropic"] = BatchLimits(requests=10, bytes=10_000, enqueued=3)
    first = create(client, questions(3))
    with pytest.raises(anthropic.RateLimitError) as caught:
        create(client, questions(1))
    assert caught.value.response.headers["retry-after"] == "1"
    end(client, first)
    assert counts(end(client, create(client, questions(1)))) == {"succeeded": 1}


def test_a_batch_that_expires(server: PracticeServer, client: anthropic.Anthropic) -> None:
    server.batches.script(ends="expired")
    done = end(client, create(client, questions(5)))
    assert counts(done) == {"succeeded": 2, "expired": 3}
    assert [it.result.type for it in results(client, done)] == ["succeeded"] * 2 + ["expired"] * 3
    assert len(server.batches.billed) == 2


def test_cancelling_keeps_what_is_done(server: PracticeServer, client: anthropic.Anthropic) -> None:
    batch = create(client, questions(6))
    client.messages.batches.retrieve(batch.id)
    asked = client.messages.batches.cancel(batch.id)
    assert (asked.processing_status, counts(asked)) == ("canceling", {"processing": 6})
    assert asked.cancel_initiated_at is not None
    assert client.messages.batches.cancel(batch.id).processing_status == "canceling"
    done = client.messages.batches.retrieve(batch.id)
    assert (done.processing_status, counts(done)) == ("ended", {"succeeded": 2, "canceled": 4})
    assert [it.result.type for it in results(client, done)] == ["succeeded"] * 2 + ["canceled"] * 4
    with pytest.raises(anthropic.BadRequestError, match="ended"):
        client.messages.batches.cancel(batch.id)
    assert len(server.batches.billed) == 2


def test_deleting(server: PracticeServer, client: anthropic.Anthropic) -> None:
    batch = create(client, questions(1))
    with pytest.raises(anthropic.BadRequestError, match="cancel it first"):
        client.messages.batches.delete(batch.id)
    end(client, batch)
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
    assert [*client.messages.batches.list()] == []
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)
    assert len(server.batches.billed) == 1


def test_results_that_are_out_of_order_broken_off_or_gone(server: PracticeServer, client: anthropic.Anthropic) -> None:
    server.batches.script(order="reversed")
    done = end(client, create(client, questions(3)))
    assert [it.custom_id for it in results(client, done)] == ["row-2", "row-1", "row-0"]
    server.batches.script(results="cut")
    done = end(client, create(client, questions(2)))
    read: list[str] = []
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|value|EOF"):
        read.extend(it.custom_id for it in client.messages.batches.results(done.id))
    assert read == ["row-0"]
    server.batches.script(results="missing")
    done = end(client, create(client, questions(1)))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.results(done.id)
    early = create(client, questions(1))
    with pytest.raises(anthropic.AnthropicError, match="No `results_url`"):
        client.messages.batches.results(early.id)
    done = end(client, create(client, questions(4)))
    server.reply(done=True, fault=Fault.cut_after(1), wire="batches", action="download")
    with pytest.raises(httpx2.RemoteProtocolError):
        results(client, done)
    assert len(results(client, done)) == 4


def test_what_was_done_and_nobody_heard_of(server: PracticeServer, client: anthropic.Anthropic) -> None:
    server.reply(done=True, fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(anthropic.APIConnectionError):
        create(client, questions(2))
    (made,) = client.messages.batches.list()
    assert counts(end(client, made)) == {"succeeded": 2}
    server.reply(fault=Fault.hang_up(), wire="batches", action="create")
    with pytest.raises(anthropic.APIConnectionError):
        create(client, questions(2))
    assert len([*client.messages.batches.list()]) == 1


@pytest.mark.parametrize("status", [429, 500, 529])
def test_each_endpoint_can_refuse(server: PracticeServer, client: anthropic.Anthropic, status: int) -> None:
    batch = end(client, create(client, questions(1)))
    batches = client.messages.batches
    steps: dict[str, Callable[[], object]] = {
        "create": lambda: create(client, questions(1)),
        "retrieve": lambda: batches.retrieve(batch.id),
        "list": lambda: batches.list(),
        "download": lambda: batches.results(batch.id),
        "cancel": lambda: batches.cancel(batch.id),
        "delete": lambda: batches.delete(batch.id),
    }
    for action in steps:
        server.reply(status=status, wire="batches", action=action)
    for action, step in steps.items():
        with pytest.raises(anthropic.APIStatusError) as caught:
            step()
        assert caught.value.status_code == status, action
    assert server.pending == []


def test_lists_have_pages_and_each_account_its_own(server: PracticeServer, client: anthropic.Anthropic) -> None:
    made = [create(client, questions(1)).id for _ in range(5)]
    assert [it.id for it in client.messages.batches.list(limit=2)] == made[::-1]
    page = client.messages.batches.list(limit=2, before_id=made[0])
    assert [it.id for it in page.data] == [made[2], made[1]]
    assert (page.first_id, page.last_id, page.has_more) == (made[2], made[1], True)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.list(limit=1001)
    with of(server, "another") as other:
        assert [*other.messages.batches.list()] == []
        with pytest.raises(anthropic.NotFoundError):
            other.messages.batches.retrieve(made[0])
