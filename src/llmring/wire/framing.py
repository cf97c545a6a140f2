"""Bytes, cut anywhere, into the payloads of whole events: server-sent events, and one JSON object a line."""

from __future__ import annotations

from pydantic_core import from_json, to_json

from . import MAX_BYTES

__all__ = ["LineFrames", "SSEFrames", "TooLargeError", "WholeFrames"]

_BOM = b"\xef\xbb\xbf"


class TooLargeError(Exception):
    """More has come than what was to be kept of it; the message says what is too large."""


class LineFrames:
    """Splits a stream of lines, in any newline convention, as bytes arrive.

    Args:
        most: bytes that a line, or an event of several, may have.
    """

    def __init__(self, most: int = MAX_BYTES) -> None:
        self._most = most
        self._kept = 0
        self._parts: list[bytes] = []
        self._after_cr = False
        self._started = False

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; what is left is kept for the next bytes."""
        if not data:
            return []
        if not self._started:
            data = b"".join((*self._parts, data))
            self._parts.clear()
            if len(data) < 3 and _BOM.startswith(data):
                self._parts.append(data)
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        if self._after_cr:
            # The line feed of a CRLF that was cut in two: its carriage return has ended the line.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        # Of bytes, unlike of text, these are the lines that end in LF, CR or CRLF, and no others.
        lines = data.splitlines()
        ended = data.endswith(b"\n")
        if not ended:
            ended = self._after_cr = data.endswith(b"\r")
        rest = b"" if ended or not lines else lines.pop()
        if self._parts and lines:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
            self._kept = 0
        if rest:
            self._parts.append(rest)
            self._kept += len(rest)
            if self._kept > self._most:
                raise TooLargeError("a line")
        return lines

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that `data` completes."""
        return [line for line in self._lines(data) if line and not line.isspace()]

    def close(self) -> list[bytes]:
        """The payload of a last event whose end the sender left out."""
        return self.feed(b"\n")


class SSEFrames(LineFrames):
    """Splits a stream of server-sent events, after the WHATWG standard's rules for lines and fields.

    Only `data` is of interest: event names, ids and comments are passed over, since most formats that come this way
    repeat the event's type inside its data (for others: `named_events`). A field `error`, which the standard does not
    know, is how llama-server said that it failed until September 2025: it becomes the data of an error.
    """

    def __init__(self, most: int = MAX_BYTES) -> None:
        super().__init__(most)
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that `data` completes."""
        return self._payloads(self._lines(data))

    def _payloads(self, lines: list[bytes]) -> list[bytes]:
        payloads = []
        for line in lines:
            if not line:
                if self._data:
                    payload = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    self._data = []
                    self._size = 0
                    # Blank data keeps a connection awake; it says nothing.
                    if payload and not payload.isspace():
                        payloads.append(payload)
            elif line.startswith(b"data:"):
                if self._data:
                    # Of one line, the line's bound is the event's.
                    self._size += len(line)
                    if self._size > self._most:
                        raise TooLargeError("an event")
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"error:"):
                payloads.append(_error(line[6:].strip()))
            elif line == b"data":
                self._data.append(b"")
        return payloads

    def close(self) -> list[bytes]:
        """The payload of a last event whose blank line the sender left out."""
        return self.feed(b"\n\n")


class WholeFrames(LineFrames):
    """Gathers a body that is one value, over however many lines."""

    def feed(self, data: bytes) -> list[bytes]:
        """None, before the end."""
        self._parts.append(data)
        self._kept += len(data)
        if self._kept > self._most:
            self._parts.clear()
            raise TooLargeError("a body")
        return []

    def close(self) -> list[bytes]:
        """All of it."""
        body = b"".join(self._parts)
        self._parts.clear()
        return [body]


def _error(value: bytes) -> bytes:
    """The data of an error in the forms of all formats that come this way."""
    try:
        said = from_json(value)
    except ValueError:
        said = value.decode(errors="replace")
    return to_json({"type": "error", "error": said})
