"""The practice server: started, scripted, asked what it saw, closed."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from .connection import Connection
from .environment import environ
from .exchange import Problem, RecordedRequest, Reply
from .script import Queue, Script, script
from .wires import (
    FACTS,
    Answer,
    Cabinet,
    Facts,
    Format,
    Given,
    Route,
    listing,
    parsed,
    refusal,
    route,
    said_by,
    vendor_of,
    wrong_form,
)
from .wires.answer import dumps

__all__ = ["PracticeServer", "echo"]

Decision = Callable[[RecordedRequest], "Reply | None"]


def echo(request: RecordedRequest) -> Reply:
    """The answer to anyone who has not been told otherwise."""
    return Reply(f"You said: {request.question}")


_ROUNDS = 1000
"""Of closing connections, after which it lets clients be that connect again and again."""


class PracticeServer:
    """A provider to practise on: a real HTTP server on this machine that speaks all wires.

        with PracticeServer() as server:
            server.reply("Hello")
            ...
            assert server.requests[0].model == "gpt-5-mini"

    It runs in a thread of its own, so sync code, async code and other processes may use it alike. Which wire
    a request is for, its path says. Each request is answered by the first fitting reply in the queue, else by
    `default`, which echoes the question.

    It counts tokens, too, where Anthropic, Gemini, OpenAI's Responses, llama.cpp, vLLM and Moonshot do: on the wire
    `counting`, as many as `usage` of the reply has for the prompt. To have no such place: `reply(status=404,
    wire="counting")`. And it keeps files, each account's by themselves, where Anthropic, OpenAI and Gemini do: on the
    wire `files`.

    Args:
        host, port: where to listen; port 0 takes a free one.
        record: whether to keep `requests`; a benchmark may not want to.

    Attributes:
        default: a `Reply`, or a function of the `RecordedRequest` that returns one.
        models: what the listings name, by `openai`, `anthropic`, `gemini` and `ollama`.
        lenient: take whatever a compatible server may take. Otherwise what the vendor's own API refuses is answered as
            the vendor does: fields that it does not know (`seed` on Anthropic, `stop` on the Responses API), blank
            text, calls without results, ids of a wrong form, signatures that this server has not given. Which vendor's
            Chat Completions are asked for, the first step of the path says (`/mistral/v1`; or `openai`, `deepseek`,
            `moonshot`, `openrouter`, `vllm`, `gemini`), or the host, where the server is reached as a proxy; any other
            host takes what most hosts take.
        files: what it keeps: `files.kept` lists them, `files.drop()` loses them.
        capabilities: what Ollama's `/api/show` says that a model can do, in Ollama's words, whatever `describe` says.
        requests: what has been asked, oldest first.

    A reply that cannot be rendered and a script that fails are answered with status 500, which a program may take
    for the provider's. So leaving the `with` block raises the first such exception.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, record: bool = True):
        self._host = host
        self._port = port
        self._record = record
        self._numbers = itertools.count(1)
        self._connection_numbers = itertools.count(1)
        self._queue = Queue()
        self._arrived = threading.Condition()
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._broken: Exception | None = None
        self._refusing: list[socket.socket] = []
        self._given: dict[tuple[str | None, ...], Given] = defaultdict(Given)
        self.default: Reply | Decision = echo
        self.connections: set[Connection] = set()
        self.requests: list[RecordedRequest] = []
        self.models: dict[str, list[str]] = {
            "openai": ["gpt-5-mini", "gpt-5-nano"],
            "anthropic": ["claude-haiku-4-5", "claude-sonnet-4-5"],
            "gemini": ["gemini-2.5-flash", "gemini-2.5-pro"],
            "ollama": ["llama3.2:latest"],
        }
        self.capabilities: dict[str, list[str]] = {}
        self._described: dict[str, Facts] = {}
        self.files = Cabinet()
        self.lenient = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        self.close()
        broken, self._broken = self._broken, None
        if broken is None:
            return
        if exc is None:
            raise broken
        exc.add_note(f"The practice server could not answer as it was told to: {broken!r}")

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        self.__exit__(kind, exc, trace)

    def start(self) -> Self:
        """Listen; after `close`, again at the same address.

        Raises:
            OSError: the port is taken.
        """
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="llmring-practice", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def close(self) -> None:
        """Close every connection and end the thread."""
        for refusing in self._refusing:
            refusing.close()
        self._refusing.clear()
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def hang_up(self) -> None:
        """Reset every connection that is open; new ones are taken."""

        def reset() -> None:
            for connection in list(self.connections):
                connection.close(reset=True)

        self._loop.call_soon_threadsafe(reset)

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://{self._host}:{self._port}"

    @property
    def broken(self) -> Exception | None:
        """The first exception of a reply that cannot be rendered, or of a script that failed; `None` for none."""
        return self._broken

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self.connections)

    @property
    def connection_numbers(self) -> set[int]:
        """The numbers of the connections that are open now, as the requests on them name them."""
        return {connection.number for connection in list(self.connections)}

    def environ(self, url: str | None = None) -> dict[str, str]:
        """The environment variables that point every official SDK here, or to another address.

        Every vendor's key is among them, so that a real one of yours is sent nowhere. Google's is in the variable that
        wins over the others; its SDK complains where two are set.
        """
        return environ(url or self.url, self._host)

    def refused_url(self) -> str:
        """An address that refuses every connection, for as long as the server lives."""
        refusing = socket.socket()
        refusing.bind((self._host, 0))
        self._refusing.append(refusing)
        return f"http://{self._host}:{refusing.getsockname()[1]}"

    def reply(
        self,
        reply: Reply | str | None = None,
        *,
        wire: str | None = None,
        model: str | None = None,
        times: int = 1,
        **fields: Any,
    ) -> Reply:
        """Queue an answer.

        Args:
            reply: the answer, or its text; not given: the fields say it all.
            wire, model: answer only requests on that wire, for that model. The wire `models` is a listing, `counting` a
                count.
            times: how many requests to answer with it.
            **fields: of `Reply`.

        Raises:
            TypeError, ValueError: there is no such wire, the model is named as an alias names it, or a field of the
                reply holds what no wire can render. Nothing is queued.
        """
        reply = Reply(reply, **fields) if isinstance(reply, str) else replace(reply or Reply(), **fields)
        self._queue.add(reply, wire, model, times)
        return reply

    def describe(self, model: str, **facts: Any) -> None:
        """Say what a model can do, where the server is asked about it: each endpoint says it in its own way.

        The endpoints are Anthropic's and Gemini's `models/{id}`, Ollama's `/api/show`, and the listings of those whose
        name the path begins with, as in `/openrouter/v1/models`: `groq`, `llamacpp` (and its `/props`, of its first
        model), `lmstudio` (`/api/v0/models`), `mistral`, `openrouter`, `vllm`, `xai` (`/language-models`). A listing of
        any other OpenAI-compatible server says nothing but names.

        Args:
            model: as its provider names it. If no listing has it, all have it from now on.
            **facts: `tools`, `parallel_tools`, `images`, `documents`, `audio`, `structured_output` and `reasoning`,
                whether it can; `reasoning_efforts`, a list; `context_window`, `max_output_tokens`, tokens. What is not
                said here, an endpoint that always says it says as it does of other models.

        Raises:
            TypeError: there is no such fact, or it is of another kind.
        """
        for name, value in facts.items():
            if name not in FACTS:
                raise TypeError(f"there is no fact {name!r}; there are: {', '.join(FACTS)}")
            if type(value) is not FACTS[name]:
                raise TypeError(f"{name} is {value!r}; it must be of the type {FACTS[name].__name__}")
        self._described[model] = {**self._described.get(model, {}), **facts}

    @property
    def pending(self) -> list[Reply]:
        """The queued replies that nobody has asked for yet, one for each request that they would answer."""
        return self._queue.replies()

    def script(self, decide: Decision) -> Decision:
        """Let a function answer what the queue does not; `None` echoes. It runs in the server's thread."""
        self.default = decide
        return decide

    def clear(self) -> None:
        """Forget the queue, the default and the requests."""
        self._queue.clear()
        self.default = echo
        self.requests.clear()

    def wait_request(self, count: int = 1, timeout: float = 5.0) -> RecordedRequest:
        """The request of that count, as soon as it has arrived. Blocks the thread.

        Raises:
            TimeoutError: it has not.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests within {timeout} s")
            return self.requests[count - 1]

    async def received(self, count: int = 1, timeout: float = 5.0) -> RecordedRequest:
        """`wait_request` for async code: the loop goes on."""
        return await asyncio.to_thread(self.wait_request, count, timeout)

    def answer(self, request: RecordedRequest) -> Script:
        """See what the request is for, keep it, decide what to do about it. For the connections."""
        request.number = next(self._numbers)
        is_form = "x-goog-upload-offset" in request.headers or "multipart/" in request.headers.get("content-type", "")
        request.body, unparsed = parsed(request.raw) if request.raw and not is_form else (None, None)
        to = self._route(request)
        request.model, request.stream = to.model, to.stream
        request.wire = "counting" if to.counts else to.format.NAME if to.chat else "files" if to.files else "models"
        if to.format.NAME == "openai-chat":
            request.vendor = vendor_of(request.path, request.headers)
        if self._record:
            with self._arrived:
                self.requests.append(request)
                self._arrived.notify_all()
        if (unreadable := self._unreadable(request, to, unparsed)) is not None:
            return script(Reply(status=400, error=unreadable), request, to.format)
        given = self._given[request.headers.get("host"), request.vendor, to.format.NAME if to.chat else request.wire]
        reply = self._refused(request, to.format, given) if to.chat else None
        reply = reply or self._queue.take(request)
        if reply is None:
            reply = self._decided(request) if to.chat else self._kept(request, to.format)
        try:
            if to.chat:
                self._remember(reply, request, to.format, given)
            return script(reply, request, to.format)
        except Exception as exc:
            self._broken = self._broken or exc
            return script(Reply(status=500, error=f"The reply cannot be rendered: {exc!r}"), request, to.format)

    def _route(self, request: RecordedRequest) -> Route:
        """The wire that the request is for, and what it asks for."""
        return route(request.method, request.path, request.query, request.headers, request.body)

    def _unreadable(self, request: RecordedRequest, to: Route, unparsed: str | None) -> str | None:
        """What is wrong with the request's body, before anybody looks at what it asks for."""
        no_object = to.chat and not isinstance(request.body, dict)
        return "The body is not a JSON object." if unparsed is None and no_object else unparsed

    def _kept(self, request: RecordedRequest, format: Format) -> Reply:
        said = self.files.answer(request, format)
        if isinstance(said, Problem):
            return self._said(said, request, format)
        return self._listed(request, format) if said is None else said

    def _listed(self, request: RecordedRequest, format: Format) -> Reply:
        known = listing(format.NAME, request.path, request.model, self.models, self._described, self.capabilities)
        if known is None:
            request.wire = None
            return Reply(status=404, error=f"Nothing here: {request.method} {request.path}")
        return Reply(body=json.dumps(known).encode(), content_type="application/json")

    def _refused(self, request: RecordedRequest, format: Format, given: Given) -> Reply | None:
        """What the vendor says to a request that it does not take."""
        problem = None
        if not self.lenient:
            try:
                problem = refusal(format, request, given) or self.files.refusal(format, request)
            except (AttributeError, LookupError, TypeError, ValueError) as exc:
                # What a rule stumbles over is in the body, for it sees nothing else; and no vendor takes it.
                problem = Problem(400, f"Invalid request: {exc}")
        problem = problem or wrong_form(format.NAME, request.body)
        return None if problem is None else self._said(problem, request, format)

    def _said(self, problem: Problem, request: RecordedRequest, format: Format) -> Reply:
        """A refusal in the vendor's form."""
        request.refused = problem.message
        said = said_by(request.vendor, problem) or format.error(replace(problem, request_id=request.id))
        return Reply(status=problem.status, body=dumps(said), content_type="application/json")

    def _remember(self, reply: Reply, request: RecordedRequest, format: Format, given: Given) -> None:
        """Keep what the answer gives away and the vendor wants back as it was."""
        if reply.body is not None:
            given.learn(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body))
        elif reply.reasoning or reply.tool_calls or reply.searched or reply.signature not in ("auto", None):
            given.learn(format.body(Answer.of(reply, request)))

    def _decided(self, request: RecordedRequest) -> Reply:
        if isinstance(self.default, Reply):
            return self.default
        try:
            return self.default(request) or echo(request)
        except Exception as exc:
            self._broken = self._broken or exc
            return Reply(status=500, error=f"The script failed: {exc!r}")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            self._failure = exc
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.slow_callback_duration = 10.0  # a long reply is rendered in one go
        self._stop = asyncio.Event()

        def connected() -> Connection:
            return Connection(next(self._connection_numbers), self.answer, self.connections)

        server = await self._loop.create_server(connected, self._host, self._port, backlog=4096)
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        # First the connections: asyncio loses those that it has accepted and not yet made when the server closes.
        for _ in range(_ROUNDS):
            answering = [connection.task for connection in self.connections if connection.task]
            for connection in list(self.connections):
                connection.close()
            await asyncio.gather(asyncio.sleep(0), *answering, return_exceptions=True)
            if not self.connections and len(asyncio.all_tasks()) == 1:
                break
        server.close()
        await server.wait_closed()
