"""A key, placed in the environment, comes out nowhere: whatever fails, and whatever a server repeats."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import subprocess
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from copy import copy, deepcopy
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, LLMRing
from llmring.credentials import Key, reveal
from llmring.exceptions import LLMRingError, ProviderError, ProviderNotFoundError
from llmring.lockfile import load
from llmring.providers.base import ProviderConfig
from llmring.testing import Fault, PracticeServer, Reply
from llmring.testing.exchange import RecordedRequest
from llmring.vendors import SDKS

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
        given = record.args if isinstance(record.args, tuple) else ()
        for error in given if record.name == "llmring" else ():
            if isinstance(error, BaseException):
                self.said += [(record.name, words) for words in everything(error)]


@pytest.fixture
def records() -> Iterator[Records]:
    """All loggers, those of the SDKs and of the HTTP libraries too, at DEBUG."""
    handler = Records()
    root = logging.getLogger()
    names = [None, *logging.root.manager.loggerDict, *LIBRARIES]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


HTTP = ("httpx", "httpcore", "httpx2", "httpcore2")
LIBRARIES = (*HTTP, "openai", "anthropic", "google_genai", "google", "ollama", "asyncio")
HERE = str(Path(__file__).parents[1])


def frames(shown: traceback.TracebackException, depth: int = 9) -> Iterator[str]:
    """The variables of all frames but the tests' own, of what it came of, too, shown or not."""
    for frame in shown.stack:
        if not frame.filename.startswith(HERE):
            yield f"{frame.name} {frame.locals}"
    for below in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if below is not None and depth:
            yield from frames(below, depth - 1)


def fields(thing: object, depth: int = 4) -> Iterator[str]:
    """What `vars` shows of a thing, and of what is in it."""
    for name, value in getattr(thing, "__dict__", {}).items():
        yield f"{name} {value!r}"
        if depth:
            yield from fields(value, depth - 1)


def around(error: BaseException) -> Iterator[str]:
    """All that an error says, and what holds it."""
    yield from everything(error)
    yield from (repr(it) for it in gc.get_referrers(error) if not isinstance(it, FrameType))


def everything(error: BaseException, seen: set[int] | None = None) -> Iterator[str]:
    """All that an error says, in every way that it may be looked at, and all that is under it."""
    seen = seen if seen is not None else set()
    if id(error) in seen:
        return
    seen.add(id(error))
    yield str(error)
    yield repr(error)
    yield from frames(traceback.TracebackException.from_exception(error, capture_locals=True))
    yield from fields(error)
    if isinstance(error, LLMRingError):
        data = pickle.dumps(error)
        yield data.decode("latin-1")
        back = pickle.loads(data)
        assert (type(back), str(back)) == (type(error), str(error))
        same = {name: value for name, value in vars(error).items() if name not in ("original", "attempts", "partial")}
        assert {name: vars(back)[name] for name in same} == same
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


@pytest.mark.long
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
                clean(around(error))
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
    clean(around(error))
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
            clean(around(error), ALL)
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


# Where a key is kept


@given(secret=st.text(min_size=1))
def test_a_key_gives_nothing_away(secret: str) -> None:
    kept = Key(secret)
    assert {repr(kept), str(kept), f"{kept}"} == {"[key]"}
    assert kept not in (Key(secret), secret)
    assert not hasattr(kept, "__dict__")
    assert reveal(pickle.loads(pickle.dumps(kept))) == ""
    assert reveal(kept) == secret
    config = ProviderConfig("mine", key=secret, headers={"x-team": secret}, secrets=(secret,))
    assert reveal(pickle.loads(pickle.dumps(config)).key) == ""
    if len(secret) > 12:
        assert secret not in repr(config) + repr(asdict(config)) + pickle.dumps(config).decode("latin-1")
        assert reveal(config.key) == reveal(config.headers["x-team"]) == reveal(config.secrets[0]) == secret


@pytest.mark.parametrize(
    "settings",
    [
        {"api_keys": {"opanai": CANARY}},
        {"api_keys": {"openai": CANARY.encode()}},
        {"api_keys": [CANARY]},
        {"api_keys": CANARY},
        {"api_keys": {"openai": CANARY}, "max_retries": -1},
    ],
    ids=lambda it: str(sorted(it)),
)
def test_settings_that_are_refused(bare: Path, settings: dict[str, Any]) -> None:
    """A key that was given is out of sight before anything is looked at."""
    with pytest.raises(LLMRingError) as caught:
        LLMRing(**settings)
    clean(around(caught.value))


async def test_what_a_service_keeps(practice: Ground) -> None:
    """Its clients are told apart by digests of what the environment says."""
    practice.server.clear()
    async with practice.service(api_keys={"groq": CANARY}) as service:
        for provider in PROVIDERS.values():
            await service.chat(ask(f"{provider}:m"))
        registry = service._registry
        clean(iter([repr(vars(service)), repr(vars(registry)), *map(repr, service._records.here().providers)]))


