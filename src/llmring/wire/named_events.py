"""Server-sent events that say their kind by their name: no wire of ours does, but adapters of others may."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from pydantic_core import to_json

from . import MAX_BYTES
from .framing import SSEFrames

__all__ = ["NamedSSEFrames"]


class NamedSSEFrames(SSEFrames):
    """Server-sent events whose kind is their name, which their data does not repeat.

    The payload of each is `{"event": NAME, "data": DATA}`, with the data as it is, which must be JSON. One without a
    name is called `message`, as the standard has it.

    Attributes:
        ignores: names of events that say nothing, whatever their data is, such as what keeps a connection awake. Of any
            other, data that is no JSON is an event that cannot be decoded. Derive a class to name some:
            `class Frames(NamedSSEFrames): ignores = ("beat",)`.
    """

    ignores: ClassVar[Collection[str]] = ()

    def __init__(self, most: int = MAX_BYTES) -> None:
        super().__init__(most)
        self._name = b""
        self._ignored = frozenset(name.encode() for name in self.ignores)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that `data` completes."""
        payloads = []
        for line in self._lines(data):
            if line.startswith(b"event:"):
                self._name = line[7:] if line.startswith(b"event: ") else line[6:]
                continue
            if line.startswith(b"error:"):
                self._name = b"error"
            whole = self._payloads([line])
            if whole and self._name not in self._ignored:
                payloads += [self._named(payload) for payload in whole]
            if not line or line == b"event":
                self._name = b""
        return payloads

    def _named(self, payload: bytes) -> bytes:
        if payload.strip() == b"[DONE]":
            return payload
        name = to_json(self._name.decode(errors="replace") or "message")
        return b'{"event":%b,"data":%b}' % (name, payload)
