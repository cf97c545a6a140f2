"""What a question is asked with: the options of `llmring chat` and `llmring map` that become fields of the request."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from ..references import alike, shown
from ..schemas import LLMRequest

SchemaOption = Annotated[
    str | None,
    typer.Option("--schema", metavar="FILE", help="A JSON Schema; the answer is JSON that keeps to it."),
]
ReasoningOption = Annotated[
    str | None,
    typer.Option("--reasoning", metavar="LEVEL", help="How much to think: low, medium, high, or the model's own."),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", help="The most tokens to answer with, thinking included."),
]
TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", metavar="X", help="How freely to word it; 0 is least.")
]

_OTHERWISE = {
    "model": "--model",
    "messages": "the prompt itself, and --load",
    "system": "--system",
    "stream": "--no-stream",
    "metadata": "nothing: it is never sent",
}
_LIKENESS = 0.85
"""How near to a field a name is that was misspelt; the vendors' own, as top_k and min_tokens, are less near."""


def fields_of(options: Sequence[Any], flag: str, **named: Any) -> dict[str, Any]:
    """The fields of a request that options say. What is no field goes to the provider as it is.

    Args:
        options: pairs of name and value, as they were typed: as JSON where that reads it, else as text.
        flag: what the command calls the option that says them.
        named: fields that have an option of their own; `None` where it was not given.

    Raises:
        BadParameter: a value is none of its field, or a name is one that was misspelt.
    """
    fields: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, text in options:
        if name in _OTHERWISE:
            raise typer.BadParameter(f"{name} is said by {_OTHERWISE[name]}", param_hint=flag)
        if name in LLMRequest.model_fields:
            value = _value(text)
            fields[name] = value if _fits(name, value) or not _fits(name, text) else text
        elif near := alike(name.replace("-", "_"), LLMRequest.model_fields, 1, _LIKENESS):
            raise typer.BadParameter(f"{shown(name)} is no parameter. Did you mean {near[0]}?", param_hint=flag)
        elif "=" in name:
            said, _, value = name.partition("=")
            raise typer.BadParameter(f"it takes two words: {flag} {said} {value or 'VALUE'}", param_hint=flag)
        elif not name.strip():
            raise typer.BadParameter(f"it takes a name and a value, as in: {flag} top_k 40", param_hint=flag)
        else:
            others[name] = _value(text)
    fields |= {name: value for name, value in named.items() if value is not None}
    return checked(fields, others)


def checked(fields: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with what goes to the provider as it is, once a request takes them."""
    if others:
        given = fields.get("extra_params", {})
        fields["extra_params"] = {**(given if isinstance(given, Mapping) else {}), **others}
    try:
        LLMRequest(model="-", messages=[], **fields)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        raise typer.BadParameter(
            f"{name} cannot be {shown(str(fields.get(name)))}: {wrong['msg']}", param_hint=_option_of(name)
        ) from None
    return fields


def _fits(name: str, value: Any) -> bool:
    try:
        LLMRequest(**{"model": "-", "messages": [], name: value})
    except ValidationError:
        return False
    return True


def _option_of(name: str) -> str:
    return {"temperature": "--temperature", "max_tokens": "--max-tokens", "reasoning_effort": "--reasoning"}.get(
        name, f"-o {name}"
    )


def _value(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
