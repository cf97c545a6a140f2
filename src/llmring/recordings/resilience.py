"""Whether a program survives its provider: it is run against every fault there is."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ..testing import Fault, PracticeServer, RecordedRequest, Reply
from ..testing.wires import FORMATS
from .judging import secret_variables
from .session import Session

__all__ = ["FAULTS", "assert_resilient"]

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "refuses: too many requests": {"problem": "rate_limit", "retry_after": 0.1},
    "refuses: overloaded": {"problem": "overloaded"},
    "refuses: an error of the server": {"status": 500},
    "refuses: no credit left": {"problem": "no_credit"},
    "refuses: a wrong key": {"problem": "bad_key"},
    "refuses: no such model": {"problem": "unknown_model"},
    "refuses: too long an input": {"problem": "too_long"},
    "never answers": {"fault": Fault.never_answer()},
    "hangs up": {"fault": Fault.hang_up()},
    "sends headers alone": {"fault": Fault.headers_only()},
    "resets the connection before the first chunk": {"fault": Fault.reset_before_first()},
    "resets the connection after two chunks": {"fault": Fault.reset_after(2)},
    "is cut after one chunk": {"fault": Fault.cut_after(1)},
    "is cut after two chunks": {"fault": Fault.cut_after(2)},
    "falls silent after one chunk": {"fault": Fault.stall_after(1)},
    "chatters after one chunk": {"fault": Fault.chatter_after(1)},
    "does not close": {"fault": Fault.linger()},
    "ends without its end marker": {"fault": Fault.end_early()},
    "ends after one chunk": {"fault": Fault.end_early(1)},
    "reports an error before the first chunk": {"fault": Fault.error_event()},
    "reports an error after two chunks": {"fault": Fault.error_event(2)},
    "says a page instead": {"fault": Fault.not_a_stream()},
    "says other JSON instead": {"fault": Fault.not_a_stream("application/json")},
    "sends a broken event": {"fault": Fault.malformed_event()},
    "loses an event": {"fault": Fault.lost_event()},
    "sends bytes that are no text": {"fault": Fault.invalid_utf8()},
    "sends events that nobody knows": {"fault": Fault.unknown_events()},
    "sends three million letters": {"fault": Fault.big_event()},
    "counts no tokens": {"fault": Fault.no_usage()},
    "names no finish reason": {"fault": Fault.no_finish_reason()},
    "sends byte by byte": {"fault": Fault.one_byte()},
    "ends lines as Windows does": {"fault": Fault.newlines()},
    "begins with a byte-order mark": {"fault": Fault.bom()},
    "comments": {"fault": Fault.comments()},
    "compresses": {"fault": Fault.gzip()},
    "says nothing": {"text": "", "chunks": []},
    "is cut off at the limit of tokens": {"finish_reason": "length"},
    "filters the answer": {"finish_reason": "content_filter"},
}
"""What goes wrong, by name: the fields of a `Reply` that are other than those of a good one."""

_UNWORDED = 402
"""The status of a refusal that a wire has no words for: no credit."""

Program = Callable[[], Any] | Callable[[], Awaitable[Any]]


def assert_resilient(
    program: Program,
    *,
    reply: Reply | str | Callable[[RecordedRequest], Reply | None] = "All is well.",
    session: Session | None = None,
    faults: Mapping[str, Mapping[str, Any]] | Collection[str] = FAULTS,
    allow: type[BaseException] | tuple[type[BaseException], ...] = (),
    timeout: float = 0.5,
    patience: float = 15.0,
) -> None:
    """Run a program against every fault, one after the other, and say which it did not survive.

    The first request of each run has the fault; those after it are answered well, so that a program that asks again, or
    has a stand-by, survives. One survives that returns in time and raises nothing.

    Args:
        program: what is run, anew for each fault, in a thread of its own: a function, async or not. It makes its own
            service, or the client of an SDK, from the environment, which points at a practice server; keys of yours are
            not in it.
        reply: what the server says: a reply, its text, or a function that decides.
        session: bends what its recordings say instead, for a program that asks a recording. What has no `fault` is
            left out then.
        faults: which; names of `FAULTS`, or others in its form.
        allow: errors that are survived, as those that the program hands on to its own caller.
        timeout: seconds; `LLMRING_PROVIDER_TIMEOUT_S` of the program.
        patience: seconds that one run may take.

    Raises:
        AssertionError: with a line for each fault that was not survived.
    """
    wanted = faults if isinstance(faults, Mapping) else {name: FAULTS[name] for name in faults}
    if session is not None:
        wanted = {name: fields for name, fields in wanted.items() if "fault" in fields}
    broken: dict[str, str] = {}
    with _environment({"LLMRING_PROVIDER_TIMEOUT_S": f"{timeout:g}"}):
        for name, fields in wanted.items():
            with _Ground(fields, reply, session) as ground:
                said = _run(program, allow, patience)
            if said is None and not ground.asked:
                said = "asked nobody, so that nothing was tried"
            if said is not None:
                broken[name] = said
    if broken:
        lines = "\n".join(f"  {name}: {said}" for name, said in broken.items())
        raise AssertionError(f"{len(broken)} of {len(wanted)} faults were not survived:\n{lines}")


class _Ground:
    """Where a program is run against one fault."""

    def __init__(
        self,
        fields: Mapping[str, Any],
        reply: Reply | str | Callable[[RecordedRequest], Reply | None],
        session: Session | None,
    ) -> None:
        self._fields = fields
        self._reply = reply
        self._session = session
        self._stack = ExitStack()
        self._asked = 0
        self._server: PracticeServer | None = None

    def __enter__(self) -> Self:
        if self._session is not None:
            bent = self._stack.enter_context(self._session.anew())
            bent.bend(self._fields["fault"])
            self._bent = bent
            return self
        self._server = server = self._stack.enter_context(PracticeServer())
        server.script(self._decide)
        hidden = dict.fromkeys(secret_variables(Path("llmring.lock")))
        self._stack.enter_context(_environment({**hidden, **server.environ()}))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def asked(self) -> bool:
        """Whether the program has asked at all."""
        return bool(self._asked) if self._session is None else bool(self._bent.replayed)

    def _decide(self, request: RecordedRequest) -> Reply | None:
        good = self._reply(request) if callable(self._reply) else self._reply
        good = Reply(good) if isinstance(good, str) else good
        self._asked += 1
        if self._asked > 1:
            return good
        if "problem" in self._fields:
            known = self._fields["problem"] in FORMATS[request.wire or "openai-chat"].TROUBLES
            return Reply(**self._fields) if known else Reply(status=_UNWORDED)
        if "status" in self._fields:
            return Reply(**self._fields)
        return replace(good or Reply(f"You said: {request.question}"), **self._fields)


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """These environment variables, or none of that name, for a while."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _run(program: Program, allow: type[BaseException] | tuple[type[BaseException], ...], patience: float) -> str | None:
    """What is wrong with a run, `None` for nothing."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            result = program()
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
        except BaseException as error:  # also what would end the process
            raised.append(error)

    thread = threading.Thread(target=run, name="llmring-resilience", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        return f"still ran after {patience:g} s"
    if raised and not isinstance(raised[0], allow):
        return f"raised {type(raised[0]).__name__}: {str(raised[0]).partition(chr(10))[0][:200]}"
    return None


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
