"""Functions that a model may call: definitions from plain typed Python functions, and running the calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .exceptions import InvalidRequestError
from .schemas import LLMRequest

__all__ = ["definitions", "tool"]


def tool(function: Callable[..., Any]) -> dict[str, Any]:
    """The definition of a function as a tool: its name, its docstring, and a schema of its parameters.

    Types come from the signature, descriptions from the docstring (Google, NumPy or Sphinx style).

    Raises:
        InvalidRequestError: a parameter that no JSON can carry.
    """
    from pydantic import Field, create_model
    from pydantic.errors import PydanticUserError

    about, described = _docstring(function)
    fields: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except NameError as error:
        raise InvalidRequestError(f"{function.__name__}: its annotations cannot be resolved: {error}.") from None
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise InvalidRequestError(
                f"{function.__name__}: the parameter {parameter} cannot be filled from JSON; "
                "a tool takes named parameters only."
            )
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (kind, Field(default, description=described.get(name)))
    try:
        schema = create_model(function.__name__, **fields).model_json_schema()
    except (PydanticUserError, TypeError) as error:
        raise InvalidRequestError(f"{function.__name__}: its parameters have no JSON schema: {error}") from None
    schema = _without_titles(schema)
    schema.setdefault("properties", {})
    definition: dict[str, Any] = {"name": function.__name__, "parameters": schema}
    if about:
        definition["description"] = about
    return {"type": "function", "function": definition}


def definitions(request: LLMRequest) -> LLMRequest:
    """The request with its tools as definitions, and its tool choice checked against them.

    Raises:
        InvalidRequestError: a tool that is neither a function nor a definition, two of one name, or a choice
            of a tool that is not there.
    """
    if not request.tools:
        if request.tool_choice not in (None, "auto", "none"):
            raise InvalidRequestError(f"tool_choice is {request.tool_choice!r}, but the request has no tools.")
        return request
    tools = [_definition(given, position) for position, given in enumerate(request.tools)]
    names = [t["function"]["name"] for t in tools if t.get("type") == "function"]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"Two tools are called {name!r}; give each a name of its own.")
    return request.model_copy(update={"tools": tools, "tool_choice": _choice(request.tool_choice, names)})


def _definition(given: Any, position: int) -> dict[str, Any]:
    if isinstance(given, dict):
        function = given.get("function")
        if given.get("type") != "function":
            return given
        if isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]:
            return {
                **given,
                "function": {**function, "parameters": function.get("parameters") or _NO_PARAMETERS},
            }
    elif callable(given):
        return tool(given)
    raise InvalidRequestError(
        f"tools[{position}] is neither a function nor a definition of the form "
        '{"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}.'
    )


def _choice(choice: str | dict[str, Any] | None, names: list[str]) -> str | dict[str, Any] | None:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    name = choice if isinstance(choice, str) else (choice.get("function") or choice).get("name")
    if name not in names:
        raise InvalidRequestError(
            f'tool_choice is {choice!r}; it takes "auto", "none", "required", or one of the tools: {", ".join(names)}.'
        )
    return {"type": "function", "function": {"name": name}}


_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function and of its parameters."""
    written = inspect.getdoc(function)
    if not written:
        return "", {}
    from docstring_parser import parse

    parsed = parse(written)
    about = "\n\n".join(part for part in (parsed.short_description, parsed.long_description) if part)
    return about, {p.arg_name: p.description for p in parsed.params if p.description}


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of names: they tell a model nothing new."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(inner) for name, inner in value.items()}
        if key in ("properties", "$defs") and isinstance(value, dict)
        else _without_titles(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
