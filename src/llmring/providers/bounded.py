"""A bound on the answers that an SDK's client reads as a whole, by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

import httpx2

from .. import concealment
from ..unpacking import unpacked

__all__ = ["MOST", "bounded", "cut"]

MOST: Final[ContextVar[int | None]] = ContextVar("llmring_most", default=None)
"""Bytes that are read of an answer, unpacked; `None` for all of it."""
_OF_A_LIST = 16 * 1024 * 1024
"""The longest list of models, that of a gateway, has some two million."""


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """What is asked in here is answered in 16 MiB, or cut there, so that it is no JSON."""
    before = MOST.set(_OF_A_LIST)
    try:
        yield
    finally:
        MOST.reset(before)


async def cut(answer: Awaitable[httpx2.Response], most: int) -> httpx2.Response:
    """An answer as far as it may go, unpacked in bounded steps: a client would unpack a megabyte to a thousand.

    Args:
        answer: from the network, with its body still to be read.
        most: bytes.
    """
    response = await answer
    body = bytearray()
    try:
        async for part in unpacked(response):
            body += part
            if len(body) > most:
                break
    finally:
        await response.aclose()
    headers = [it for it in response.headers.multi_items() if it[0] not in concealment.OF_THE_BODY]
    return httpx2.Response(response.status_code, headers=headers, stream=httpx2.ByteStream(bytes(body[:most])))
