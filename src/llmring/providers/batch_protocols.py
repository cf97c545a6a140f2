"""The vendors' ways of taking batches, each by the methods of its SDK. `batching.py` says what is done by them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, BinaryIO

import httpx2
from pydantic_core import from_json, to_json

from . import uploading
from .batching import Batches, Result, Scratch, Standing, Unsure, endpoint_at

if TYPE_CHECKING:
    from .base import Provider

__all__ = ["batches_of"]

_SKEW = 86_400.0
"""Seconds by which the vendor's clock may be behind; a clock here that is wrong is wrong by hours."""
_BLOCK = 1 << 20
_PAGE = 100
_GONE = ("expired", "canceled")
"""What is said of a row that was not asked at all."""
_NOT_OURS = (403, 404)
"""What is said of answers that are gone, or of an account's that is another's."""
_STATUSES = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}
"""HTTP's for those of google.rpc.Code."""


def batches_of(provider: Provider, model: str, timeout: float | None) -> Batches | None:
    """A model's batches at a provider; `None` where it takes none.

    Args:
        provider: who is asked.
        model: its name, without the provider.
        timeout: seconds for each wait; `None` waits forever.
    """
    config = provider.config
    wire = getattr(provider, "wire", "")
    endpoint = endpoint_at(config.name, config.address or config.base_url, wire)
    return None if endpoint is None else _PROTOCOLS[endpoint.protocol](provider, endpoint, model, wire, timeout)


class _Lines(Batches):
    """A file of lines, uploaded, and a batch made of it."""

    def line(self, name: str, body: bytes) -> bytes:
        url = self.endpoint.wires[self._wire]["url"]
        return b'{"custom_id":"%s","method":"POST","url":"%s","body":%s}' % (name.encode(), url.encode(), body)

    async def create(self, tag: str, upload: str | None, file: BinaryIO) -> str:
        async with self._asking("make a batch", of_model=True):
            made = await self._client.batches.create(
                completion_window=f"{self.endpoint.hours}h",
                endpoint=self.endpoint.wires[self._wire]["url"],
                input_file_id=upload,
                metadata={"llmring": tag},
                timeout=self._slow,
            )
            return _id(made.id)

    async def find(self, tag: str, since: float, count: int, known: Callable[[], frozenset[str]]) -> str | None:
        async with self._asking("list its batches"):
            async for batch in self._client.batches.list(limit=_PAGE, timeout=self._timeout):
                if (batch.metadata or {}).get("llmring") == tag:
                    return _id(batch.id)
                if batch.created_at < since - _SKEW:
                    break
        return None

    async def look(self, id: str) -> Standing:
        async with self._asking("say how a batch stands"):
            batch = await self._client.batches.retrieve(id, timeout=self._timeout)
            ended = batch.status in ("completed", "expired", "cancelled")
            state = "ended" if ended else "failed" if batch.status == "failed" else "running"
            faults = (batch.errors.data if batch.errors is not None else None) or []
            error = "; ".join(dict.fromkeys(it.message or it.code or "" for it in faults)) or "it does not say why"
            said = " ".join(f"{it.code} {it.message}" for it in faults)
            counts = batch.request_counts
            return Standing(
                _id(batch.id),
                state,
                batch.status,
                counts.completed + counts.failed if counts is not None else None,
                tuple(it for it in (batch.output_file_id, batch.error_file_id) if it),
                error if state == "failed" else None,
                self.says_full(said),
            )

    async def cancel(self, id: str) -> None:
        async with self._asking("cancel a batch"):
            await self._client.batches.cancel(id, timeout=self._timeout)

    async def _files(self, name: str) -> AsyncIterator[str]:
        async for file in self._client.files.list(**self.endpoint.upload, timeout=self._timeout):
            if file.filename == name:
                yield file.id

    async def _download(self, standing: Standing, output: str, into: Scratch) -> None:
        await _copy(self._client.files.with_streaming_response.content(output, timeout=self._timeout), into)

    def _read(self, line: dict[str, Any]) -> Result:
        name, response, error = line["custom_id"], line.get("response"), line.get("error")
        if response is None:
            return Result(name, gone=str((error or {}).get("code")))
        status = response["status_code"]
        return Result(name, status, to_json(response["body"]), not 200 <= status < 300)


