"""A provider of a wire that is nobody's passes the suite, on a server that speaks it by its author's script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llmring.providers import Call, CannotCarry, Decoder, LineFrames
from llmring.testing.conformance import (
    AnswerTests,
    CallTests,
    Declared,
    Event,
    FaultTests,
    LackTests,
    ProviderConformance,
)

from .acme import AcmeDecoder, AcmeProvider, AcmeWire


class TestAcme(ProviderConformance):
    provider = AcmeProvider
    wire = AcmeWire()


class LinesWire(AcmeWire):
    """The same, an event a line."""

    lines = True
    content_type = "application/x-ndjson"


class LinesDecoder(AcmeDecoder):
    frames = LineFrames


class TestLines(Declared, AnswerTests, FaultTests):
    wire = LinesWire()

    class provider(AcmeProvider):
        def decoder(self, call: Call) -> Decoder:
            return LinesDecoder(f"{self.name}:{call.model}")


class TestWithoutTools(Declared, CallTests, LackTests):
    """Who refuses tools has none of their parts: that is not to be declared, nor looked for."""

    wire = AcmeWire()
    lacks: ClassVar[Mapping[str, str]] = {"tools": "Acme has no skills"}

    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            if call.request.tools:
                raise CannotCarry("Acme has no skills; leave the tools out")
            return super().render(call)


class SequenceWire(AcmeWire):
    """The same, in a form of its own: JSON text sequences (RFC 7464)."""

    content_type = "application/json-seq"

    def frame(self, event: Event, newline: bytes) -> bytes:
        return b"\x1e" + event.data + newline


class SequenceFrames(LineFrames):
    """A record separator before each event."""

    def feed(self, data: bytes) -> list[bytes]:
        records = (line.removeprefix(b"\x1e") for line in super().feed(data))
        # A comment is none in this form, and says nothing.
        return [record for record in records if not record.startswith(b":")]


class SequenceDecoder(AcmeDecoder):
    frames = SequenceFrames


class TestSequences(Declared, AnswerTests, CallTests, FaultTests):
    wire = SequenceWire()

    class provider(AcmeProvider):
        def decoder(self, call: Call) -> Decoder:
            return SequenceDecoder(f"{self.name}:{call.model}")
