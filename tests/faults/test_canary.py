"""A key, placed in the environment, comes out nowhere: whatever fails, and whatever a server repeats."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.exceptions import LLMRingError, ProviderError, ProviderNotFoundError
from llmring.providers.vendors import SDKS
from llmring.testing import Fault, PracticeServer, Reply
from llmring.testing.requests import RecordedRequest

from .cells import cells, run
from .ground import KEY_VARIABLE, PROVIDERS, Ground, ask, ground

CANARY = "".join(["canary", "-", *("0f1e2d3c4b5a" for _ in range(3)), "-", "tail"])
HEADER = CANARY.replace("canary", "header")
PASSWORD = CANARY.replace("canary", "password")
LOGIN = b64encode(f"me:{PASSWORD}".encode()).decode()
"""The password as it is sent."""
ALL = (CANARY, HEADER, PASSWORD, LOGIN)
"""Half of one is too much already."""


@pytest.fixture(scope="module")
def practice() -> Iterator[Ground]:
    with pytest.MonkeyPatch.context() as patch, ground() as made:
        patch.setenv(KEY_VARIABLE, CANARY)
        yield made


class Records(logging.Handler):
    """Every record at every level, as it would be printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((record.name, f"{self.format(record)} {record.args!r} {record.exc_info!r}"))


