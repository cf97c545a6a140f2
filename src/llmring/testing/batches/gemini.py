"""Gemini's batches: requests in the body or in a file, and an operation that ends with results of the same kind.

https://ai.google.dev/api/batch-api, and the guide "Batch API": 20 MB without a file, files of 2 GB, a hundred batches
at once; one that expires has no results. What becomes of the requests that a cancelled one had done is written
nowhere: it has no results here either. The REST API says `BATCH_STATE_...`, the SDKs `JOB_STATE_...`. An error of one
request is a `google.rpc.Status`, whose code is gRPC's. No key makes one batch of two creations.
"""

from __future__ import annotations

import re
from typing import Any

from ..exchange import Problem, RecordedRequest, Reply
from ..wires.answer import json_reply
from ..wires.files import Cabinet, account_of, missing_file, moment
from ..wires.gemini import STATUSES
from ..wires.places import Place
from ..wires.shapes import table
from .forms import Desk, lines, overflows, page, text_of_lines
from .script import BatchLimits, BatchProblem
from .work import Batch, BatchRow

__all__ = ["LIMITS", "changed", "close", "create", "listed", "missing", "told"]

LIMITS = BatchLimits(requests=None, bytes=2 * 1024**3, inlined=20 * 1024**2, batches=100)

_STATES = {
    "validating": "PENDING",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "cancelling": "RUNNING",
    "completed": "SUCCEEDED",
    "failed": "FAILED",
    "expired": "EXPIRED",
    "cancelled": "CANCELLED",
}
_CODES = {
    "CANCELLED": 1,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."


def create(desk: Desk, request: RecordedRequest, place: Place, files: Cabinet) -> Batch | Problem:
    """Take a batch."""
    limits, account = desk.limits["gemini"], account_of(request)
    asked = _camel(table(request.body, "batch"))
    config = _camel(table(asked, "inputConfig"))
    given, name = config.get("requests"), config.get("fileName")
    if (given is None) == (name is None):
        return Problem(400, "batch.input_config: exactly one of requests and file_name must be set")
    if limits.inlined is not None and given is not None and len(request.raw) > limits.inlined:
        return Problem(400, f"Request payload size exceeds the limit: {limits.inlined} bytes.")
    problems: list[BatchProblem] = []
    path = request.path.replace(":batchGenerateContent", ":generateContent")
    if given is not None:
        rows = _inlined(given, path)
    else:
        file = files.find("gemini", account, str(name).rpartition("/")[2])
        if file is None:
            return missing_file("gemini", str(name).rpartition("/")[2])
        if len(file.data) > limits.bytes:
            return Problem(400, f"The input file is larger than {limits.bytes} bytes.")
        rows, problems = _in_file(file.data, path)
    if (problem := _too_many(desk, limits, account, place.model, rows)) is not None:
        return problem
    if not rows and not problems:
        return Problem(400, "The batch has no requests.")
    batch = desk.begin("gemini", "", request, rows)
    if batch.script.ends == "failed" and not problems:
        problems = [batch.script.problem or BatchProblem("INTERNAL", "The batch could not be processed.")]
    batch.problems, batch.model = problems, place.model
    batch.display_name, batch.input_file = str(asked.get("displayName") or ""), name
    return batch


def _too_many(desk: Desk, limits: BatchLimits, account: str, model: str, rows: list[BatchRow]) -> Problem | None:
    said = "You exceeded your current quota, please check your plan and billing details."
    if limits.requests is not None and len(rows) > limits.requests:
        return Problem(400, f"The batch has {len(rows)} requests, and may have {limits.requests}.")
    crowded = limits.batches is not None and desk.running("gemini", account) >= limits.batches
    return Problem(429, said) if crowded or overflows(desk, "gemini", account, model, rows) else None


def _inlined(given: Any, path: str) -> list[BatchRow]:
    listed = table(given).get("requests")
    rows = [it if isinstance(it, dict) else {} for it in listed] if isinstance(listed, list) else []
    return [BatchRow(at, "", _request(it.get("request")), path, it.get("metadata")) for at, it in enumerate(rows)]


def _in_file(data: bytes, path: str) -> tuple[list[BatchRow], list[BatchProblem]]:
    rows: list[BatchRow] = []
    problems: list[BatchProblem] = []
    for number, value in lines(data):
        if not isinstance(value, dict) or not isinstance(value.get("request"), dict):
            said = f"Line {number} of the input file is not an object with a request."
            problems.append(BatchProblem("INVALID_ARGUMENT", said, number))
        else:
            rows.append(BatchRow(len(rows), str(value.get("key", "")), _request(value["request"]), path))
    return rows, problems


def _request(given: Any) -> dict[str, Any]:
    """The request as it would be by itself. Google takes either spelling of a field."""
    request = _camel(table(given))
    request.pop("model", None)
    if isinstance(request.get("generationConfig"), dict):
        request["generationConfig"] = _camel(request["generationConfig"])
    return request


def _camel(given: dict[str, Any]) -> dict[str, Any]:
    return {re.sub(r"_([a-z])", lambda found: found[1].upper(), key): value for key, value in given.items()}


def close(batch: Batch, files: Cabinet) -> None:
    """Write the file of results, if the requests came in one; nothing is left of a batch that was not completed."""
    if batch.state in ("expired", "cancelled"):
        for row in batch.rows:
            row.outcome = "expired" if batch.state == "expired" else "canceled"
    if batch.state == "completed" and batch.input_file is not None:
        batch.output_file = f"files/batch-{batch.id}"
        if batch.script.results != "missing":
            data = text_of_lines(batch, [{"key": row.key, **_result(row)} for row in batch.rows])
            files.write("gemini", batch.account, f"batch-{batch.id}", "", data)


def _result(row: BatchRow) -> dict[str, Any]:
    if row.billed:
        return {"response": row.answer}
    error = table(row.answer, "error")
    status = str(error.get("status") or STATUSES.get(row.status, "INTERNAL"))
    return {"error": _status(status, str(error.get("message") or "Internal error encountered."))}


def _status(status: str, message: str) -> dict[str, Any]:
    return {"code": _CODES.get(status, 2), "message": message}


def told(batch: Batch) -> dict[str, Any]:
    """The operation, whose metadata is the batch."""
    counts = {
        "requestCount": len(batch.rows),
        "successfulRequestCount": sum(row.outcome == "succeeded" for row in batch.rows),
        "failedRequestCount": sum(row.outcome == "errored" for row in batch.rows),
        "pendingRequestCount": sum(row.outcome is None for row in batch.rows),
    }
    metadata: dict[str, Any] = {
        "@type": f"{_TYPE}GenerateContentBatch",
        "model": f"models/{batch.model}",
        "displayName": batch.display_name,
        "createTime": moment(batch.created_at),
        "updateTime": moment(max(batch.moments.values(), default=batch.created_at)),
        "batchStats": {key: str(count) for key, count in counts.items() if count},
        "state": f"BATCH_STATE_{_STATES[batch.state]}",
        "name": f"batches/{batch.id}",
    }
    operation: dict[str, Any] = {"name": f"batches/{batch.id}", "metadata": metadata}
    if not batch.ended:
        return operation
    metadata["endTime"] = moment(batch.moments[batch.state])
    if batch.state == "completed":
        metadata["output"] = output = _output(batch)
        return operation | {"done": True, "response": {"@type": f"{_TYPE}GenerateContentBatchOutput", **output}}
    error = _status("DEADLINE_EXCEEDED", "The batch expired before it was completed.")
    if batch.state == "cancelled":
        error = _status("CANCELLED", "The operation was cancelled.")
    elif batch.problems:
        error = _status(batch.problems[0].code, batch.problems[0].message)
    return operation | {"done": True, "error": error}


def _output(batch: Batch) -> dict[str, Any]:
    if batch.input_file is not None:
        return {"responsesFile": batch.output_file}
    if batch.script.results == "missing":
        return {}
    rows = [{**_result(row), **({} if row.metadata is None else {"metadata": row.metadata})} for row in batch.rows]
    return {"inlinedResponses": {"inlinedResponses": rows}}


def listed(batches: list[Batch], query: dict[str, str]) -> dict[str, Any] | Problem:
    """A page of them; the token of the next is the last one's id."""
    some = page(batches, query.get("pageToken"), query.get("pageSize"), usual=50, most=1000)
    if some is None:
        return Problem(400, "page_token or page_size is not valid.")
    out: dict[str, Any] = {"operations": [told(it) for it in some.items]} if some.items else {}
    return out | ({"nextPageToken": some.items[-1].id} if some.more else {})


def changed(batch: Batch, action: str) -> Reply | Problem | None:
    """`cancel` and `delete`; the results are in the operation, or in a file."""
    if action == "download":
        return None
    if action == "cancel" and batch.ended:
        return Problem(400, "The batch has ended, and cannot be cancelled.", type="FAILED_PRECONDITION")
    return json_reply({})


def missing(id: str) -> Problem:
    """Who has no such batch."""
    return Problem(404, "Requested entity was not found.")
