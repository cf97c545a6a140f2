"""A provider that is broken in one way each time, and the group of the suite that is to find it.

This is copied to where an author would have it, and run there (`test_broken.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import httpx2

from llmring.exceptions import LLMRingError, ProviderResponseError
from llmring.providers import Call, Decoder, HTTPResponse
from llmring.providers.errors import Refused
from llmring.schemas import StreamChunk
from llmring.testing import RecordedRequest
from llmring.testing.conformance import (
    Answer,
    AnswerTests,
    Asked,
    CallTests,
    ClosingTests,
    Declared,
    Event,
    FailureTests,
    FaultTests,
    LackTests,
    Problem,
    RoadTests,
    ScriptTests,
    SecrecyTests,
)
from llmring.testing.exchange import Trouble

from .acme import AcmeDecoder, AcmeProvider, AcmeWire


class Broken(Declared):
    """Each of these is found."""

    wire = AcmeWire()
    patience = 4.0
    timeout = 0.2


class WithDecoder(AcmeProvider):
    """Broken where it reads."""

    reads: ClassVar[type[AcmeDecoder]]

    def decoder(self, call: Call) -> Decoder:
        return self.reads(f"{self.name}:{call.model}")


class TestLeaksTheKey(Broken, SecrecyTests):
    class provider(AcmeProvider):
        def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
            return ProviderResponseError(
                f"{self.name}:{call.model} failed: {error}, {self.client.headers}", provider=self.name, model=call.model
            )


class TestShowsTheKey(Broken, SecrecyTests):
    class provider(AcmeProvider):
        def __repr__(self) -> str:
            return f"provider({self.client.headers})"


class TestDropsUsage(Broken, AnswerTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def read_bill(self, bill: dict[str, int]) -> None:
                pass


class TestGivesText(Broken, AnswerTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> Any:
                chunk = super().feed(event)
                return chunk and chunk.delta


class TestQuotesTheModel(Broken, AnswerTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            return super().render(replace(call, model=call.model.replace("/", "_")))


class TestHasAWireWithoutAnEnd(Broken, ScriptTests, AnswerTests):
    class EndlessWire(AcmeWire):
        def events(self, answer: Answer) -> Iterator[Event]:
            return (it._replace(end=False) for it in super().events(answer))

    wire = EndlessWire()
    provider = AcmeProvider


class TestHasAWireThatStumbles(Broken, ScriptTests, AnswerTests):
    class StumblingWire(AcmeWire):
        def events(self, answer: Answer) -> Iterator[Event]:
            raise KeyError("flow")

    wire = StumblingWire()
    provider = AcmeProvider


class TestLosesAPieceOfArguments(Broken, CallTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            pieces = 0

            def feed(self, event: Any) -> StreamChunk | None:
                self.pieces += event["is"] == "with"
                return None if event["is"] == "with" and self.pieces == 4 else super().feed(event)


class TestTakesACutForAnEnd(Broken, FaultTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> StreamChunk | None:
                self.complete = True
                return super().feed(event)


class TestEndsTwice(Broken, AnswerTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> StreamChunk | None:
                chunk = super().feed(event)
                if event["is"] == "bye":
                    return StreamChunk("", self.model, finish_reason=self.finish_reason or "stop")
                return chunk


class _Open:
    """An answer whose connection nobody closes."""

    def __init__(self, response: HTTPResponse) -> None:
        self.headers = response.headers
        self._parts = aiter(response.aiter_bytes())

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def aclose(self) -> None:
        pass


class TestClosesNothing(Broken, ClosingTests):
    class provider(AcmeProvider):
        answers: ClassVar[list[HTTPResponse]] = []

        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            self.answers.append(_Open(await super().send(call, body)))
            return self.answers[-1]


class TestKeepsItsClient(Broken, ClosingTests):
    class provider(AcmeProvider):
        async def close(self) -> None:
            pass


class TestSwallowsRetryAfter(Broken, FailureTests):
    class provider(AcmeProvider):
        def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
            if isinstance(error, Refused):
                error = Refused(error.status, {}, error.body)
            return super().error(error, call, None)


class TestSaysACallAsText(Broken, CallTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> StreamChunk | None:
                if event["is"] in ("act", "with"):
                    return StreamChunk(event.get("do", "") + event.get("piece", ""), self.model)
                return super().feed(event)


class TestEndsForAnotherReason(Broken, AnswerTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def read_end(self, end: dict[str, Any]) -> None:
                super().read_end({**end, "why": "stop"})


class TestInventsIds(Broken, CallTests):
    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> StreamChunk | None:
                if event["is"] == "act":
                    self.calls.start(event["ref"], event["do"], arriving=True)
                    return None
                return super().feed(event)


class TestHangs(Broken, FaultTests):
    class provider(AcmeProvider):
        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            while True:
                try:
                    return await super().send(call, body)
                except asyncio.CancelledError:
                    continue


class _Read:
    """An answer that has been read."""

    def __init__(self, headers: Mapping[str, str], body: bytes) -> None:
        self.headers = headers
        self._body = body

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        pass


class TestReadsAllBeforeItSays(Broken, AnswerTests):
    class provider(AcmeProvider):
        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            answer = await super().send(call, body)
            return _Read(answer.headers, b"".join([piece async for piece in answer.aiter_bytes()]))


class TestHoldsUpTheLoop(Broken, AnswerTests):
    class provider(AcmeProvider):
        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            with urlopen(Request(f"{self.config.base_url}/talk", body)) as response:  # noqa: ASYNC210
                return _Read(response.headers, response.read())


class TestNamesAnotherModel(Broken, AnswerTests):
    class provider(AcmeProvider):
        def decoder(self, call: Call) -> Decoder:
            return AcmeDecoder(call.model)


class TestKnowsNoPages(Broken, FailureTests):
    class provider(AcmeProvider):
        def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
            if isinstance(error, Refused):
                try:
                    json.loads(error.body)
                except ValueError as odd:
                    return super().error(odd, call, headers)
            return super().error(error, call, headers)


class TestMovesNowhere(Broken, RoadTests):
    class provider(AcmeProvider):
        def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
            raised = super().error(error, call, headers)
            if isinstance(error, Refused):
                return ProviderResponseError(str(raised), provider=self.name, model=call.model)
            return raised


class PickyWire(AcmeWire):
    """Of a server that has no tools."""

    def refuse(self, request: RecordedRequest) -> Problem | None:
        return Problem(400, "We have no skills.") if "skills" in request.body else None


class TestSendsWhatIsRefused(Broken, CallTests):
    provider = AcmeProvider
    wire = PickyWire()


class TestLeavesOutThePicture(Broken, AnswerTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            words = [message.model_copy(update={"content": "?"}) for message in call.request.messages]
            return super().render(replace(call, request=call.request.model_copy(update={"messages": words})))


class TestDropsAParameter(Broken, AnswerTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            return super().render(replace(call, request=call.request.model_copy(update={"stop": None})))


class TestFollowsAnywhere(Broken, SecrecyTests):
    class provider(AcmeProvider):
        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            async with httpx2.AsyncClient(follow_redirects=True, headers=self.client.headers) as client:
                answer = await client.post(f"{self.config.base_url}/talk", content=body)
            return _Read(answer.headers, answer.content)


class TestAsksAgainByItself(Broken, RoadTests):
    class provider(AcmeProvider):
        async def send(self, call: Call, body: bytes) -> HTTPResponse:
            try:
                return await super().send(call, body)
            except Refused:
                return await super().send(call, body)


def _without(call: Call, **left_out: Any) -> Call:
    return replace(call, request=call.request.model_copy(update=left_out))


class TestMixesUpResults(Broken, CallTests):
    """Results go back in order, under each other's numbers, which are no ids to keep."""

    lacks: ClassVar[Mapping[str, str]] = {"call_ids": "a ref is a number in the turn"}

    class provider(WithDecoder):
        class reads(AcmeDecoder):
            def feed(self, event: Any) -> StreamChunk | None:
                if event["is"] == "act":
                    self.calls.start(event["ref"], event["do"], arriving=True)
                    return None
                return super().feed(event)

        def render(self, call: Call) -> dict[str, Any]:
            body = super().render(call)
            told = [turn for turn in body["turns"] if turn["who"] == "skill"]
            for turn, ref in zip(told, [turn["ref"] for turn in reversed(told)], strict=True):
                turn["ref"] = ref
            return body


