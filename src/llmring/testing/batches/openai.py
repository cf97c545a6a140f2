"""OpenAI's batches: a file of requests, each of which is answered in a file of results, or in one of errors.

https://platform.openai.com/docs/api-reference/batch, and the guide "Batch API". What is wrong with the file is said
when the batch has failed, and not where it is created (openai/openai-python#2084, #1643; the codes are those of
Microsoft's guide "Azure OpenAI batch", "Error codes"). What is wrong with one request is said in its line of the file
of errors (openai/openai-openapi#302). The codes of lines that were never answered are those of the reference's
`BatchRequestOutput`. An `Idempotency-Key` is mentioned nowhere: two creations make two batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..exchange import Problem, RecordedRequest, Reply
from ..wires.answer import json_reply
from ..wires.files import Cabinet, account_of
from ..wires.places import Place
from ..wires.shapes import table, unknown, unknown_parameter
from .forms import Desk, lines, overflows, page, text_of_lines
from .script import BatchLimits, BatchProblem
from .work import Batch, BatchRow, State

__all__ = ["LIMITS", "changed", "close", "create", "listed", "missing", "told"]

LIMITS = BatchLimits(requests=50_000, bytes=200 * 1024 * 1024)
"""The reference, on `input_file_id`."""

_FIELDS = ("completion_window", "endpoint", "input_file_id", "metadata", "output_expires_after")
_ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
_WINDOW = 24 * 3600
_STATES: tuple[State, ...] = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
_UNDONE = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "canceled": ("batch_cancelled", "The batch was cancelled before this request executed."),
    "errored": ("request_timeout", "The underlying call to the model timed out."),
}


def create(desk: Desk, request: RecordedRequest, place: Place, files: Cabinet) -> Batch | Problem:
    """Take a batch: what is wrong with its file will be found later."""
    body = request.body if isinstance(request.body, dict) else {}
    if (problem := next(_wrong(body), None)) is not None:
        return problem
    file = files.find("openai", account_of(request), body["input_file_id"])
    if file is None:
        return Problem(404, f"No such File object: {body['input_file_id']}", param="input_file_id")
    if file.purpose != "batch":
        return Problem(400, f"Invalid file purpose: expected 'batch', got '{file.purpose}'.", param="input_file_id")
    endpoint, limits = body["endpoint"], desk.limits["openai"]
    rows, problems = _rows(file.data, endpoint, limits)
    models = {str(row.body.get("model")): row for row in rows}
    model = next(iter(models), "")
    if len(models) > 1 and not problems:
        said = f"The model '{[*models][1]}' is not that of the other requests, '{model}': a batch has one model."
        problems.append(BatchProblem("model_mismatch", said, param="body.model"))
    if not problems and overflows(desk, "openai", account_of(request), model, rows):
        said = (
            f"Enqueued token limit reached for {model} in organization org-practice. Limit: {limits.enqueued:,} "
            "enqueued tokens. Please try again once some in_progress batches have been completed."
        )
        problems.append(BatchProblem("token_limit_exceeded", said))
    batch = desk.begin("openai", "batch_", request, rows)
    if batch.script.ends == "failed" and not problems:
        problems = [batch.script.problem or BatchProblem("invalid_request", "The batch could not be processed.")]
    batch.problems, batch.model, batch.endpoint = problems, model, endpoint
    batch.input_file, batch.metadata = file.id, body.get("metadata")
    return batch


def _wrong(body: dict[str, Any]) -> Iterator[Problem]:
    for name in ("input_file_id", "endpoint", "completion_window"):
        if not isinstance(body.get(name), str) or not body[name]:
            said = f"Missing required parameter: '{name}'."
            yield Problem(400, said, code="missing_required_parameter", param=name)
    for name in unknown(body, _FIELDS):
        yield unknown_parameter(name)
    for name, words in (("endpoint", _ENDPOINTS), ("completion_window", ("24h",))):
        if body[name] not in words:
            options = ", ".join(f"'{word}'" for word in words)
            said = f"Invalid value: '{body[name]}'. Supported values are: {options}."
            yield Problem(400, said, code="invalid_value", param=name)
    yield from _wrong_metadata(body.get("metadata"))


def _wrong_metadata(metadata: Any) -> Iterator[Problem]:
    """The reference: at most 16 keys of at most 64 characters, and values of at most 512."""
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(it, str) for it in metadata.values()):
        said = "Invalid type for 'metadata': expected a map of strings to strings."
        yield Problem(400, said, code="invalid_type", param="metadata")
        return
    if len(metadata) > 16:
        said = f"Invalid 'metadata': too many properties. Expected at most 16, but got {len(metadata)}."
        yield Problem(400, said, code="object_above_max_properties", param="metadata")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            said = f"Invalid 'metadata.{key[:64]}': string too long."
            yield Problem(400, said, code="string_above_max_length", param="metadata")


def _rows(data: bytes, endpoint: str, limits: BatchLimits) -> tuple[list[BatchRow], list[BatchProblem]]:
    """The requests of a file, and what is wrong with it."""
    rows: list[BatchRow] = []
    problems: list[BatchProblem] = []
    seen: set[str] = set()
    for number, value in lines(data):
        if not isinstance(value, dict):
            said = "This line is not parseable as valid JSON."
            problems.append(BatchProblem("invalid_json_line", said, number))
            continue
        problems += _wrong_line(number, value, endpoint, seen)
        key = str(value.get("custom_id", ""))
        seen.add(key)
        rows.append(BatchRow(len(rows), key, table(value, "body"), endpoint))
    if not rows and not problems:
        problems.append(BatchProblem("empty_file", "The input file is empty: it must hold at least one request."))
    if limits.requests is not None and len(rows) > limits.requests:
        said = f"The batch has {len(rows)} requests, and may have {limits.requests}."
        problems.insert(0, BatchProblem("too_many_tasks", said))
    if len(data) > limits.bytes:
        problems.insert(0, BatchProblem("file_too_large", f"The input file is larger than {limits.bytes} bytes."))
    return rows, problems


def _wrong_line(number: int, line: dict[str, Any], endpoint: str, seen: set[str]) -> Iterator[BatchProblem]:
    key = line.get("custom_id")
    if not isinstance(key, str) or not key:
        yield BatchProblem("invalid_request", "Missing required parameter: 'custom_id'.", number, "custom_id")
    elif key in seen:
        said = f"The custom_id '{key}' for this request is a duplicate of another request."
        yield BatchProblem("duplicate_custom_id", said, number, "custom_id")
    if line.get("method") != "POST":
        yield BatchProblem("invalid_request", f"Invalid method: '{line.get('method')}'.", number, "method")
    if line.get("url") != endpoint:
        said = f"The URL '{line.get('url')}' is not the endpoint of the batch, '{endpoint}'."
        yield BatchProblem("url_mismatch", said, number, "url")
    if not isinstance(line.get("body"), dict) or not line["body"].get("model"):
        yield BatchProblem("invalid_request", "Missing required parameter: 'body.model'.", number, "body")


def close(batch: Batch, files: Cabinet) -> None:
    """Write the file of results, and that of errors, if there are any."""
    if batch.state == "failed":
        return
    good = [row for row in batch.rows if row.outcome == "succeeded"]
    bad = [row for row in batch.rows if row.outcome != "succeeded"]
    for rows, field, word in ((good, "output_file", "output"), (bad, "error_file", "error")):
        if rows:
            id = f"file-{batch.id.removeprefix('batch_')}{word}"
            setattr(batch, field, id)
            if batch.script.results != "missing":
                data = text_of_lines(batch, [_line(batch, row) for row in rows])
                files.write("openai", batch.account, id, f"{batch.id}_{word}.jsonl", data)


def _line(batch: Batch, row: BatchRow) -> dict[str, Any]:
    response = error = None
    if row.request is not None and row.status:
        response = {"status_code": row.status, "request_id": row.request.id, "body": row.answer}
    else:
        code, message = _UNDONE[row.outcome or "errored"]
        error = {"code": code, "message": message}
    id = f"batch_req_{batch.id.removeprefix('batch_')}{row.index:06d}"
    return {"id": id, "custom_id": row.key, "response": response, "error": error}


def told(batch: Batch) -> dict[str, Any]:
    """The batch object."""
    good, bad = (sum(row.outcome == outcome for row in batch.rows) for outcome in ("succeeded", "errored"))
    counts = {"total": len(batch.rows), "completed": good, "failed": bad}
    if batch.state in ("validating", "failed"):
        counts = dict.fromkeys(counts, 0)
    moments = {f"{state}_at": int(at) if (at := batch.moments.get(state)) else None for state in _STATES}
    shown = batch.problems if batch.state == "failed" else []
    problems = [{"code": it.code, "line": it.line, "message": it.message, "param": it.param} for it in shown]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model or None,
        "errors": {"object": "list", "data": problems} if problems else None,
        "input_file_id": batch.input_file,
        "completion_window": "24h",
        "status": batch.state,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "created_at": int(batch.created_at),
        "expires_at": int(batch.created_at) + _WINDOW,
        **moments,
        "request_counts": counts,
        "usage": _usage(batch),
        "metadata": batch.metadata,
    }


def _usage(batch: Batch) -> dict[str, Any]:
    """The tokens of what was answered, whichever the endpoint."""
    used = [it for row in batch.billed if isinstance(row.answer, dict) for it in [table(row.answer, "usage")]]

    def total(*names: str) -> int:
        return sum(next((it[name] for name in names if isinstance(it.get(name), int)), 0) for it in used)

    def part(sides: tuple[str, ...], name: str) -> int:
        return sum(next((table(it, side)[name] for side in sides if name in table(it, side)), 0) for it in used)

    cached = part(("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    thought = part(("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    return {
        "input_tokens": total("prompt_tokens", "input_tokens"),
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": total("completion_tokens", "output_tokens"),
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": total("total_tokens"),
    }


def listed(batches: list[Batch], query: dict[str, str]) -> dict[str, Any] | Problem:
    """A page of them."""
    some = page(batches, query.get("after"), query.get("limit"), usual=20, most=100)
    if some is None:
        return Problem(400, "Invalid cursor or limit.", param="after" if "after" in query else "limit")
    ids: list[str | None] = [*(it.id for it in some.items)] or [None]
    data = [told(it) for it in some.items]
    return {"object": "list", "data": data, "first_id": ids[0], "last_id": ids[-1], "has_more": some.more}


def changed(batch: Batch, action: str) -> Reply | Problem | None:
    """`cancel` is all there is."""
    if action != "cancel":
        return None
    if batch.ended:
        return Problem(409, f"Cannot cancel a batch with status '{batch.state}'.", type="invalid_request_error")
    return json_reply(told(batch))


def missing(id: str) -> Problem:
    """Who has no such batch."""
    return Problem(404, f"No batch found with id '{id}'.", type="invalid_request_error")
