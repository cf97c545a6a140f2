"""Batches: many requests that a vendor answers within a day, at a share of the price.

Which vendors take them, for which wires and within which limits, is the `batch` of `vendors.json`. The SDK's own
methods are called, as anyone would call them. A batch is made of a file of lines that was written before (`line` makes
one), so that nothing of it is held in memory; and its answers are kept in a file before they are read.
"""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast
from urllib.parse import urlsplit

from pydantic_core import from_json

from ..exceptions import ConfigurationError, ModelNotFoundError, ProviderError, ProviderResponseError, is_passing
from ..schemas import LLMRequest
from ..vendors import VENDORS, also_called, of_vendors
from . import listing, uploading
from .base import Call
from .bounded import bounded
from .transport import AT_HOME

if TYPE_CHECKING:
    from .base import Provider

__all__ = ["BatchEndpoint", "Batches", "Result", "Scratch", "Standing", "Unsure", "endpoint_at"]

_PATIENCE = 600.0
"""Seconds that a vendor may take to read a batch in."""


@dataclass(frozen=True, slots=True)
class BatchEndpoint:
    """How a vendor takes batches.

    Attributes:
        vendor: whose it is.
        protocol: `"lines"`, a file and a batch of it; `"array"`, all in one request; `"jobs"`, Gemini's way.
        requests, bytes: that one may have.
        share: of the usual price.
        hours: within which it is done, or over.
        full: words of a batch that waits in vain until others are done.
        wires: which it takes, with what a line says of each.
        upload: further arguments of the file's upload.
    """

    vendor: str
    protocol: str
    requests: int
    bytes: int
    share: float
    hours: int
    full: tuple[str, ...]
    wires: Mapping[str, Mapping[str, str]]
    upload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a batch stands.

    Attributes:
        id: by which the vendor knows it.
        state: `"running"`, `"ended"`, or `"failed"`: the vendor took none of it.
        words: the vendor's own for that.
        done: rows that are over; `None` where it does not say.
        outputs: files of answers.
        error: why it failed.
        full: it failed since too much waits already.
    """

    id: str
    state: str
    words: str
    done: int | None = None
    outputs: tuple[str, ...] = ()
    error: str | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request of a batch.

    Attributes:
        name: as `line` was given it.
        status: of the answer, as for a request by itself; 200 of a refusal has it told by its words.
        body: the answer, as JSON.
        is_refusal: whether it is one.
        gone: why it was not asked at all; `None` where it was.
    """

    name: str
    status: int = 200
    body: bytes = b""
    is_refusal: bool = False
    gone: str | None = None