class _Array(Batches):
    """All requests within the one that makes the batch, which has no name of ours: only its requests have."""

    head, between, tail = b'{"requests":[', b",", b"]}"

    def line(self, name: str, body: bytes) -> bytes:
        return b'{"custom_id":"%s","params":%s}' % (name.encode(), body)

    async def upload(self, tag: str, file: BinaryIO) -> str | None:
        return None

    async def create(self, tag: str, upload: str | None, file: BinaryIO) -> str:
        size = file.seek(0, 2)
        headers = {"content-type": "application/json", "content-length": str(size)}
        async with self._asking("make a batch", of_model=True):
            answer = await self._client.post(
                "/v1/messages/batches",
                cast_to=httpx2.Response,
                content=_Content(file),
                options={"headers": headers, "timeout": self._slow},
            )
            return _id(from_json(await answer.aread())["id"])

    async def find(self, tag: str, since: float, count: int, known: Callable[[], frozenset[str]]) -> str | None:
        unsure = False
        async with self._asking("list its batches"):
            async for batch in self._client.messages.batches.list(limit=_PAGE, timeout=self._timeout):
                counts = batch.request_counts
                total = counts.canceled + counts.errored + counts.expired + counts.processing + counts.succeeded
                if batch.created_at.timestamp() < since - _SKEW:
                    break
                if total != count or batch.id in known():
                    continue
                standing = await self.look(batch.id)  # a list may be behind
                if standing.state == "running":
                    unsure = True
                elif standing.outputs and await self._is_of(batch.id, tag):
                    return _id(batch.id)
        if unsure:
            raise Unsure
        return None

    async def _is_of(self, id: str, tag: str) -> bool:
        """Whether the first of its answers is of a request that we named; of one whose answers are gone, it is not."""
        ask = self._client.messages.batches.with_streaming_response.results
        try:
            async with ask(id, timeout=self._timeout) as answer:
                async for line in answer.iter_lines():
                    return str(from_json(line).get("custom_id")).startswith(f"{tag}-")
        except Exception as error:
            if getattr(error, "status_code", None) not in _NOT_OURS:
                raise
        return False

    async def look(self, id: str) -> Standing:
        async with self._asking("say how a batch stands"):
            batch = await self._client.messages.batches.retrieve(id, timeout=self._timeout)
            counts = batch.request_counts
            done = counts.canceled + counts.errored + counts.expired + counts.succeeded
            ended = batch.processing_status == "ended"
            outputs = (id,) if batch.results_url else ()
            return Standing(id, "ended" if ended else "running", batch.processing_status, done, outputs)

    async def cancel(self, id: str) -> None:
        async with self._asking("cancel a batch"):
            await self._client.messages.batches.cancel(id, timeout=self._timeout)

    async def _download(self, standing: Standing, output: str, into: Scratch) -> None:
        results = self._client.messages.batches.with_streaming_response.results
        await _copy(results(output, timeout=self._timeout), into)

    def _read(self, line: dict[str, Any]) -> Result:
        name, result = line["custom_id"], line["result"]
        if result["type"] == "succeeded":
            return Result(name, 200, to_json(result["message"]))
        if result["type"] in _GONE:
            return Result(name, gone=result["type"])
        return Result(name, 200, to_json(result["error"]), True)

    async def _files(self, name: str) -> AsyncIterator[str]:
        return
        yield name

    async def tidy(self, files: tuple[str, ...]) -> bool:
        """There are no files; the vendor keeps what it answered with the batch, for a while."""
        return True


class _Jobs(Batches):
    """A file of lines, uploaded, and a job made of it, in Gemini's words."""

    def line(self, name: str, body: bytes) -> bytes:
        return b'{"key":"%s","request":%s}' % (name.encode(), body)

    async def _ask(self, method: str, *, slow: bool = False, said: Mapping[str, Any] | None = None, **more: Any) -> Any:
        timeout = self._slow if slow else self._timeout
        return await uploading.either(self._provider, self._place["elsewhere"], method, timeout, said, **more)

    async def create(self, tag: str, upload: str | None, file: BinaryIO) -> str:
        async with self._asking("make a batch", of_model=True):
            said = {"display_name": f"llmring-{tag}"}
            made = await self._ask("batches.create", slow=True, said=said, model=self._model, src=upload)
            return _id(made.name)

    async def find(self, tag: str, since: float, count: int, known: Callable[[], frozenset[str]]) -> str | None:
        async with self._asking("list its batches"):
            async for job in await self._ask("batches.list", said={"page_size": _PAGE}):
                if job.display_name == f"llmring-{tag}":
                    return _id(job.name)
        return None

    async def look(self, id: str) -> Standing:
        async with self._asking("say how a batch stands"):
            job = await self._ask("batches.get", name=id)
            words = str(getattr(job.state, "value", job.state)).removeprefix("JOB_STATE_").lower()
            ended = words in ("succeeded", "partially_succeeded", "cancelled", "expired")
            state = "ended" if ended else "failed" if words == "failed" else "running"
            output = getattr(job.dest, "file_name", None)
            error = getattr(job.error, "message", None) or "it does not say why."
            return Standing(id, state, words, None, (output,) if output else (), error if state == "failed" else None)

    async def cancel(self, id: str) -> None:
        async with self._asking("cancel a batch"):
            await self._ask("batches.cancel", name=id)

    async def _download(self, standing: Standing, output: str, into: Scratch) -> None:
        await self._ask("files.download", file=output, destination=into)

    def _read(self, line: dict[str, Any]) -> Result:
        name, response, error = line["key"], line.get("response"), line.get("error")
        if response is not None:
            return Result(name, 200, to_json(response))
        code = error["code"] if error else 500
        return Result(name, _STATUSES.get(code, code if code >= 400 else 500), to_json({"error": error}), True)

    async def _files(self, name: str) -> AsyncIterator[str]:
        async for file in await self._ask("files.list", said={"page_size": _PAGE}):
            if file.display_name == name and file.name:
                yield file.name

    async def _delete(self, id: str) -> None:
        await self._ask("files.delete", name=id)


_PROTOCOLS: Mapping[str, type[Batches]] = {"lines": _Lines, "array": _Array, "jobs": _Jobs}


def _id(said: Any) -> str:
    if not isinstance(said, str) or not said:
        raise ValueError("it was answered with something that is no batch")
    return said


async def _copy(asked: AbstractAsyncContextManager[Any], into: Scratch) -> None:
    async with asked as answer:
        async for part in answer.iter_bytes(_BLOCK):
            into.write(part)


class _Content:
    """A file to send, piece by piece, and from its beginning each time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        while part := self._file.read(_BLOCK):
            yield part
