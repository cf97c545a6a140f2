"""Anthropic's Message Batches: the requests are sent as they are, and the results are read as lines.

https://platform.claude.com/docs/en/api/messages/batches, and the guide "Batch processing". The form of the batch is
judged where it is created, the parameters of each request only when it is processed. The words are those of public
reports, such as anthropics/anthropic-sdk-python#1220. An `Idempotency-Key` is mentioned nowhere: two creations make two
batches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..exchange import Problem, RecordedRequest, Reply
from ..wires.answer import json_reply
from ..wires.files import Cabinet, account_of, moment
from ..wires.places import Place
from ..wires.shapes import unknown
from .forms import Desk, page, text_of_lines
from .script import BatchLimits
from .work import Batch, BatchRow

__all__ = ["LIMITS", "changed", "close", "create", "listed", "missing", "told"]

LIMITS = BatchLimits(requests=100_000, bytes=256 * 1024 * 1024)
"""The guide, "Batch limitations"."""

_KEY = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DAY = 24 * 3600
_LOST = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}, "request_id": None}


def create(desk: Desk, request: RecordedRequest, place: Place, files: Cabinet) -> Batch | Problem:
    """Take a batch."""
    limits = desk.limits["anthropic"]
    if len(request.raw) > limits.bytes:
        return Problem(413, "Request exceeds the maximum size", type="request_too_large")
    body = request.body if isinstance(request.body, dict) else {}
    if (problem := next(_wrong(body, limits), None)) is not None:
        return problem
    waiting = len(desk.waiting("anthropic", account_of(request)))
    if limits.enqueued is not None and waiting + len(body["requests"]) > limits.enqueued:
        said = f"Your organization may have {limits.enqueued:,} batch requests in processing, and has {waiting:,}."
        return Problem(429, said, retry_after=1)
    script = desk.next_script()
    if script.ends == "failed":
        desk.skip_script()
        return Problem(400, script.problem.message if script.problem else "The batch could not be processed.")
    path = request.path.removesuffix("/batches")
    rows = [BatchRow(at, it["custom_id"], it["params"], path) for at, it in enumerate(body["requests"])]
    return desk.begin("anthropic", "msgbatch_", request, rows)


def _wrong(body: dict[str, Any], limits: BatchLimits) -> Iterator[Problem]:
    for name in unknown(body, ("requests",)):
        yield Problem(400, f"{name}: Extra inputs are not permitted")
    requests = body.get("requests")
    if not isinstance(requests, list):
        said = "Field required" if requests is None else "Input should be a valid list"
        yield Problem(400, f"requests: {said}")
        return
    if not requests:
        yield Problem(400, "requests: List should have at least 1 item after validation, not 0")
    if limits.requests is not None and len(requests) > limits.requests:
        said = f"List should have at most {limits.requests} items after validation, not {len(requests)}"
        yield Problem(400, f"requests: {said}")
    seen: set[str] = set()
    for at, row in enumerate(requests):
        yield from _wrong_row(f"requests.{at}", row, seen)


def _wrong_row(where: str, row: Any, seen: set[str]) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield Problem(400, f"{where}: Input should be an object")
        return
    for name in unknown(row, ("custom_id", "params")):
        yield Problem(400, f"{where}.{name}: Extra inputs are not permitted")
    for name, kind, word in (("custom_id", str, "a valid string"), ("params", dict, "an object")):
        if not isinstance(row.get(name), kind):
            said = f"Input should be {word}" if name in row else "Field required"
            yield Problem(400, f"{where}.{name}: {said}")
    key = row["custom_id"]
    if len(key) > 64:
        yield Problem(400, f"{where}.custom_id: String should have at most 64 characters")
    if not _KEY.fullmatch(key):
        yield Problem(400, f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if key in seen:
        yield Problem(400, f"{where}.custom_id: '{key}' is the custom_id of another request; they must be unique")
    seen.add(key)


def close(batch: Batch, files: Cabinet) -> None:
    """The results are made when they are read."""


def told(batch: Batch) -> dict[str, Any]:
    """The batch object. Requests count as processing until all of the batch has ended."""
    outcomes = ("succeeded", "errored", "canceled", "expired")
    counts = {it: sum(row.outcome == it for row in batch.rows) if batch.ended else 0 for it in outcomes}
    status = "ended" if batch.ended else "canceling" if batch.state == "cancelling" else "in_progress"
    url = f"http://{batch.request.headers.get('host')}{batch.request.path}/{batch.id}/results"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {"processing": 0 if batch.ended else len(batch.rows), **counts},
        "ended_at": moment(batch.moments[batch.state]) if batch.ended else None,
        "created_at": moment(batch.created_at),
        "expires_at": moment(batch.created_at + _DAY),
        "archived_at": None,
        "cancel_initiated_at": moment(batch.moments.get("cancelling")),
        "results_url": url if batch.ended else None,
    }


def _result(row: BatchRow) -> dict[str, Any]:
    if row.outcome == "succeeded":
        usage = row.answer.get("usage") if isinstance(row.answer, dict) else None
        tier = {"usage": usage | {"service_tier": "batch"}} if isinstance(usage, dict) else {}
        return {"type": "succeeded", "message": {**row.answer, **tier} if tier else row.answer}
    if row.outcome == "errored":
        return {"type": "errored", "error": row.answer if row.status else _LOST}
    return {"type": row.outcome}


def listed(batches: list[Batch], query: dict[str, str]) -> dict[str, Any] | Problem:
    """A page of them, after one or right before one."""
    before = query.get("before_id")
    cursor = before or query.get("after_id")
    some = page(batches if before is None else [*reversed(batches)], cursor, query.get("limit"), usual=20, most=1000)
    if some is None:
        return Problem(400, "limit: Input should be from 1 to 1000, and a cursor the id of a batch")
    data = [told(it) for it in (some.items if before is None else reversed(some.items))]
    ids = [it["id"] for it in data] or [None]
    return {"data": data, "has_more": some.more, "first_id": ids[0], "last_id": ids[-1]}


def changed(batch: Batch, action: str) -> Reply | Problem | None:
    """What is said to `cancel`, `delete` and `download`."""
    if action == "cancel":
        ended = f"Batch {batch.id} has ended, and cannot be canceled."
        return Problem(400, ended) if batch.ended else json_reply(told(batch))
    if action == "delete":
        if not batch.ended:
            return Problem(400, f"Batch {batch.id} is still processing. To delete it, cancel it first.")
        return json_reply({"id": batch.id, "type": "message_batch_deleted"})
    if not batch.ended or batch.script.results == "missing":
        return Problem(404, f"There are no results of batch {batch.id}.")
    lines = [{"custom_id": row.key, "result": _result(row)} for row in batch.rows]
    return Reply(body=text_of_lines(batch, lines), content_type="application/x-jsonl")


def missing(id: str) -> Problem:
    """Who has no such batch."""
    return Problem(404, f"Message batch {id} not found.")
