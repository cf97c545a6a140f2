"""The body of an answer, its content encoding undone in bounded steps.

A few hundred bytes can hold hundreds of megabytes: what the HTTP libraries unpack at once stops the event loop and
fills the memory before anybody can look.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from .base import HTTPResponse

__all__ = ["ENCODINGS", "PackedBodyError", "unpacked"]

ENCODINGS = "gzip, deflate"
"""Those that are asked for."""
_STEP = 256 * 1024
"""Bytes that are unpacked at a time."""


class PackedBodyError(OSError):
    """A body that cannot be unpacked, or not to its end."""


def unpacked(response: HTTPResponse) -> AsyncIterator[bytes]:
    """The body as it arrives, unpacked. Raises `PackedBodyError` where it breaks off, or is packed in another way."""
    packed: Callable[[], AsyncIterator[bytes]] | None = getattr(response, "aiter_raw", None)
    if packed is None:
        return response.aiter_bytes()
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return packed() if encoding in ("", "identity") else _unpacked(packed(), encoding)


async def _unpacked(raw: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:

    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise PackedBodyError(f"the body is packed as {encoding[:40]!r}, and only {ENCODINGS} was asked for")
    unpacker, begun = zlib.decompressobj(zlib.MAX_WBITS | (0 if encoding == "deflate" else 16)), False
    async with aclosing(raw):  # type: ignore[type-var]
        async for data in raw:
            while data and not unpacker.eof:
                try:
                    piece = unpacker.decompress(data, _STEP)
                except zlib.error as error:
                    if begun or encoding != "deflate":
                        raise PackedBodyError(f"the body cannot be unpacked: {error}") from None
                    # Some servers leave out the header that the name stands for.
                    unpacker, begun = zlib.decompressobj(-zlib.MAX_WBITS), True
                    continue
                begun, data = True, unpacker.unconsumed_tail
                if piece:
                    yield piece
                    # So that much out of little holds nobody up.
                    await asyncio.sleep(0)
    if begun and not unpacker.eof:
        raise PackedBodyError("the packed body ended before its end")