@pytest.fixture
def records() -> Iterator[Records]:
    """All loggers, those of the SDKs and of the HTTP libraries too, at DEBUG."""
    handler = Records()
    root = logging.getLogger()
    names = [None, *logging.root.manager.loggerDict, "httpx", "httpcore", "httpx2", "httpcore2", "openai", "anthropic"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def everything(error: BaseException, seen: set[int] | None = None) -> Iterator[str]:
    """All that an error says, in every way that it may be looked at, and all that is under it."""
    seen = seen if seen is not None else set()
    if id(error) in seen:
        return
    seen.add(id(error))
    yield str(error)
    yield repr(error)
    yield from getattr(error, "__notes__", ())
    yield "".join(traceback.format_exception(error))
    for below in (error.__cause__, error.__context__):
        if below is not None:
            yield from everything(below, seen)
    if isinstance(error, ProviderError):
        yield repr(error.partial)
        yield repr(error.request_id)
        yield repr(vars(error))
        for other in (error.original, *error.attempts):
            if other is not None:
                yield from everything(other, seen)


def clean(said: Iterator[str], secrets: Collection[str] = (CANARY,)) -> None:
    for words in said:
        for secret in secrets:
            assert secret[: len(secret) // 2] not in words


def test_every_cell_of_the_matrix(practice: Ground, records: Records) -> None:
    table = cells()
    asyncio.run(run(practice, table))
    errors = [cell.error for cell in table if cell.error is not None]
    assert len(errors) > 300
    for error in errors:
        clean(everything(error))
    ours = [said for name, said in records.said if name == "llmring"]
    assert ours
    clean(iter(ours))
    clean(said for _, said in records.said)


def padded(words: str, width: int) -> str:
    """So many letters, then the words: an excerpt may end inside them."""
    return "x" * width + " " + words


def with_status(words: str) -> Reply:
    return Reply(status=400, error=words)


def as_page(words: str) -> Reply:
    return Reply(status=502, body=f"<html><body>{words}</body></html>".encode())


def as_json(words: str) -> Reply:
    return Reply(status=500, body=json.dumps({"headers": words}).encode(), content_type="application/json")


def as_denial(words: str) -> Reply:
    return Reply(status=401, error=f"Incorrect API key provided: {words}")


def in_the_stream(words: str) -> Reply:
    return Reply(chunks=["Well"], fault=Fault.error_event(1, 500, words))


def first_in_the_stream(words: str) -> Reply:
    return Reply(fault=Fault.error_event(0, 429, words))


def no_stream(words: str) -> Reply:
    return Reply(fault=Fault.not_a_stream(text=words))


def no_json(words: str) -> Reply:
    return Reply(fault=Fault.not_a_stream("application/json", json.dumps({"echo": words})))


def malformed(words: str) -> Reply:
    event = b'data: {"type": "%s\n\n' % words.encode()
    other = b'data: {"type": 5, "choices": "%s", "candidates": "%s", "message": 7}\n\n' % ((words.encode(),) * 2)
    return Reply(body=[event, other, event.removeprefix(b"data: "), other.removeprefix(b"data: ")])


def in_a_header(words: str) -> Reply:
    return Reply(status=429, headers={"request-id": words, "x-request-id": words, "retry-after": words})


ECHOES: list[Callable[[str], Reply]] = [
    *(with_status, as_page, as_json, as_denial, in_the_stream, first_in_the_stream, no_stream, no_json, malformed),
    in_a_header,
]


async def failure(service: LLMRing, reference: str, *, stream: bool) -> LLMRingError:
    with pytest.raises(LLMRingError) as raised:
        await (service.chat_stream(ask(reference)).final_response() if stream else service.chat(ask(reference)))
    return raised.value


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
async def test_a_server_that_repeats_what_it_got(
    practice: Ground, records: Records, echo: Callable[[str], Reply]
) -> None:
    """All of the request's headers, in its errors; also where an excerpt of them ends inside the key."""
    width = 0
    heard: set[str] = set()

    def decide(request: RecordedRequest) -> Reply:
        headers = " ".join(f"{name}: {value}" for name, value in request.headers.items() if CANARY in value)
        heard.update([request.wire or ""] if headers else [])
        return echo(padded(headers, width))

    practice.server.clear()
    practice.server.script(decide)
    async with practice.service(max_retries=0, timeout=5) as service:
        for provider in PROVIDERS.values():
            for stream in (True, False):
                for at in (0, 60, 90, 150, 170, 180, 190):
                    width = at
                    error = await failure(service, f"{provider}:m", stream=stream)
                    clean(everything(error))
    assert heard >= {wire for wire in PROVIDERS if wire != "ollama"}
    clean(said for name, said in records.said if name == "llmring")


async def test_a_key_that_cannot_be_sent(practice: Ground, records: Records) -> None:
    """The HTTP library would quote it."""
    for end in ("\u2026", "\x00", "é", "\r\nx: y", "\ud800"):
        names = PROVIDERS.values()
        async with LLMRing(practice.path, api_keys=dict.fromkeys(names, CANARY + end), max_retries=0) as service:
            for provider in names:
                error = await failure(service, f"{provider}:m", stream=True)
                assert isinstance(error, ProviderNotFoundError)
                clean(everything(error))
    clean(said for name, said in records.said if name == "llmring")


async def test_what_is_made_with_a_key_does_not_show_it(practice: Ground) -> None:
    practice.server.clear()
    async with practice.service() as service:
        for name in PROVIDERS.values():
            provider = service.get_provider(name)
            clean(iter([repr(provider), repr(provider.config), repr(service), repr(vars(provider))]))
        stream = service.chat_stream(ask("openai:m"))
        clean(iter([repr(stream), repr(await stream.final_response())]))


async def test_failover_repeats_no_key(practice: Ground, records: Records) -> None:
    practice.server.clear()
    practice.server.script(lambda request: Reply(status=503, error=str(request.headers)))
    practice.bind({"chatbot": [f"{provider}:m" for provider in PROVIDERS.values()]})
    async with practice.service(max_retries=0) as service:
        error = await failure(service, "chatbot", stream=True)
    assert isinstance(error, ProviderError)
    assert len(error.attempts) == 4
    clean(everything(error))
    clean(said for name, said in records.said if name == "llmring")


STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
FAULTS = {
    "hangs up": Fault.hang_up(),
    "cut": Fault.cut_after(1),
    "reset": Fault.reset_after(1),
    "event": Fault.error_event(1, 500, "no"),
    "malformed": Fault.malformed_event(),
    "page": Fault.not_a_stream(),
    "silence": Fault.never_answer(),
}
TROUBLES: dict[str, Reply | None] = {
    **{str(status): Reply(status=status) for status in STATUSES},
    **{name: Reply(chunks=["One", " two"], fault=fault) for name, fault in FAULTS.items()},
    "refused": None,
}
"""What the server does; `None` where nobody listens."""


wires = pytest.mark.parametrize("wire", PROVIDERS)


def surround(wire: str, url: str, patch: pytest.MonkeyPatch, *, login: str = "", query: str = "") -> None:
    """Have the environment hold the key, a header's secret, and an address with a password or a query."""
    patch.setenv(KEY_VARIABLE, CANARY)
    patch.setenv("TEAM", HEADER)
    sdk = "openai" if wire.startswith("openai") else PROVIDERS[wire]
    for variable in SDKS[sdk].address_variables:
        place = f"{url}/v1" if sdk == "openai" else url
        patch.setenv(variable, place.replace("//", f"//{login}") + query)
    api = f'api = "{wire.removeprefix("openai-")}"\n' if sdk == "openai" else ""
    Path("llmring.lock").write_text(
        f'version = "1.0"\n[profiles.default]\nname = "default"\n[providers.{PROVIDERS[wire]}]\nsdk = "{sdk}"\n{api}'
        f'api_key_env = "{KEY_VARIABLE}"\nheaders = {{ x-team = "$TEAM" }}\n'
    )


async def errors_of(wire: str) -> list[LLMRingError]:
    """What a streamed and a whole request come to."""
    errors = []
    async with LLMRing(max_retries=0, timeout=0.5, breaker_threshold=0) as service:
        for stream in (True, False):
            try:
                asked = ask(f"{PROVIDERS[wire]}:m")
                await (service.chat_stream(asked).final_response() if stream else service.chat(asked))
            except LLMRingError as error:
                errors.append(error)
        provider = service.get_provider(PROVIDERS[wire])
        clean(iter([repr(provider), repr(provider.config)]), ALL)
    return errors


@pytest.mark.parametrize("trouble", TROUBLES)
@wires
async def test_secrets_of_headers_and_addresses(
    server: PracticeServer, records: Records, monkeypatch: pytest.MonkeyPatch, wire: str, trouble: str
) -> None:
    """They are sent, and in no error and no record of any logger."""
    reply = TROUBLES[trouble]
    surround(wire, server.url if reply else server.refused_url(), monkeypatch, login=f"me:{PASSWORD}@")
    server.default = reply or Reply()
    errors = await errors_of(wire)
    assert len(errors) > (trouble not in ("cut", "reset", "event", "malformed", "page"))
    for request in server.requests:
        assert (request.headers["x-team"], request.headers["authorization"]) == (HEADER, f"Basic {LOGIN}")
    assert bool(server.requests) == (reply is not None)
    for error in errors:
        clean(everything(error), ALL)
    assert records.said
    clean((said for _, said in records.said), ALL)


@wires
async def test_a_server_that_repeats_headers_and_password(
    server: PracticeServer, records: Records, monkeypatch: pytest.MonkeyPatch, wire: str
) -> None:
    surround(wire, server.url, monkeypatch, login=f"me:{PASSWORD}@")
    for status in STATUSES:
        server.script(lambda request, status=status: Reply(status=status, error=f"{request.headers} {PASSWORD}"))  # type: ignore[misc]
        errors = await errors_of(wire)
        assert len(errors) == 2
        for error in errors:
            assert "[key]" in str(error)
            clean(everything(error), ALL)
    clean((said for name, said in records.said if name == "llmring"), ALL)


@wires
async def test_the_query_of_an_address(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, wire: str) -> None:
    """Where nobody listens, the error names the address, but not what may be a key in it."""
    surround(wire, server.refused_url(), monkeypatch, query="?practice")
    errors = await errors_of(wire)
    assert len(errors) == 2
    for error in errors:
        assert "cannot be reached at http://127.0.0.1:" in str(error)
        assert "practice" not in str(error)
