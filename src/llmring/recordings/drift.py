"""How a model's answer of today differs from the one that was recorded, apart from its wording."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from .exchanges import Exchange, calls_of

__all__ = ["differences", "text_of"]

_MUCH = 2.0
"""Times as many tokens, or as few, are no matter of wording."""
_LITTLE = 20
"""Tokens that are none, either."""


def text_of(exchange: Exchange) -> str:
    """All that an answer says as text."""
    answered = exchange.answered
    return answered.unclosed or "".join(it.text for it in answered.pieces)


def differences(recorded: Exchange, today: Exchange) -> list[str]:
    """What is other than it was recorded, each in words: how it ends, what it calls, of what it is made, its tokens.

    Raises:
        RecordingError: one is no answer.
    """
    return [*_ends(recorded, today), *_calls(recorded, today), *_shape(recorded, today), *_tokens(recorded, today)]


def _ends(recorded: Exchange, today: Exchange) -> Iterator[str]:
    before, now = (_end(it) for it in (recorded, today))
    if before != now:
        yield f"ends: {before} -> {now}"
    names = [it.answered.response_model for it in (recorded, today)]
    if names[0] != names[1] and all(names):
        yield f"model: {names[0]} -> {names[1]}"


def _end(exchange: Exchange) -> str:
    answered = exchange.answered
    if answered.error is not None:
        status = answered.error.get("status_code")
        return f"{answered.error['type']}{f' ({status})' if status else ''}"
    return "left by its reader" if answered.left else str(answered.finish_reason)


def _calls(recorded: Exchange, today: Exchange) -> Iterator[str]:
    before, now = (
        [(name, _parsed("".join(pieces))) for _, name, pieces in calls_of(it.answered)] for it in (recorded, today)
    )
    if [it[0] for it in before] != [it[0] for it in now]:
        yield f"calls: {_listed(it[0] for it in before)} -> {_listed(it[0] for it in now)}"
        return
    for (name, written), (_, other) in zip(before, now, strict=True):
        if written != other:
            yield f"arguments of {name}: {_short(written)} -> {_short(other)}"


def _listed(names: Iterator[str]) -> str:
    return ", ".join(names) or "none"


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _shape(recorded: Exchange, today: Exchange) -> Iterator[str]:
    if recorded.answered.error is not None or today.answered.error is not None:
        return
    before, now = (_made_of(it) for it in (recorded, today))
    if before != now:
        yield f"made of: {', '.join(before) or 'nothing'} -> {', '.join(now) or 'nothing'}"
    if "response_format" in recorded.request:
        forms = [_form(_parsed(text_of(it))) for it in (recorded, today)]
        if forms[0] != forms[1]:
            yield f"form: {_short(forms[0])} -> {_short(forms[1])}"


def _made_of(exchange: Exchange) -> list[str]:
    answered = exchange.answered
    parts = sorted({str(it.get("type")) for it in answered.parts})
    thinks = any(it.reasoning for it in answered.pieces)
    return [*(["thinking"] if thinks else []), *(["text"] if text_of(exchange).strip() else []), *parts]


def _form(value: Any) -> Any:
    """The form of a JSON value: its keys, and of which kind what stands there is."""
    if isinstance(value, Mapping):
        return {key: _form(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_form(value[0])] if value else []
    return "null" if value is None else "number" if type(value) in (int, float) else type(value).__name__


def _tokens(recorded: Exchange, today: Exchange) -> Iterator[str]:
    before, now = recorded.answered.usage, today.answered.usage
    if before is None or now is None:
        if (before is None) != (now is None):
            yield f"tokens: {'none' if before is None else 'some'} told -> {'none' if now is None else 'some'} told"
        return
    if before["prompt_tokens"] != now["prompt_tokens"]:
        yield f"tokens of the prompt: {before['prompt_tokens']} -> {now['prompt_tokens']}"
    less, more = sorted((before["completion_tokens"], now["completion_tokens"]))
    if more > less * _MUCH and more - less > _LITTLE:
        yield f"tokens of the answer: {before['completion_tokens']} -> {now['completion_tokens']}"
