"""How the practice server may misbehave: `Fault`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Fault"]

Kind = Literal[
    "never_answer",
    "hang_up",
    "headers_only",
    "stall",
    "chatter",
    "linger",
    "reset",
    "cut",
    "end_early",
    "error_event",
    "malformed_event",
    "lost_event",
    "invalid_utf8",
    "unknown_events",
    "not_a_stream",
    "one_byte",
    "newlines",
    "bom",
    "comments",
    "gzip",
    "big_event",
    "no_usage",
    "no_finish_reason",
]


@dataclass(frozen=True)
class Fault:
    """One way to misbehave, on whichever wire. Made by the methods below, not by hand.

    `after` counts pieces of text, reasoning or arguments: 0 is before the first event of all, 2 is right
    after the second piece, more than there are is right before the wire's end marker. In an answer that is
    not streamed, 0 is before its first byte and anything more is in its middle.
    """

    kind: Kind
    after: int = 0
    status: int = 500
    message: str | None = None
    type: str | None = None
    text: str = ""
    size: int = 0

    @classmethod
    def never_answer(cls) -> Fault:
        """The request is read, and nothing comes back."""
        return cls("never_answer")

    @classmethod
    def hang_up(cls) -> Fault:
        """The request is read, and the connection is closed."""
        return cls("hang_up")

    @classmethod
    def headers_only(cls) -> Fault:
        """The headers come, and nothing more."""
        return cls("headers_only")

    @classmethod
    def stall_after(cls, chunks: int) -> Fault:
        """After that many chunks nothing more comes; the connection stays open."""
        return cls("stall", chunks)

    @classmethod
    def chatter_after(cls, chunks: int) -> Fault:
        """After that many chunks only comments come, for ever; blank lines where a wire has no comments."""
        return cls("chatter", chunks)

    @classmethod
    def linger(cls) -> Fault:
        """All of the answer comes, but for HTTP it never ends."""
        return cls("linger")

    @classmethod
    def reset_before_first(cls) -> Fault:
        """The headers come, then a TCP reset."""
        return cls("reset", 0)

    @classmethod
    def reset_after(cls, chunks: int) -> Fault:
        """A TCP reset after that many chunks."""
        return cls("reset", chunks)

    @classmethod
    def cut_after(cls, chunks: int) -> Fault:
        """The connection is closed inside an event: HTTP says that more was to come."""
        return cls("cut", chunks)

    @classmethod
    def end_early(cls, chunks: int | None = None) -> Fault:
        """The answer ends well for HTTP, but without the wire's end marker; `None`: only that is missing."""
        return cls("end_early", _ALL if chunks is None else chunks)

    @classmethod
    def error_event(
        cls, after: int = 0, status: int = 500, message: str | None = None, type: str | None = None
    ) -> Fault:
        """The wire's own error inside an answer of status 200, which ends with it."""
        return cls("error_event", after, status, message, type)

    @classmethod
    def malformed_event(cls, at: int = 1) -> Fault:
        """One more event, of broken JSON, among the good ones; a body that is not streamed is cut short."""
        return cls("malformed_event", at)

    @classmethod
    def lost_event(cls, at: int = 1) -> Fault:
        """The piece of that number is lost: its event is of broken JSON. An answer that is not streamed is whole."""
        return cls("lost_event", at)

    @classmethod
    def invalid_utf8(cls, at: int = 1) -> Fault:
        """One more piece of text, of bytes that are not UTF-8, among the good ones."""
        return cls("invalid_utf8", at)

    @classmethod
    def unknown_events(cls) -> Fault:
        """Events, parts and fields that nobody knows yet, between the good ones."""
        return cls("unknown_events")

    @classmethod
    def not_a_stream(cls, content_type: str = "text/html", text: str | None = None) -> Fault:
        """Status 200 and something else altogether: a page, or JSON of no known form."""
        if text is None:
            text = '{"hello": "world"}' if "json" in content_type else "<html><body>Welcome</body></html>\n"
        return cls("not_a_stream", text=text, type=content_type)

    @classmethod
    def one_byte(cls) -> Fault:
        """Each byte in an HTTP chunk and a write of its own."""
        return cls("one_byte")

    @classmethod
    def newlines(cls, newline: str = "\r\n") -> Fault:
        """Lines end in this."""
        return cls("newlines", text=newline)

    @classmethod
    def bom(cls) -> Fault:
        """A byte-order mark comes first."""
        return cls("bom")

    @classmethod
    def comments(cls) -> Fault:
        """Comments before, between and after the events; blank lines where a wire has no comments."""
        return cls("comments")

    @classmethod
    def gzip(cls) -> Fault:
        """The body is compressed, and flushed after each event."""
        return cls("gzip")

    @classmethod
    def big_event(cls, size: int = 3_000_000) -> Fault:
        """One more piece of text, of that many letters, at the end."""
        return cls("big_event", size=size)

    @classmethod
    def no_usage(cls) -> Fault:
        """No token counts."""
        return cls("no_usage")

    @classmethod
    def no_finish_reason(cls) -> Fault:
        """The end marker without a reason (Gemini's only end marker is the reason: it has neither)."""
        return cls("no_finish_reason")


_ALL = 1 << 30