class TestNamesToolsOnly(Broken, CallTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            body = super().render(call)
            for skill in body.get("skills", ()):
                skill["takes"] = {}
            return body


class TestDropsTheChoice(Broken, CallTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            return super().render(_without(call, tool_choice=None))


class TestDropsLaterInstructions(Broken, AnswerTests):
    class provider(AcmeProvider):
        def render(self, call: Call) -> dict[str, Any]:
            first, *rest = call.request.messages
            kept = [message for message in rest if message.role != "system"]
            return super().render(_without(call, messages=[first, *kept]))


class PoorWire(AcmeWire):
    """Of a vendor with a word of its own for an empty account."""

    troubles: ClassVar[Mapping[Trouble, Problem]] = {"no_credit": Problem(400, "Your purse is empty.", "purse")}


class TestKnowsNoPurse(Broken, FailureTests):
    provider = AcmeProvider
    wire = PoorWire()


class BlindWire(AcmeWire):
    """Its script takes a table for text."""

    def read(self, request: RecordedRequest) -> Asked | None:
        asked = super().read(request)
        return asked and replace(asked, stream="flow=1" in request.query)


class TestHasABlindWire(Broken, AnswerTests):
    provider = AcmeProvider
    wire = BlindWire()


class TestLacksNothing(Broken, LackTests):
    provider = AcmeProvider
    lacks: ClassVar[Mapping[str, str]] = {"usage": "Acme bills by the month"}
