"""What the practice server was asked, for assertions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RecordedRequest"]


@dataclass(eq=False)
class RecordedRequest:
    """One request as it came over the wire.

    Attributes:
        wire: `openai-chat`, `openai-responses`, `anthropic`, `gemini` or `ollama`; `models` for a listing,
            `None` for a path that nobody serves.
        method, path, query, headers: of the HTTP request; header names in lower case.
        raw, body: the body as bytes, and parsed (`None` if it is not JSON).
        model: the model asked for.
        stream: whether a stream was asked for.
        connection: the number of the connection; the same on requests that share one.
        number: of the request, from 1.
        vendor: whose Chat Completions were asked for (see `PracticeServer`), `None` for any host's.
        refused: what the vendor would have said to it, and the server did; `None` for a request that it took.
        started_at: when the whole request had arrived, on the clock of `time.monotonic()`.
        finished_at: when the whole answer had been handed to the network.
        disconnected_at: when the client closed the connection on which this was the last request.
        closed_by_client: set at that moment. `finished_at` tells whether the answer was whole by then.
        chunks_sent: how many pieces of text, reasoning or arguments have gone out so far.
    """

    wire: str | None
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    body: Any = None
    model: str = ""
    stream: bool = False
    connection: int = 0
    number: int = 0
    vendor: str | None = None
    refused: str | None = None
    started_at: float = field(default_factory=time.monotonic)
    finished_at: float | None = None
    disconnected_at: float | None = None
    closed_by_client: threading.Event = field(default_factory=threading.Event, repr=False)
    chunks_sent: int = 0

    def __repr__(self) -> str:
        return f"<RecordedRequest {self.number}: {self.method} {self.path} {self.wire} {self.model}>"

    def wait_closed(self, timeout: float | None = 5.0) -> bool:
        """Whether the client closes the connection within that many seconds. Blocks the thread."""
        return self.closed_by_client.wait(timeout)

    async def closed(self, timeout: float = 5.0) -> bool:
        """`wait_closed` for async code: the loop goes on, so that a client in it can close."""
        return await asyncio.to_thread(self.wait_closed, timeout)

    @property
    def id(self) -> str:
        """What the answer names as the id of the request, unless the reply does."""
        return f"req_practice{self.number:06d}"

    @property
    def question(self) -> str:
        """The text of the last turn, whatever the wire."""
        turns = self._turns()
        if isinstance(turns, str):
            return turns
        return "".join(_texts(turns[-1])) if turns and isinstance(turns, list) else ""

    @property
    def words(self) -> int:
        """The words of the conversation, instructions included: the stand-in for prompt tokens."""
        if not isinstance(self.body, dict):
            return 0
        said = (self.body.get(key) for key in ("system", "systemInstruction", "instructions"))
        return sum(len(text.split()) for part in (self._turns(), *said) for text in _texts(part))

    def _turns(self) -> Any:
        """The conversation under the name that the wire gives it."""
        if not isinstance(self.body, dict):
            return []
        return next((self.body[key] for key in ("messages", "input", "contents") if self.body.get(key)), [])


def _texts(part: Any) -> Iterator[str]:
    """Every text inside a turn, in order; not its role, type or id."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
    elif isinstance(part, dict):
        for key in ("text", "content", "parts", "output"):
            yield from _texts(part.get(key))
