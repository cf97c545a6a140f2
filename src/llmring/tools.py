"""Functions that a model may call: definitions from plain typed Python functions, and the choice among them."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable
from typing import Annotated, Any, cast, get_type_hints
from weakref import ref

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from .exceptions import InvalidRequestError
from .schemas import LLMRequest

__all__ = ["arguments_model", "definitions", "name_of", "tool"]

_KEPT = "__llmring_tool__"
"""The attribute of a function that holds its definition."""


def tool(function: Callable[..., Any]) -> dict[str, Any]:
    """The definition of a function as a tool: its name, its docstring, and a schema of its parameters.

    Types come from the signature, descriptions from `Annotated[..., Field(description=...)]`, else from the
    docstring (Google, NumPy or Sphinx style). What `functools.partial` has filled in, the model is not asked for.

    Raises:
        InvalidRequestError: a parameter that no JSON can carry, or nothing to call the function by.
    """
    plain = _plain(function)
    name = getattr(plain, "__name__", type(plain).__name__)
    if isinstance(plain, type) or not name.isidentifier():
        raise InvalidRequestError(f"{name} cannot be a tool: it takes a function with a name, or a definition of one.")
    fields = _fields(function, plain, name)
    try:
        schema = _without_titles(create_model(name, **fields).model_json_schema(schema_generator=_Generator))
    except (PydanticUserError, TypeError) as error:
        raise InvalidRequestError(f"{name}: its parameters have no JSON schema: {str(error).splitlines()[0]}") from None
    about, described = _docstring(plain)
    for key, inner in schema.setdefault("properties", {}).items():
        if key in described:
            inner.setdefault("description", described[key])
    definition: dict[str, Any] = {"name": name, "parameters": schema}
    if about:
        definition["description"] = about
    return {"type": "function", "function": definition}


def arguments_model(function: Callable[..., Any]) -> type[BaseModel]:
    """What checks and converts the arguments of a call: a model whose fields have the parameters' names as aliases.

    Raises:
        InvalidRequestError: as `tool` does.
    """
    plain = _plain(function)
    name = getattr(plain, "__name__", type(plain).__name__)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **_fields(function, plain, name))


def _fields(function: Callable[..., Any], plain: Any, name: str) -> dict[str, Any]:
    """The parameters as a pydantic model's fields."""
    fields: dict[str, Any] = {}
    for parameter in _parameters(function, plain, name):
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        if isinstance(default, FieldInfo):
            kind, default = Annotated[kind, default], ... if default.is_required() else default.get_default()
        # pydantic would refuse `_id`, `json` or `model_config` as the name of a field, but not as an alias.
        fields[f"parameter_{len(fields)}"] = (kind, Field(default, alias=parameter.name))
    return fields


class _Generator(GenerateJsonSchema):
    """A default that JSON cannot carry is left out, and not worth a warning."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


def _plain(function: Any) -> Any:
    """The function under partials and decorators, which has the name, the docstring and the globals."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def _parameters(function: Callable[..., Any], plain: Any, name: str) -> list[inspect.Parameter]:
    """What a call must or may fill in, annotations evaluated."""
    filled = function.keywords if isinstance(function, functools.partial) else {}
    try:
        parameters = [p for p in _signature(function).parameters.values() if p.name not in filled]
    except (TypeError, ValueError):
        raise InvalidRequestError(f"{name} has no signature to read; write its definition out.") from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise InvalidRequestError(
                f"{name}: the parameter {parameter} cannot be filled from JSON; a tool takes named parameters only."
            )
    if parameters and parameters[0].name in ("self", "cls") and parameters[0].annotation is inspect.Parameter.empty:
        raise InvalidRequestError(f"{name} is a method without its object; pass it bound, as in `thing.{name}`.")

    def holder() -> None: ...

    # The annotation of what is returned is of no interest, and need not be there to be evaluated.
    holder.__annotations__ = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
    call = plain if hasattr(plain, "__globals__") else getattr(plain, "__func__", type(plain).__call__)
    try:
        kinds = get_type_hints(holder, getattr(call, "__globals__", None), include_extras=True)
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        raise InvalidRequestError(f"{name}: its annotations cannot be resolved: {error}.") from None
    return [p.replace(annotation=kinds.get(p.name, p.empty)) for p in parameters]


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def definitions(request: LLMRequest) -> LLMRequest:
    """The request with its tools as definitions, and its tool choice checked against them.

    Raises:
        InvalidRequestError: a tool that is neither a function nor a definition, two of one name, or a choice
            of a tool that is not there.
    """
    if not request.tools:
        if request.tool_choice not in (None, "auto", "none"):
            raise InvalidRequestError(f"tool_choice is {request.tool_choice!r}, but the request has no tools.")
        # Vendors refuse a choice without anything to choose from.
        return request if request.tool_choice is None else request.model_copy(update={"tool_choice": None})
    tools = [_definition(given, position) for position, given in enumerate(request.tools)]
    names = [name for t in tools if (name := name_of(t)) is not None]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"Two tools are called {name!r}; give each a name of its own.")
    return request.model_copy(update={"tools": tools, "tool_choice": _choice(request.tool_choice, tools)})


