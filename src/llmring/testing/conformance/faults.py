"""What goes wrong in the middle of an answer: cuts, silence, garbage; and what is odd and yet right."""

from __future__ import annotations

import asyncio

from ...exceptions import ProviderConnectionError, ProviderResponseError, ProviderTimeoutError
from ..exchange import Reply
from ..faults import Fault
from . import contract
from .answers import PIECES, TEXT
from .cases import case, pytest
from .stage import Stage

__all__ = ["FaultTests"]

_HUGE = 1_500_000
_BOUND = 100_000
_BEFORE = {
    "hung up before the answer": Fault.hang_up(),
    "was cut before the first event": Fault.cut_after(0),
    "ended before the first event": Fault.end_early(0),
}
_MIDST = {
    "was cut in the middle of an event": Fault.cut_after(2),
    "was reset after the second piece": Fault.reset_after(2),
    "ended well after the second piece": Fault.end_early(2),
}
_SILENT = {
    "nothing came back": Fault.never_answer(),
    "the headers came, and nothing more": Fault.headers_only(),
    "nothing came after the second piece": Fault.stall_after(2),
}


def _id(did: str) -> str:
    return did.replace(" ", "-").replace(",", "")


class FaultTests:
    """What a fault comes to."""

    @case(contract.CUT)
    @pytest.mark.parametrize("did", _BEFORE, ids=_id)
    async def test_a_cut_before_the_first_chunk(self, stage: Stage, did: str) -> None:
        stage.says(Reply(chunks=PIECES, fault=_BEFORE[did]))
        taken = await stage.stream(stage.ask())
        _is_cut(stage, taken.error, f"the server {did}")
        assert taken.error is not None
        stage.same("the error's partial", taken.error.partial, None)

    @case(contract.CUT)
    @pytest.mark.parametrize("did", _MIDST, ids=_id)
    async def test_a_cut_in_the_middle(self, stage: Stage, did: str) -> None:
        stage.says(Reply(chunks=PIECES, fault=_MIDST[did]))
        taken = await stage.stream(stage.ask())
        _is_cut(stage, taken.error, f"the stream {did}")
        said = PIECES[0] + PIECES[1]
        assert taken.error is not None
        stage.same("the text before the cut", taken.text, said)
        stage.same("the error's partial", taken.error.partial and taken.error.partial.content, said)

    @case(contract.CUT, "end_marker")
    async def test_an_end_without_the_end_marker(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.end_early()))
        taken = await stage.stream(stage.ask())
        _is_cut(
            stage, taken.error, "all of the text came, and the stream ended well for HTTP, but without its end marker"
        )

    @case(contract.CUT)
    async def test_a_whole_answer_that_is_cut(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.cut_after(1)))
        try:
            response = await stage.whole(stage.ask())
        except ProviderConnectionError:
            return
        except ProviderResponseError as error:
            _is_cut(stage, error, "the body was cut in its middle")
        stage.wrong(f"the body was cut in its middle, and a good answer came of it: {response.content!r}")

    @case(contract.SILENCE)
    @pytest.mark.parametrize("did", _SILENT, ids=_id)
    async def test_silence(self, stage: Stage, did: str) -> None:
        stage.says(Reply(chunks=PIECES, fault=_SILENT[did]))
        timeout = stage.subject.timeout
        asked = stage.ask(timeout=timeout)
        await stage.failures(ProviderTimeoutError, f"{did}, and the timeout was {timeout:g} s", request=asked)

    @case(contract.SILENCE)
    async def test_what_is_slow_is_not_silent(self, stage: Stage) -> None:
        timeout = stage.subject.timeout
        stage.says(Reply(chunks=PIECES, interval=timeout * 0.45))
        taken = await stage.good(stage.ask(timeout=timeout * 2))
        stage.same("the text", taken.text, TEXT, "let no timeout of your client's be for the whole answer")

    @case(contract.SKIPPED)
    @pytest.mark.parametrize("what", ["broken JSON", "bytes that are no UTF-8"], ids=_id)
    async def test_an_event_of_garbage_is_skipped(self, stage: Stage, what: str) -> None:
        fault = Fault.malformed_event(2) if what == "broken JSON" else Fault.invalid_utf8(2)
        stage.says(Reply(chunks=PIECES, fault=fault))
        with stage.listening() as logs:
            taken = await stage.stream(stage.ask())
        stage.check(taken.error is None, f"one event of {what} made the answer an error: {taken.error}")
        stage.same("the text", taken.text, TEXT, f"one event was {what}")
        stage.same("the final chunk's skipped_events", taken.final.skipped_events, 1)
        warned = any(line.startswith("WARNING llmring") for line in logs)
        stage.check(warned, "an event was skipped, and no warning was logged (logger `llmring`)")

    @case(contract.SKIPPED)
    async def test_events_that_are_not_known_yet_are_ignored(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.unknown_events()))
        for response in await stage.responses(stage.ask()):
            stage.same("the text", response.content, TEXT)
            hint = "an event of an unknown type is none that cannot be decoded: let `feed` return None"
            stage.same("skipped_events", response.skipped_events, 0, hint)

    @case(contract.TEXT)
    async def test_one_byte_at_a_time(self, stage: Stage) -> None:
        """Every character of several bytes is cut, every event, every line."""
        stage.says(Reply(chunks=PIECES, fault=Fault.one_byte()))
        for response in await stage.responses(stage.ask()):
            stage.same("the text", response.content, TEXT, "gather bytes until an event is whole, then decode it")

    @case(contract.TEXT)
    async def test_what_servers_and_proxies_do_to_a_stream(self, stage: Stage) -> None:
        """Comments, other newlines, a byte-order mark."""
        for what, fault in (
            ("keep-alive comments between the events", Fault.comments()),
            ("lines that end in CRLF", Fault.newlines("\r\n")),
            ("a byte-order mark", Fault.bom()),
        ):
            stage.says(Reply(chunks=PIECES, fault=fault))
            taken = await stage.stream(stage.ask())
            stage.check(taken.error is None, f"the stream had {what}, and {taken.error!r} came of it")
            stage.same("the text", taken.text, TEXT, f"the stream had {what}")
            stage.same("skipped_events", taken.final.skipped_events, 0, f"the stream had {what}")

    @case(contract.TEXT)
    async def test_a_packed_body_is_unpacked(self, stage: Stage) -> None:
        stage.says("Hello")
        await stage.good(stage.ask())
        if "gzip" not in stage.server.requests[0].headers.get("accept-encoding", ""):
            pytest.skip("the provider's client does not ask for packed bodies")
        stage.says(Reply(chunks=PIECES, fault=Fault.gzip()))
        for response in await stage.responses(stage.ask()):
            stage.same(
                "the text", response.content, TEXT, "the body was packed by gzip, which your client had asked for"
            )

    @case(contract.TEXT)
    async def test_a_huge_event(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.big_event(_HUGE)))
        for response in await stage.responses(stage.ask()):
            stage.check(
                response.content == TEXT + "x" * _HUGE, f"an event of {_HUGE} bytes came, and not all of its text"
            )

    @case(contract.BOUNDS)
    async def test_what_is_too_large_is_an_error(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.big_event(_BOUND * 3)))
        did = f"an event of {_BOUND * 3} bytes came, and max_bytes was {_BOUND}"
        await stage.failures(ProviderResponseError, did, max_bytes=_BOUND)

    @case(contract.CUT)
    async def test_the_next_request_is_served_after_a_cut(self, stage: Stage) -> None:
        service = stage.service()
        stage.says(Reply(chunks=PIECES, fault=Fault.cut_after(2)))
        broken = await asyncio.gather(*(stage.stream(stage.ask(), service) for _ in range(3)))
        for taken in broken:
            _is_cut(stage, taken.error, "the stream was cut in the middle of an event")
        stage.says(Reply(chunks=PIECES))
        taken = await stage.good(stage.ask(), service)
        stage.same("the text of the next answer", taken.text, TEXT)


def _is_cut(stage: Stage, error: object, did: str) -> None:
    stage.check(
        isinstance(error, ProviderConnectionError),
        f"{did}, and {'a good answer' if error is None else repr(error)} came of it, where a ProviderConnectionError "
        f"was expected: set decoder.complete at the end marker, and nowhere else",
    )
