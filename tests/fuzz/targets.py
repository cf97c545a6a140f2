"""What must hold of any bytes: for each door, a function that fails where it does not."""

from __future__ import annotations

import json
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from llmring.exceptions import LLMRingError, ProviderError
from llmring.lockfile.changes import says, with_binding
from llmring.lockfile.parsing import decode, holds_json, parse
from llmring.lockfile.places import line_and_column, scan
from llmring.providers.errors import error_of_answer
from llmring.tool_dialects import BrokenCall, Call, Text, dialect_names
from llmring.wire.errors import WireError, read_error

from ..lockfile.conftest import PLAIN
from ..tool_dialects.test_reading import TABLE, read
from ..wire.streams import DECODERS, EXAMPLES, MODEL

Target = Callable[[bytes], None]
STEERING = {"Cc", "Cs", "Zl", "Zp"}
TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MOST_WORDS = 4096
"""Characters that a message may have: those of ours, and 2 KB of a server's."""


def told(failure: Exception) -> None:
    """An error says something."""
    assert str(failure)


def _decode(wire: str) -> Target:
    def run(data: bytes) -> None:
        """Text, calls and a final chunk of the right form, or an error; and where it is cut makes no difference."""
        seen = []
        for cut in (0, len(data) // 2, len(data)):
            decoder = DECODERS[wire](MODEL)
            chunks = decoder.read(data[:cut]) if cut else []
            if not (decoder.ended or decoder.error):
                chunks += decoder.read(data[cut:])
            if not (decoder.ended or decoder.error):
                chunks += decoder.end_of_bytes()
            for chunk in chunks:
                assert type(chunk.delta) is str
                assert chunk.reasoning is None or type(chunk.reasoning) is str
                for call in chunk.tool_calls or ():
                    assert type(call["function"]["arguments"]) is str
            final = None
            if decoder.error is None and decoder.complete:
                try:
                    final = decoder.close()
                except WireError as error:
                    decoder.error = error
            if final is not None:
                assert final.finish_reason in ("stop", "length", "tool_calls", "content_filter", "other")
                for call in final.tool_calls or ():
                    json.loads(call["function"]["arguments"])
            seen.append(
                ("".join(c.delta for c in chunks), final is None, decoder.error is None, decoder.skipped_events)
            )
        assert seen[0] == seen[1] == seen[2]
        whole = DECODERS[wire](MODEL)
        whole.answer(data)
        if whole.error is not None:
            told(whole.error)

    return run


def lockfile(data: bytes) -> None:
    """It is read or refused; what is found in it lies in it; and an edit gives what can be read again."""
    path = Path("llmring.lock")
    try:
        read = parse(data, path)
    except LLMRingError as refused:
        told(refused)
        return
    text = decode(data, path)
    if text.startswith("\ufeff"):
        return
    is_json = holds_json(text, path)
    for entry in scan(text, is_json=is_json):
        assert 0 <= entry.start <= entry.end <= len(text)
        assert line_and_column(text, entry.start) >= (1, 1)
    edited, meant = with_binding(text, read, "default", "fuzzed", ["openai:model-1"], None)
    made = json.loads(edited) if is_json else tomllib.loads(edited)
    # What cannot be edited in place is noticed here in the library, too, which refuses to write it.
    if says(made, meant):
        parse(edited.encode(), path)


def error(data: bytes) -> None:
    """An error of the contract's, in one line of bounded length that steers no terminal."""
    for status in (None, 400, 404, 429, 500):
        raised = error_of_answer(
            read_error(data, status),
            provider="vendor",
            model="model-1",
            key_source="KEY",
            sent=frozenset({"temperature"}),
        )
        assert isinstance(raised, ProviderError)
        assert len(str(raised)) <= MOST_WORDS
        assert not STEERING & {unicodedata.category(sign) for sign in str(raised)}
        assert not TURNING & set(str(raised))


def tools(data: bytes) -> None:
    """In any dialect: text and calls, which are of the tools' and fit them; and where it is cut makes no difference."""
    text = data.decode(errors="replace")
    for name in dialect_names():
        whole = read(name, text)
        assert read(name, text[: len(text) // 2], text[len(text) // 2 :]) == whole
        assert read(name, *text) == whole
        for event in whole:
            if isinstance(event, Call):
                assert type(json.loads(event.arguments)) is dict
            elif isinstance(event, BrokenCall):
                assert event.reason
        if all(isinstance(event, Text) for event in whole):
            assert whole == ([Text(text)] if text else [])


TARGETS: Mapping[str, Target] = {
    **{wire: _decode(wire) for wire in DECODERS},
    "lockfile": lockfile,
    "error": error,
    "tools": tools,
}


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with."""
    if name == "lockfile":
        return [PLAIN.encode(), b'{"version": "1.0", "profiles": {"default": {"name": "default", "bindings": []}}}']
    if name == "tools":
        return [row["text"].encode() for row in TABLE["outputs"]]
    if name == "error":
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]
        return [
            b'{"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}',
            json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}).encode(),
            b'[{"error": "Please try again in 6m0.5s"}]',
            b"<html><body>Bad gateway</body></html>",
        ]
    mine = [example for example in EXAMPLES if example.wire == name]
    return [example.data for example in mine] + [json.dumps(it.answer).encode() for it in mine if it.answer]
