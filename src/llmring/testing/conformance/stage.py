"""The ground of one test: a server of the wire, a service with the provider on it, and what is looked at each time."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ...exceptions import LLMRingError, ProviderError
from ...schemas import LLMRequest, LLMResponse, Message, StreamChunk
from ...service import LLMRing
from ..exchange import Reply
from ..server import PracticeServer
from . import contract
from .cases import fail, pytest
from .judging import Taken, findings
from .partner import PARTNER, Partner
from .subject import Subject
from .wire import Asked, ScriptServer

__all__ = ["HEADER", "Stage"]

_Item = TypeVar("_Item")

HEADER = "x-conformance"
"""A header that the config holds; its value is secret, as all headers' are."""
_VARIABLE = "LLMRING_CONFORMANCE_HEADER"
_PROFILE = "default"
_MARGIN = 5.0
"""Seconds after which the server gives up on a provider that holds up the event loop."""
_ARRIVAL = 0.05
"""Seconds that a reset takes to arrive."""
_TIDY = 100
"""Hundredths of a second that tasks have to end, once all is closed."""


class Stage:
    """The ground of one test.

    Attributes:
        subject: who is tested.
        server: of its wire.
        other: a server of Chat Completions, for the provider that stands by.
        key, header: secrets that the provider has to send.
        environ: variables that are to be set meanwhile.
        logs: what was logged, while `listening` is entered.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self.server = PracticeServer() if isinstance(subject.wire, str) else ScriptServer(subject.wire)
        self.other = PracticeServer()
        self.key = f"conformance-{secrets.token_hex(12)}"
        self.header = f"header-{secrets.token_hex(12)}"
        self.environ = {_VARIABLE: self.header}
        self.logs: list[str] = []
        self._folder = folder
        self._services: list[LLMRing] = []
        self._contract = ""
        self.road = ""

    # What a test does

    @property
    def patience(self) -> float:
        """Seconds that a test may take."""
        return self.subject.patience

    @property
    def model(self) -> str:
        """The `provider:model` under test."""
        return f"{self.subject.name}:{self.subject.model}"

    @property
    def stand_by(self) -> str:
        """The `provider:model` of the other one."""
        return f"{PARTNER}:model-2"

    def service(self, *, url: str | None = None, **options: Any) -> LLMRing:
        """A service with the provider under test and the other one; the alias `conformance` leads to both, in order.

        Args:
            url: of the server, if another than this stage's.
            options: of the service.
        """
        name = self.subject.name
        profile = {"name": _PROFILE, "bindings": [{"alias": "conformance", "models": [self.model, self.stand_by]}]}
        place = {"base_url": (url or self.server.url) + self.subject.base_path, "headers": {HEADER: f"${_VARIABLE}"}}
        lockfile = self._folder / f"{len(self._services)}.lock"
        data = {"version": "1.0", "default_profile": _PROFILE, "profiles": {_PROFILE: profile}}
        places = {name: place, PARTNER: {"base_url": f"{self.other.url}/v1"}}
        lockfile.write_text(json.dumps({**data, "providers": places}), encoding="utf-8")
        settings = {"timeout": self.patience, "max_retries": 0, "breaker_threshold": 0, **options}
        # A key for the other one, too, so that nobody's keyring is asked for it.
        service = LLMRing(lockfile, _PROFILE, api_keys={name: self.key, PARTNER: PARTNER}, **settings)
        service.register_provider(name, self.subject.provider)
        service.register_provider(PARTNER, Partner)
        self._services.append(service)
        return service

    def ask(self, text: str = "Go on.", *, model: str | None = None, **fields: Any) -> LLMRequest:
        """A question."""
        fields.setdefault("messages", [Message(role="user", content=text)])
        return LLMRequest(model=model or self.model, **fields)

    def says(self, reply: Reply | str, **fields: Any) -> None:
        """Have the server answer this from now on."""
        self.server.clear()
        self.server.default = Reply(reply, **fields) if isinstance(reply, str) else reply

    async def stream(self, request: LLMRequest, service: LLMRing | None = None) -> Taken:
        """Read a stream to its end, and look at what holds of every stream."""
        self.road = "chat_stream"
        stream = (service or self.service()).chat_stream(request)
        chunks: list[StreamChunk] = []
        error = None
        try:
            async for chunk in stream:
                chunks += [chunk]
        except ProviderError as raised:
            error = raised
        taken = Taken(chunks, stream.response, error)
        for against, what in findings(taken, self.model if request.model == self.model else None):
            self._off(against, what)
        return taken

    async def good(self, request: LLMRequest, service: LLMRing | None = None) -> Taken:
        """A stream that ends well."""
        taken = await self.stream(request, service)
        if taken.error is not None:
            self._unwanted(taken.error)
        return taken

    async def whole(self, request: LLMRequest, service: LLMRing | None = None) -> LLMResponse:
        """The answer of `chat`."""
        self.road = "chat"
        return await (service or self.service()).chat(request)

    async def both(self, request: LLMRequest, service: LLMRing | None = None) -> list[LLMResponse]:
        """The answer by both roads, of a server that answers both alike; what is checked of each names its road."""
        service = service or self.service()
        return [(await self.good(request, service)).response, await self.whole(request, service)]

    async def responses(self, request: LLMRequest) -> Iterator[LLMResponse]:
        """`both`, with the road set for what is checked of each."""
        return self.in_turn(await self.both(request))

    def roads(self, service: LLMRing, request: LLMRequest) -> Iterator[Callable[[], Coroutine[Any, Any, LLMResponse]]]:
        """What asks by each road, with the road set for what is checked of it."""
        return self.in_turn([lambda: service.chat_stream(request).final_response(), lambda: service.chat(request)])

    def in_turn(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """What is there for each road, in order, with the road set for what is checked of it."""
        for self.road, item in zip(("chat_stream", "chat"), items, strict=True):
            yield item

    async def failures(
        self, kind: type[ProviderError], did: str, *, hint: str = "", request: LLMRequest | None = None, **options: Any
    ) -> Iterator[ProviderError]:
        """The errors that a question comes to, by both roads.

        Args:
            kind: what each must be.
            did: what the server did.
            hint: what to do about another one.
            request: the question.
            options: of the service.
        """
        service = self.service(**options)
        asked = request or self.ask()
        taken = await self.stream(asked, service)
        errors = [self._wanted(taken.error, kind, did, hint, taken.response)]
        whole, response = None, None
        try:
            response = await self.whole(asked, service)
        except ProviderError as error:
            whole = error
        errors.append(self._wanted(whole, kind, did, hint, response))
        return self.in_turn(errors)

    def asked(self, number: int = -1) -> Asked:
        """What a request asked for; the last one, unless another is named."""
        if not self.server.requests:
            self.wrong("no request has reached the server. Send it to config.base_url")
        return self.subject.read(self.server.requests[number])

    @property
    def soon(self) -> float:
        """Seconds within which something must happen that needs no waiting, in the time of one test."""
        return min(5.0, self.subject.patience / 3)

    async def until(self, holds: Callable[[], bool], wrong: str) -> None:
        """Wait for something that another thread does, and fail if it does not."""
        for _ in range(int(self.soon * 100)):
            if holds():
                return
            await asyncio.sleep(0.01)
        self.wrong(wrong)

    @contextmanager
    def listening(self, level: int = logging.WARNING) -> Iterator[list[str]]:
        """Take down what is logged meanwhile."""
        handler = _Listener(self.logs)
        root = logging.getLogger()
        before = root.level
        root.addHandler(handler)
        root.setLevel(level)
        try:
            yield self.logs
        finally:
            root.setLevel(before)
            root.removeHandler(handler)

    # What is checked

    def wrong(self, what: str) -> NoReturn:
        """Fail, and say by which road, and what the server had to object."""
        refused = next((it.refused for it in reversed(self.server.requests) if it.refused), None)
        road = f"{self.road}: " if self.road else ""
        if (broken := self.server.broken) is not None:
            what = f"the server could not answer, for the script of its wire failed: {broken!r}. So {what}"
        what += self._misread()
        said = f"\nThe server had refused the request: {refused}" if refused else ""
        fail(f"{road}{what.rstrip('.')}.{said}", self._contract)

    def _misread(self) -> str:
        """What the script of the wire may have read wrong: a stream was asked for, and it saw none."""
        sent = self.server.requests
        if isinstance(self.subject.wire, str) or self.road != "chat_stream":
            return ""
        if not sent or any(request.stream for request in sent):
            return ""
        seen = f"{sent[0].method} {sent[0].path}, query {sent[0].query!r}, body {sent[0].raw!r:.200}"
        return (
            f".\nA stream was asked for, and `read` of {type(self.subject.wire).__name__} saw none in {seen}. If the "
            'request says it, `read` is wrong: `request.query` is a table of text (`request.query.get("flow") == '
            '"1"`). If not, send call.stream'
        )

    def check(self, holds: object, wrong: str) -> None:
        """Fail unless it holds."""
        if not holds:
            self.wrong(wrong)

    def same(self, what: str, found: object, wanted: object, hint: str = "") -> None:
        """Fail unless it is what it should be."""
        if found != wanted:
            self.wrong(
                f"{what} is {found!r:.300}, and the server's answer makes it {wanted!r:.300}{hint and ': '}{hint}"
            )

    def _off(self, against: str, what: str) -> NoReturn:
        self._contract = against
        self.wrong(what)

    def _wanted(
        self, error: ProviderError | None, kind: type[ProviderError], did: str, hint: str, response: LLMResponse | None
    ) -> ProviderError:
        """The error, if it is the one that it must be."""
        if error is None:
            said = f"{response.content:.80}" if response is not None else ""
            self.wrong(
                f"{did}, and a good answer came of it ({said!r}): {kind.__name__} was expected{hint and '. '}{hint}"
            )
        if type(error) is not kind:
            self.wrong(
                f"{did}, and {type(error).__name__} was raised ({error}): {kind.__name__} was expected"
                f"{hint and '. '}{hint}"
            )
        named = (error.provider, error.model)
        if named != (self.subject.name, self.subject.model):
            self.wrong(f"{did}: the error names {named!r} as its provider and model, not {self.model!r}")
        if self.subject.name not in str(error) or self.subject.model not in str(error):
            self.wrong(f"{did}: the message does not name the provider and the model: {error}")
        return error

    def _unwanted(self, error: BaseException) -> NoReturn:
        under = getattr(error, "original", None) or error.__cause__
        known = under is None or getattr(error, "status_code", None) is not None
        cause = "" if known else f", of {type(under).__name__}: {under}"
        self.wrong(f"a good answer was to come, and {type(error).__name__} was raised{cause}: {error}")

    # How it goes

    def begin(self, says: str, needs: Sequence[str]) -> None:
        """Begin a test: skip it, if what it needs is declared to be lacking."""
        self._contract = says
        for ability in needs:
            if ability in self.subject.lacking:
                pytest.skip(f"lacks {ability}: {self.subject.lacking[ability]}")

    async def perform(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test, and close what it opened."""
        own = asyncio.all_tasks()
        watch = threading.Timer(self.subject.patience + _MARGIN, self.server.close)
        watch.daemon = True
        watch.start()
        good = False
        try:
            await test
            await self.close()
            await self._tidy(own)
            good = True
        except LLMRingError as error:
            self._unwanted(error)
        finally:
            watch.cancel()
            await self.close()
            if not good:
                await self.hang_up()

    async def hang_up(self) -> None:
        """Reset all connections, so that what a provider left open is closed, and nobody else is warned of it."""
        self.server.hang_up()
        await asyncio.sleep(_ARRIVAL)

    async def close(self) -> None:
        """Close the services."""
        for service in self._services:
            await service.close()

    async def _tidy(self, own: set[asyncio.Task[Any]]) -> None:
        left: set[asyncio.Task[Any]] = set()
        for _ in range(_TIDY):
            left = asyncio.all_tasks() - own
            if not left:
                return
            await asyncio.sleep(0.01)
        self._off(contract.CLOSING, f"the service is closed, and a task of the provider runs on: {left.pop()!r:.300}")


class _Listener(logging.Handler):
    """Takes down what is logged, with all that a formatter would say."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(f"{record.levelname} {record.name} {self.format(record)} {record.args!r}")
