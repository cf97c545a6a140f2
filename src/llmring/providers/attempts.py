"""What the last attempt of a request came to: an SDK that tries again by itself does not say.

Time may be up while it waits to try once more, and a refusal may break off before its explanation has come: the
status that was seen is the truth even so.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

__all__ = ["Attempts", "Refused", "last_attempt"]


class Refused(Exception):
    """An answer that is not a good one.

    Attributes:
        status, headers: of the answer.
        body: all that came of it.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


last_attempt: ContextVar[Exception | None] = ContextVar("llmring_last_attempt", default=None)


class Attempts:
    """Mixed into an HTTP client, of httpx or httpx2: a request that fails leaves its failure in `last_attempt`."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send, and read a refusal to its end."""
        refused = False
        try:
            response = await super().send(request, **options)  # type: ignore[misc]
            if refused := not response.is_success:
                words = f"{response.status_code} {response.reason_phrase}".strip()
                last_attempt.set(Refused(response.status_code, response.headers, words.encode()))
                try:
                    body = await response.aread()
                finally:
                    await response.aclose()
                last_attempt.set(Refused(response.status_code, response.headers, body))
        except Exception as error:
            if not refused:
                last_attempt.set(error)
            raise
        if not refused:
            last_attempt.set(None)
        return response
