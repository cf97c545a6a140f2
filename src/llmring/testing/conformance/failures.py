"""What goes wrong before an answer, and instead of one: statuses, in JSON, in HTML and in nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from ...exceptions import (
    ContextLengthError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
)
from ..exchange import Reply, Trouble
from ..faults import Fault
from . import contract
from .answers import PIECES
from .cases import case, pytest
from .stage import Stage

__all__ = ["FailureTests"]

_PAGE = b"<html><head><title>Oh</title></head><body><h1>Something went wrong</h1></body></html>"
_HINT = "hand over the status of the answer, and its body as it came"


def _forms(status: int) -> Iterator[tuple[str, Reply]]:
    """A status in each form: the wire's own, a proxy's page, and nothing."""
    yield f"the server answered {status}", Reply(status=status)
    yield f"the server answered {status} with a page of HTML", Reply(status=status, body=_PAGE)
    yield f"the server answered {status} with an empty body", Reply(status=status, body=b"")


class FailureTests:
    """What an error comes to."""

    @case(contract.ERRORS)
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, ProviderResponseError),
            (401, ProviderAuthenticationError),
            (403, ProviderAuthenticationError),
            (422, ProviderResponseError),
            (429, ProviderRateLimitError),
            (500, ProviderResponseError),
            (503, ProviderResponseError),
        ],
        ids=lambda it: str(it) if isinstance(it, int) else "",
    )
    async def test_a_status_is_an_error_of_its_kind(self, stage: Stage, status: int, kind: type[ProviderError]) -> None:
        for did, reply in _forms(status):
            stage.says(reply)
            for error in await stage.failures(kind, did, hint=_HINT):
                stage.same("the error's status_code", error.status_code, status)
                stage.same("the error's partial", error.partial, None)

    @case(contract.ERRORS)
    @pytest.mark.parametrize(
        ("trouble", "kind"),
        [
            ("bad_key", ProviderAuthenticationError),
            ("unknown_model", ModelNotFoundError),
            ("too_long", ContextLengthError),
            ("rate_limit", ProviderRateLimitError),
            ("overloaded", ProviderResponseError),
        ],
        ids=lambda it: it if isinstance(it, str) else "",
    )
    async def test_the_vendor_s_own_words_are_understood(
        self, stage: Stage, trouble: Trouble, kind: type[ProviderError]
    ) -> None:
        stage.says(Reply(problem=trouble))
        hint = "llmring knows the words of many vendors by status, code and message; say yours in your provider"
        await stage.failures(kind, f"the server said, in the vendor's words, {trouble!r}", hint=hint)

    @case(contract.ERRORS)
    async def test_an_empty_account_is_told_as_one(self, stage: Stage) -> None:
        problem = stage.subject.troubles.get("no_credit")
        if problem is None:
            pytest.skip("the wire has no word for an empty account")
        stage.says(Reply(problem="no_credit"))
        kinds = ProviderRateLimitError if problem.status == 429 else ProviderResponseError
        did = f"the server said that the account is empty ({problem.status}: {problem.message})"
        hint = 'say the vendor\'s code, or its words, in the dialect: Words("no_credit", codes=[...])'
        for error in await stage.failures(kinds, did, hint=hint):
            stage.check(error.out_of_credit, f"{did}, and the error does not say so: {error}. To mend it, {hint}")

    @case(contract.ERRORS)
    async def test_the_message_says_what_the_server_said(self, stage: Stage) -> None:
        stage.says(Reply(status=400, error="The flux is not aligned"))
        for error in await stage.failures(ProviderResponseError, "the server answered 400"):
            stage.check(
                "The flux is not aligned" in str(error), f"the message leaves out what the server said: {error}"
            )

    @case(contract.ERRORS)
    async def test_a_page_instead_of_the_api_is_no_unknown_model(self, stage: Stage) -> None:
        stage.says(Reply(status=404, body=_PAGE))
        did = "the server answered 404 with a page of HTML, as one does that has nothing at this address"
        for error in await stage.failures(ProviderResponseError, did):
            stage.same("the error's status_code", error.status_code, 404)

    @case(contract.ERRORS)
    async def test_the_wait_is_named_in_seconds(self, stage: Stage) -> None:
        header = {"retry-after": "7"}
        for did, reply in (
            ("the server answered 429 with Retry-After: 7", Reply(status=429, headers=header)),
            ("the server answered 429 with Retry-After: 7 and a page", Reply(status=429, headers=header, body=_PAGE)),
        ):
            stage.says(reply)
            for error in await stage.failures(ProviderRateLimitError, did):
                hint = "hand over the headers of the answer, too"
                stage.same("the error's retry_after", error.retry_after, 7.0, hint)

    @case(contract.ERRORS)
    async def test_the_wait_may_be_a_date(self, stage: Stage) -> None:
        soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        stage.says(Reply(status=429, headers={"retry-after": soon}))
        for error in await stage.failures(ProviderRateLimitError, f"the server answered 429 with Retry-After: {soon}"):
            wait = error.retry_after
            stage.check(wait is not None and 3000 < wait <= 3601, f"the error's retry_after is {wait!r}, not an hour")

    @case(contract.ERRORS)
    async def test_the_id_of_the_request_is_told(self, stage: Stage) -> None:
        if stage.subject.id_header is None:
            pytest.skip("the wire's server names no id of a request")
        stage.says(Reply(status=500, request_id="req-of-conformance"))
        for error in await stage.failures(ProviderResponseError, "the server answered 500"):
            hint = "hand over the headers of the answer, too"
            stage.same("the error's request_id", error.request_id, "req-of-conformance", hint)

    @case(contract.ERRORS, "error_events")
    async def test_an_error_at_the_beginning_of_a_stream(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.error_event(0, status=500, message="The engine has failed")))
        did = "the server sent an error as the first event of a stream"
        for error in await stage.failures(ProviderResponseError, did, hint="let `feed` raise WireError"):
            stage.check("The engine has failed" in str(error), f"the message leaves out what the server said: {error}")

    @case(contract.ERRORS, "error_events")
    async def test_an_error_in_the_middle_of_a_stream(self, stage: Stage) -> None:
        stage.says(Reply(chunks=PIECES, fault=Fault.error_event(2, status=500, message="The engine has failed")))
        taken = await stage.stream(stage.ask())
        said = PIECES[0] + PIECES[1]
        stage.check(
            isinstance(taken.error, ProviderResponseError),
            f"the server sent an error in the middle of a stream, and {taken.error!r} came of it: let `feed` raise "
            "WireError(message, enveloped=True)",
        )
        assert taken.error is not None
        stage.same("the text before the error", taken.text, said)
        stage.same("the error's partial", taken.error.partial and taken.error.partial.content, said)

    @case(contract.BAD_ANSWER)
    async def test_a_page_of_html_is_no_answer(self, stage: Stage) -> None:
        stage.says(Reply(fault=Fault.not_a_stream()))
        await stage.failures(ProviderResponseError, "the server answered 200 with a page of HTML")

    @case(contract.ERRORS)
    async def test_a_refused_connection(self, stage: Stage) -> None:
        url = stage.server.refused_url()
        did = "nobody listened at the provider's address"
        await stage.failures(ProviderConnectionError, did, url=url)