class Scratch:
    """A file that is there for a while.

    Attributes:
        file: it.
    """

    def __init__(self) -> None:
        self.file: BinaryIO = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by `close`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; the system deletes it."""
        self.file.close()

    def write(self, data: bytes) -> int:
        """Append to it.

        Raises:
            ConfigurationError: there is no room.
        """
        try:
            return self.file.write(data)
        except OSError as error:
            raise _no_room(error) from None

    def read(self) -> BinaryIO:
        """It, from its beginning."""
        try:
            self.file.seek(0)
        except OSError as error:  # of what was still to be written
            raise _no_room(error) from None
        return self.file


def _no_room(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"A file in {tempfile.gettempdir()} cannot be written: {error.strerror}. Make room there, or have TMPDIR name "
        "another folder. Nothing is lost: run it again."
    )


class Unsure(Exception):
    """Whether a batch was made cannot be told yet: one that may be it is still under way."""


def endpoint_at(name: str, address: str | None, wire: str | None = None) -> BatchEndpoint | None:
    """Where a provider takes batches; `None` where none is known.

    Args:
        name: as in `provider:model`.
        address: where it is asked.
        wire: that its requests are sent in; `None` where that is not known yet.
    """
    host = urlsplit(address or "").hostname or ""
    vendor = also_called().get(name, name)
    for owner, endpoint in _endpoints().items():
        if (owner == vendor or VENDORS[owner].has_host(host)) and (wire is None or wire in endpoint.wires):
            return endpoint
    return None


@cache
def _endpoints() -> Mapping[str, BatchEndpoint]:
    return {
        vendor: BatchEndpoint(
            vendor,
            row["protocol"],
            row["requests"],
            row["bytes"],
            row["share"],
            row["hours"],
            tuple(row.get("full", ())),
            row["wires"],
            row.get("upload", {}),
        )
        for vendor, row in of_vendors("batch").items()
    }


class Batches(ABC):
    """A model's batches at its vendor. All of its errors are of `llmring.exceptions`.

    Attributes:
        endpoint: what is known of them.
        head, between, tail: what the lines of a batch's file stand in.
    """

    head, between, tail = b"", b"\n", b"\n"

    def __init__(
        self, provider: Provider, endpoint: BatchEndpoint, model: str, wire: str, timeout: float | None
    ) -> None:
        self.endpoint = endpoint
        self._provider = provider
        self._model = model
        self._wire = wire
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider.name

    def says_full(self, words: str) -> bool:
        """Whether a refusal says that too much waits already."""
        return any(it in words.lower() for it in self.endpoint.full)

    @abstractmethod
    def line(self, name: str, body: bytes) -> bytes:
        """A request of a batch: its name, and the body as it would be sent by itself."""

    async def upload(self, tag: str, file: BinaryIO) -> str | None:
        """Give the vendor the file of a batch; gives its id, `None` where it goes with the batch."""
        row = self._place
        names = row["protocol"], row["upload"], row["delete"]
        how = uploading.FilesEndpoint(
            *names, (), (), row.get("get"), self.endpoint.upload, elsewhere=row.get("elsewhere")
        )
        async with self._asking("take the file of a batch"):
            file.seek(0)
            kept = await uploading.upload(self._provider, how, file, _file_name(tag), "application/jsonl", self._slow)
            return kept.id

    async def uploaded(self, tag: str) -> tuple[str, ...]:
        """The files that were uploaded for a batch, as far as the vendor still has them."""
        async with self._asking("list its files"):
            return tuple([it async for it in self._files(_file_name(tag))])

    @abstractmethod
    def _files(self, name: str) -> AsyncIterator[str]: ...

    @abstractmethod
    async def create(self, tag: str, upload: str | None, file: BinaryIO) -> str:
        """Have a batch made; gives its id. What fails here may have been made all the same, but for a refusal."""

    @abstractmethod
    async def find(self, tag: str, since: float, count: int, known: Callable[[], frozenset[str]]) -> str | None:
        """The id of a batch that may have been made; `None` where it was not.

        Args:
            tag: its own.
            since: when it may have been made at the earliest, in seconds since 1970.
            count: requests in it.
            known: gives the ids of others.

        Raises:
            Unsure: it cannot be told yet.
        """

    @abstractmethod
    async def look(self, id: str) -> Standing:
        """How a batch stands."""

    @abstractmethod
    async def cancel(self, id: str) -> None:
        """Have no more of it asked. What is answered already is there, and billed, when it has ended."""

    @abstractmethod
    async def _download(self, standing: Standing, output: str, into: Scratch) -> None: ...

    @abstractmethod
    def _read(self, line: dict[str, Any]) -> Result: ...

    async def results(self, standing: Standing, *, lenient: bool = False) -> AsyncIterator[Result]:
        """What came of each request of a batch that has ended, in any order. Some may be missing: they were not asked.

        Args:
            standing: its own.
            lenient: what cannot be read, and files that are not there any more, are passed by.

        Raises:
            ProviderResponseError: something among them is no answer.
        """
        for output in standing.outputs:
            with Scratch() as kept:
                try:
                    async with self._asking("give the answers of a batch", bound=False):
                        await self._download(standing, output, kept)
                except ProviderError as error:
                    if not lenient or is_passing(error):
                        raise
                for line in kept.read():
                    try:
                        if line.strip():
                            yield self._result(line)
                    except ProviderResponseError:
                        if not lenient:
                            raise

    def _result(self, line: bytes) -> Result:
        try:
            result = self._read(from_json(line))
            result.name.encode()  # what is no text is none of ours
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProviderResponseError(
                f"{self._provider.name} gave something among the answers of a batch that is none.",
                provider=self._provider.name,
                model=self._model,
            ) from None
        return result

    async def tidy(self, files: tuple[str, ...]) -> bool:
        """Delete files of a batch at the vendor; whether it did, or never will."""
        done = True
        for id in files:
            try:
                async with self._asking("delete a file of a batch"):
                    await self._delete(id)
            except ProviderError as error:
                done &= not is_passing(error)
        return done

    async def _delete(self, id: str) -> None:
        await self._client.files.delete(id)

    @property
    def _place(self) -> Mapping[str, Any]:
        """Where the vendor keeps files."""
        place: Mapping[str, Any] = of_vendors("files")[self.endpoint.vendor]
        return place

    @property
    def _client(self) -> Any:
        """The SDK's client, without retries of its own: what is tried again is ours to say."""
        return self._provider.client.with_options(max_retries=0)

    @property
    def _slow(self) -> float | None:
        return None if self._timeout is None else max(self._timeout, _PATIENCE)

    @contextlib.asynccontextmanager
    async def _asking(self, task: str, *, bound: bool = True, of_model: bool = False) -> AsyncIterator[None]:
        """Have what the SDK raises raised as ours; what is sent and read goes to no other server.

        Args:
            task: what is done.
            bound: whether an answer may only be so large.
            of_model: whether a 404 may be that of the model.
        """
        before = AT_HOME.set(True)
        try:
            async with bounded() if bound else contextlib.nullcontext():
                yield
        except Unsure:
            raise
        except Exception as error:
            failure = error
        else:
            return
        finally:
            AT_HOME.reset(before)
        if isinstance(failure, uploading.NoFilesThere) and isinstance(failure.__cause__, Exception):
            failure = failure.__cause__
        call = Call(LLMRequest(model=self._model, messages=[]), self._model, False, self._timeout)
        raised = self._provider.error(uploading.plain(failure), call)
        if isinstance(raised, ModelNotFoundError) and not of_model:
            raise listing.failure_of(self._provider, failure, self._timeout, task)
        raised.args = (f"{self._provider.name} did not {task}. {raised}",)
        raise raised


def _file_name(tag: str) -> str:
    """What the file of a batch is called at its vendor."""
    return f"llmring-{tag}.jsonl"