async def test_a_cancel_and_a_close(practice: Ground) -> None:
    """What ends a request from outside goes through the SDK's frames, too."""
    for provider in PROVIDERS.values():
        for stream in (True, False):
            for end in ("cancel", "close"):
                heard = asyncio.Event()
                loop = asyncio.get_running_loop()

                def decide(request: RecordedRequest) -> Reply:
                    loop.call_soon_threadsafe(heard.set)  # noqa: B023 - each has its own
                    return Reply(fault=Fault.never_answer())

                practice.server.clear()
                practice.server.script(decide)
                service = practice.service(max_retries=0, timeout=None)
                asked = ask(f"{provider}:m")
                call = service.chat_stream(asked).final_response() if stream else service.chat(asked)
                task = asyncio.create_task(call)
                await heard.wait()
                if end == "cancel":
                    task.cancel()
                else:
                    await service.close()
                try:
                    await task
                except BaseException as error:
                    clean(around(error))
                await service.close()


async def test_the_attempts_of_a_good_answer(practice: Ground) -> None:
    practice.server.clear()
    left = 0

    def decide(request: RecordedRequest) -> Reply:
        nonlocal left
        left -= 1
        return Reply(status=503, error="no") if left >= 0 else Reply()

    practice.bind({"chatbot": [f"{provider}:m" for provider in PROVIDERS.values()]})
    async with practice.service(max_retries=0) as service:
        for stream in (True, False):
            left = len(PROVIDERS) - 1
            practice.server.script(decide)
            answer = service.chat_stream(ask("chatbot")).final_response() if stream else service.chat(ask("chatbot"))
            attempts = (await answer).attempts
            assert len(attempts) == len(PROVIDERS) - 1
            for error in attempts:
                assert isinstance(error, ProviderError)
                clean(around(error))


POOL = """
import asyncio, pickle, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderError

async def ask(path, model):
    async with LLMRing(path, max_retries=0) as service:
        await service.chat(LLMRequest(model=model, messages=[Message(role="user", content="Hi")]))

def fails(path, model):
    asyncio.run(ask(path, model))

if __name__ == "__main__":
    path, canary, *models = sys.argv[1:]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for model in models:
            error = pool.submit(fails, path, model).exception(timeout=60)
            said = pickle.dumps(error).decode("latin-1") + str(error.__cause__)
            print(isinstance(error, ProviderError), error.status_code, error.original, canary in said)
"""


def test_errors_come_back_from_a_pool(practice: Ground, bare: Path) -> None:
    """One that cannot be read would break the pool, or hold it for good."""
    practice.server.clear()
    practice.server.script(lambda request: Reply(status=429, error=f"{request.headers}"))
    (bare / "pool.py").write_text(POOL)
    models = [f"{provider}:m" for provider in PROVIDERS.values()]
    program = [sys.executable, str(bare / "pool.py"), str(practice.path), CANARY, *models]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["True 429 None False"] * len(models), done.stderr


def every_error() -> Iterator[type[LLMRingError]]:
    below = [LLMRingError]
    while below:
        kind = below.pop()
        if not kind.__name__.startswith("_"):  # such a one is copied as what it is to others
            yield kind
        below += kind.__subclasses__()


@pytest.mark.parametrize("kind", [*every_error()], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("copied", [copy, deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_error_can_be_copied(kind: type[LLMRingError], copied: Callable[[LLMRingError], LLMRingError]) -> None:
    class Stubborn(Exception):
        def __init__(self, *, needed: int) -> None:
            self.held = (it for it in range(needed))

    error = kind("It failed.")
    error.add_note("Before it: nothing")
    error.original = Stubborn(needed=1)  # type: ignore[attr-defined]
    back = copied(error)
    assert (type(back), str(back), back.args) == (kind, "It failed.", error.args)
    kept = copied is copy
    assert {**vars(back), "original": None} == {**vars(error), "original": None}
    assert (back.original is error.original) == kept  # type: ignore[attr-defined]


async def test_what_is_logged_of_a_failure(practice: Ground, records: Records) -> None:
    """A record of a move, of another try, and of going on holds the error itself."""
    practice.bind({"chatbot": [f"{provider}:m" for provider in PROVIDERS.values()]})
    left = 0

    def decide(request: RecordedRequest) -> Reply:
        nonlocal left
        left -= 1
        return Reply(status=503, error="no", headers={"retry-after": "0"}) if left >= 0 else Reply()

    async with practice.service(max_retries=1) as service:
        for reference in ("chatbot", *(f"{provider}:m" for provider in PROVIDERS.values())):
            left = len(PROVIDERS) if reference == "chatbot" else 1
            practice.server.clear()
            practice.server.script(decide)
            await service.chat(ask(reference))
        practice.server.clear()
        practice.server.script(lambda request: Reply(chunks=["One", " two"], fault=Fault.cut_after(1)))
        request = ask("chatbot").model_copy(update={"on_interrupt": "resume"})
        await failure_of(service, request)
    said = [words for name, words in records.said if name == "llmring"]
    for words in ("moving on", "again in", "goes on"):
        assert any(words in it for it in said)
    clean(iter(said))


async def failure_of(service: LLMRing, request: LLMRequest) -> LLMRingError:
    with pytest.raises(LLMRingError) as raised:
        await service.chat_stream(request).final_response()
    return raised.value


def test_a_lockfile_that_holds_a_key(bare: Path) -> None:
    secret = "sk-" + CANARY.replace("-", "")
    Path("llmring.lock").write_text(
        f'version = "1.0"\n[profiles.default]\nname = "default"\n[providers.x]\nkey = "{secret}"\n'
    )
    for read in (lambda: load("llmring.lock"), LLMRing().list_aliases):
        with pytest.raises(LLMRingError) as caught:
            read()
        clean(around(caught.value), [secret])
