"""The practice server: started, scripted, asked what it saw, closed."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from dataclasses import replace
from typing import Any, Self

from .connection import Connection
from .deciding import Deciding, Decision, echo
from .environment import environ
from .exchange import RecordedRequest, Reply
from .wires import FACTS

__all__ = ["PracticeServer", "echo"]

_ROUNDS = 1000
"""Of closing connections, after which it lets clients be that connect again and again."""


class PracticeServer(Deciding):
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
    wire="counting")`. And it keeps files, and runs batches, each account's by themselves, where Anthropic, OpenAI and
    Gemini do: on the wires `files` and `batches`. The rows of batches are answered as single requests are.

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
        batches: what it runs: `batches.script()` says how the next one goes, `batches.made` lists them.
        capabilities: what Ollama's `/api/show` says that a model can do, in Ollama's words, whatever `describe` says.
        requests: what has been asked, oldest first.

    A reply that cannot be rendered and a script that fails are answered with status 500, which a program may take
    for the provider's. So leaving the `with` block raises the first such exception.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, record: bool = True):
        super().__init__(record)
        self._host = host
        self._port = port
        self._connection_numbers = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._refusing: list[socket.socket] = []
        self.connections: set[Connection] = set()

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
        action: str | None = None,
        times: int = 1,
        **fields: Any,
    ) -> Reply:
        """Queue an answer.

        Args:
            reply: the answer, or its text; not given: the fields say it all.
            wire, model: answer only requests on that wire, for that model. The wire `models` is a listing, `counting` a
                count.
            action: on the wires `files` and `batches`, answer only this: `create`, `retrieve`, `list`, `download`,
                `cancel`, `delete`, or `begin`, Gemini's first step of an upload.
            times: how many requests to answer with it.
            **fields: of `Reply`.

        Raises:
            TypeError, ValueError: there is no such wire, the model is named as an alias names it, or a field of the
                reply holds what no wire can render. Nothing is queued.
        """
        reply = Reply(reply, **fields) if isinstance(reply, str) else replace(reply or Reply(), **fields)
        self._queue.add(reply, wire, model, times, action)
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
        """Forget the queue, the default, the requests and what was scripted for batches; files and batches stay."""
        self._queue.clear()
        self.batches.clear()
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
