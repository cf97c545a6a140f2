"""Concealment: a key, and the value of a header, are nowhere to be seen."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from collections.abc import Iterator

from ...exceptions import ProviderError
from ..exchange import Reply
from ..faults import Fault
from . import contract
from .cases import case, pytest
from .stage import Stage

__all__ = ["SecrecyTests"]


def _echoes(stage: Stage) -> Iterator[tuple[str, Reply]]:
    """Servers that repeat what they were sent."""
    words = f"Incorrect API key provided: {stage.key}. Header: {stage.header}."
    yield "an error of 401 that repeats the key", Reply(status=401, error=words)
    yield "an error of 400 that repeats the key", Reply(status=400, error=words)
    yield "a page of 500 that repeats the key", Reply(status=500, body=f"<p>{words}</p>".encode())
    yield "a body of 200 that repeats the key, and is no answer", Reply(body=words.encode())
    yield "an error in the stream that repeats the key", Reply("Hi", fault=Fault.error_event(1, 500, words))


class SecrecyTests:
    """Where no secret may be."""

    @case(contract.SECRETS)
    async def test_no_error_shows_the_key(self, stage: Stage) -> None:
        service = stage.service()
        for did, reply in _echoes(stage):
            stage.says(reply)
            for error in await _errors(stage, service):
                _look(stage, error, did)

    @case(contract.SECRETS)
    async def test_no_error_of_the_network_shows_the_key(self, stage: Stage) -> None:
        for did, fault in (
            ("a connection that was hung up", Fault.hang_up()),
            ("a stream that was cut", Fault.cut_after(2)),
            ("silence", Fault.never_answer()),
        ):
            stage.says(Reply(chunks=["a", "b", "c"], fault=fault))
            for error in await _errors(stage, stage.service(timeout=stage.subject.timeout)):
                _look(stage, error, did)
        for error in await _errors(stage, stage.service(url=stage.server.refused_url())):
            _look(stage, error, "a refused connection")

    @case(contract.SECRETS)
    async def test_no_log_shows_the_key(self, stage: Stage) -> None:
        """Neither llmring's nor the client's, at any level."""
        with stage.listening(logging.DEBUG) as logs:
            service = stage.service()
            stage.says(Reply(chunks=["a", stage.key, "c"], fault=Fault.malformed_event(2)))
            await stage.stream(stage.ask(), service)
            for _, reply in _echoes(stage):
                stage.says(reply)
                await _errors(stage, service)
            await service.close()
        for line in logs:
            for what, secret in (("the key", stage.key), ("the value of a header", stage.header)):
                stage.check(
                    secret not in line,
                    f"a log record shows {what}: {line.replace(secret, '[' + what + ']'):.200}",
                )

    @case(contract.SECRETS)
    async def test_no_repr_shows_the_key(self, stage: Stage) -> None:
        provider = stage.service().get_provider(stage.subject.name)
        held = {"repr(provider)": repr(provider), "str(provider)": str(provider), "repr(config)": repr(provider.config)}
        for what, shown in held.items():
            for which, secret in (("the key", stage.key), ("a header", stage.header)):
                hint = "Keep it as a `Key`, and show it by `reveal` only where it is sent"
                stage.check(secret not in shown, f"{what} shows {which}. {hint}")

    @case(contract.ELSEWHERE)
    async def test_no_redirect_takes_the_key_elsewhere(self, stage: Stage) -> None:
        stage.says(Reply(status=307, headers={"location": f"{stage.other.url}/v1/chat/completions"}))
        await _errors(stage, stage.service())
        for request in stage.other.requests:
            for what, secret in (("the key", stage.key), ("a header", stage.header)):
                stage.check(
                    secret not in repr(request.headers),
                    f"the server redirected to another one, and that was sent {what}: follow none to another host",
                )

    @case(contract.PICKLE)
    @pytest.mark.parametrize("how", ["pickle", "copy"])
    async def test_errors_can_be_kept(self, stage: Stage, how: str) -> None:
        service = stage.service()
        stage.says(Reply(status=429, headers={"retry-after": "7"}))
        for error in await _errors(stage, service):
            try:
                kept = pickle.loads(pickle.dumps(error)) if how == "pickle" else copy.copy(error)  # noqa: S301
            except Exception as broken:
                stage.wrong(f"{type(error).__name__} cannot be kept by {how}: {broken!r}")
            for name in ("provider", "model", "status_code", "retry_after"):
                stage.same(f"after {how}, the error's {name}", getattr(kept, name), getattr(error, name))
            stage.same(f"after {how}, the error's message", str(kept), str(error))


async def _errors(stage: Stage, service: object) -> list[ProviderError]:
    """What a question comes to, by both roads."""
    errors = []
    taken = await stage.stream(stage.ask(), service)  # type: ignore[arg-type]
    if taken.error is not None:
        errors.append(taken.error)
    try:
        await stage.whole(stage.ask(), service)  # type: ignore[arg-type]
    except ProviderError as error:
        errors.append(error)
    await asyncio.sleep(0)
    return errors


def _look(stage: Stage, error: ProviderError, did: str) -> None:
    """Look for the secrets wherever an error is written down."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    try:
        pickled = pickle.dumps(error).decode("latin-1")
    except Exception as broken:
        stage.wrong(f"{type(error).__name__} cannot be pickled: {broken!r}")
    places = {
        "the message": str(error),
        "its repr": repr(error),
        "its attributes": repr(vars(error)),
        "its `original`": repr(error.original) + repr(getattr(error.original, "__dict__", "")),
        "its notes": repr(getattr(error, "__notes__", "")),
        "its pickle": pickled,
    }
    # The suite's own frames hold the key; those of a program hold what it has.
    frames = [frame for frame in whole.stack if "testing/conformance" not in frame.filename.replace("\\", "/")]
    places["its traceback, with locals"] = "\n".join(f"{frame.line} {frame.locals}" for frame in frames)
    for where, shown in places.items():
        for what, secret in (("the key", stage.key), ("the value of a header", stage.header)):
            stage.check(
                secret not in shown,
                f"{type(error).__name__} shows {what} in {where} ({did}): give its words to `Provider.error`, which "
                f"takes it out",
            )