def _definition(given: Any, position: int) -> dict[str, Any]:
    if isinstance(given, dict):
        function = given.get("function")
        if given.get("type") == "custom":
            return _custom(given, position)
        if given.get("type") != "function":
            return given
        if isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]:
            return {
                **given,
                "function": {**function, "parameters": function.get("parameters") or _NO_PARAMETERS},
            }
    elif callable(given):
        return _described(given)
    raise InvalidRequestError(
        f"tools[{position}] is neither a function nor a definition of the form "
        '{"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}.'
    )


def _custom(given: dict[str, Any], position: int) -> dict[str, Any]:
    """A custom tool of OpenAI's in the form of its Responses API, the flatter of two; Anthropic's, as it is."""
    inner = given["custom"] if isinstance(given.get("custom"), dict) else given
    if not isinstance(inner.get("name"), str) or not inner["name"]:
        raise InvalidRequestError(
            f'tools[{position}] is a custom tool without a name: {{"type": "custom", "name": ..., "description": ...}}.'
        )
    form = inner.get("format")
    if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
        form = {"type": "grammar", **form["grammar"]}
    return {**inner, "type": "custom", **({} if form is None else {"format": form})}


def name_of(tool: dict[str, Any]) -> str | None:
    """What a call of a tool names; `None` for one that the provider runs itself."""
    if tool.get("type") == "function":
        return str(tool["function"]["name"])
    return str(tool["name"]) if tool.get("type") == "custom" else None


def _described(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's definition. Reading a signature takes a millisecond, so it is kept, where it dies with its function.

    The attribute is copied to a function that wraps this one, and is no definition of that.
    """
    if not inspect.isfunction(function):
        return tool(function)
    of, definition = vars(function).get(_KEPT) or (None, None)
    if of is None or of() is not function:
        definition = tool(function)
        setattr(function, _KEPT, (ref(function), definition))
    return cast("dict[str, Any]", definition)


def _choice(choice: str | dict[str, Any] | None, tools: list[dict[str, Any]]) -> str | dict[str, Any] | None:
    """The choice in OpenAI's form; of a tool that the provider runs itself: its type, its name, and what was said."""
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    inner = choice if isinstance(choice, str) else choice.get("function") or choice.get("custom") or choice
    name = inner.get("name") if isinstance(inner, dict) else inner
    said = choice if isinstance(choice, dict) else {}
    for tool in tools:
        if (its := name_of(tool)) is not None:
            if its == name:
                kind = tool["type"]
                return {"type": kind, **({"name": name} if kind == "custom" else {"function": {"name": name}})}
        elif any(label in (name, said.get("type")) for label in _labels(tool)):
            own: dict[str, Any] = {key: tool[key] for key in ("type", "name") if key in tool}
            return {**said, "type": _labels(tool)[0], **own}
    choices = [name_of(t) or _labels(t)[-1] for t in tools]
    raise InvalidRequestError(
        f'tool_choice is {choice!r}; it takes "auto", "none", "required", or one of the tools: {", ".join(choices)}.'
    )


def _labels(tool: dict[str, Any]) -> list[str]:
    """What a tool that the provider runs itself is called by: its type and its name, or its only key."""
    return [tool[key] for key in ("type", "name") if isinstance(tool.get(key), str)] or list(tool) or ["{}"]


_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def _docstring(function: Any) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function and of its parameters."""
    written = inspect.getdoc(function) or ""
    if not written and not hasattr(function, "__name__"):
        written = inspect.getdoc(type(function).__call__) or ""
    from docstring_parser import ParseError, parse

    try:
        parsed = parse(written)
    except ParseError:
        return written, {}
    about = "\n\n".join(part for part in (parsed.short_description, parsed.long_description) if part)
    return about, {p.arg_name: p.description for p in parsed.params if p.description}


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of names: they tell a model nothing new."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: _without_titles(inner) for name, inner in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            if value not in (math.inf, -math.inf) and value == value:  # JSON has no word for these
                kept[key] = value
        elif not (key == "title" and isinstance(value, str)):
            kept[key] = _without_titles(value)
    return kept
