"""The body of an answer, unpacked as it arrives."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Protocol

__all__ = ["ENCODINGS", "HTTPResponse", "PackedBodyError", "unpacked"]

ENCODINGS = "gzip, deflate"
"""Those of a body that are asked for."""
_STEP = 256 * 1024
"""Bytes that are unpacked at a time."""


class HTTPResponse(Protocol):
    """What httpx's and httpx2's responses have in common, as far as it is needed here."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives, its content encoding undone; where there is a `stream`, that is read instead."""
        ...

    async def aclose(self) -> None:
        """Close the connection, or give it back to the pool if the body was read to its end."""
        ...


class PackedBodyError(OSError):
    """A body that cannot be unpacked, or not to its end."""


def unpacked(response: HTTPResponse) -> AsyncIterator[bytes]:
    """The body as it arrives, its content encoding undone in bounded steps: hundreds of bytes can hold hundreds of MB.

    Raises `PackedBodyError` where it breaks off, or is packed in another way.
    """
    # What httpx2 lays around it would count the bytes.
    packed: AsyncIterable[bytes] | None = getattr(response, "stream", None)
    if packed is None:
        return response.aiter_bytes()
    encoding = response.headers.get("content-encoding", "").strip().lower()
    parts = aiter(packed)
    return parts if encoding in ("", "identity") else _unpacked(parts, encoding)


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
