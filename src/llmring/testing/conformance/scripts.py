"""The script of a wire by itself: whether it words what it is told to. A fault of it is not the provider's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from ...exceptions import LLMRingError
from ..exchange import RecordedRequest, Reply, Tokens, ToolCallScript
from ..wires import Answer
from . import contract
from .cases import case, pytest
from .stage import Stage
from .wire import WireScript

__all__ = ["ScriptTests"]


class ScriptTests:
    """Whether the script of an own wire is sound."""

    @case(contract.SCRIPT)
    async def test_the_script_of_the_wire_is_sound(self, stage: Stage) -> None:
        wire = stage.subject.wire
        if isinstance(wire, str):
            pytest.skip("the wire is a ready one")
        stage.says("Hello")
        with suppress(LLMRingError):  # what comes of it is the provider's business
            await stage.service().chat(stage.ask())
        if not stage.server.requests:
            pytest.skip("no request has reached the server, which other tests tell of")
        request = stage.server.requests[-1]
        for what, reply in _replies(stage):
            _look(stage, wire, what, Answer.of(reply, request))
        for trouble, problem in stage.subject.troubles.items():
            _json(stage, wire, f"error, of {trouble}", partial(wire.error, problem))
        _read(stage, wire, request)


def _replies(stage: Stage) -> Iterator[tuple[str, Reply]]:
    lacking = stage.subject.lacking
    yield "text in three pieces", Reply(chunks=["One", " two", " thr\u00e9e"], usage=Tokens(7, 5))
    yield "an answer without text and usage", Reply(chunks=[], usage=None)
    if "finish_reason" not in lacking:
        yield "a finish reason of its own", Reply("Hello", finish_reason="unheard_of")
    if "thinking" not in lacking:
        yield "thinking and text", Reply("Hello", reasoning=["Hm", "."])
    if "tools" not in lacking:
        yield "a call", Reply(tool_calls=[ToolCallScript("look", ['{"at": "Po', 'rto"}'])])


def _look(stage: Stage, wire: WireScript, what: str, answer: Answer) -> None:
    made = _done(stage, wire, f"events, of {what}", lambda: [*wire.events(answer)])
    carried = [it.carries for it in made]
    for piece in (*answer.chunks, *answer.reasoning):
        if piece not in carried:
            _blame(stage, wire, f"events, of {what}", f"no event carries {piece!r}: event({{...}}, carries=piece)")
    ends = [at for at, it in enumerate(made) if it.end]
    if stage.subject.needs_end_marker and ends != [len(made) - 1]:
        said = f"{len(ends)} of {len(made)} events are its end marker, and the last one alone is to be: "
        _blame(stage, wire, f"events, of {what}", f"{said}event({{...}}, end=True)")
    _json(stage, wire, f"body, of {what}", lambda: wire.body(answer))


def _read(stage: Stage, wire: WireScript, request: RecordedRequest) -> None:
    asked = _done(stage, wire, "read", lambda: wire.read(request))
    if asked is None:
        _blame(stage, wire, "read", f"it took a question for none: {request.method} {request.path}")


def _json(stage: Stage, wire: WireScript, where: str, make: Callable[[], Any]) -> None:
    made = _done(stage, wire, where, make)
    if not isinstance(made, bytes):
        _done(stage, wire, where, lambda: json.dumps(made))


def _done(stage: Stage, wire: WireScript, where: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:  # whatever a script does
        _blame(stage, wire, where, f"{type(error).__name__}: {error}")


def _blame(stage: Stage, wire: WireScript, where: str, what: str) -> NoReturn:
    stage.wrong(f"the script of the wire is at fault, and not the provider: {type(wire).__name__}.{where}: {what}")
