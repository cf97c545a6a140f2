"""Answers of a given form: the schema to ask for, and the check of what came."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import from_json, to_json

from .exceptions import InvalidRequestError, ProviderResponseError
from .references import shown
from .schemas import LLMRequest, LLMResponse, Message

__all__ = ["AnswerFormat", "answer_format", "asked_again", "validated"]

_DATA = (str, bytes, int, float, list, tuple)
"""What comes out of a lockfile, a template or a saved conversation. Text is no type's name: pydantic would run it."""
_FENCE = "```"
_CLOSE = "</think>"
_WRAPPED = re.compile(r'\A\s*\{\s*"value"\s*:(.*)\}\s*\Z', re.DOTALL)
_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_KEPT = 64
"""So many types, and so many schemas, are kept as they were read."""
_DEFINITIONS = ("$defs", "definitions")
_FORMS = (
    'response_format takes {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": ..., '
    '"schema": {...}}}, or a type such as a pydantic model.'
)


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The form that an answer must have.

    Attributes:
        schema: what the answer is checked against; `None` asks for any JSON object.
        adapter: pydantic's validator of the type that was asked for; `None` leaves the answer as it is parsed.
        wrapped: the root is no object, which most providers insist on, so it travels under the key `value`.
    """

    schema: dict[str, Any] | None
    adapter: Any = None
    wrapped: bool = False

    def check(self, response: LLMResponse, provider: str, model: str, *, at: int = 0) -> Any:
        """The parsed answer. An answer that only calls tools has none.

        Args:
            response: the answer.
            provider, model: whose.
            at: where in its text the answer proper begins: what stands before it is commentary.

        Raises:
            ProviderResponseError: it is not of the form, or the model refused; the message has the reasons and the
                text.
        """
        value, reasons = self._parse(response.content[at:])
        for rest in _after_thinking(response.content[at:]) if reasons else ():
            # Where a model's template begins its thinking, only the end of it is in the text.
            value, still = self._parse(rest)
            reasons = reasons if still else []
            if not reasons:
                break
        if not reasons:
            return value
        if response.finish_reason == "tool_calls":
            return None
        misfits: list[str] = []
        shown = response.content if len(response.content) <= 500 else response.content[:499] + "…"
        if response.finish_reason == "content_filter":
            words = (
                f"{provider}:{model} refused to answer, or its answer was withheld (content_filter). Ask otherwise, or "
                f"choose another model.{f' It said: {shown}' if shown.strip() else ''}"
            )
        else:
            misfits = reasons
            cut = " It was cut off at max_tokens: raise it." if response.finish_reason == "length" else ""
            words = (
                f"The answer of {provider}:{model} does not have the form that was asked for.{cut} "
                f"{'; '.join(reasons)}. It was: {shown}"
            )
        error = ProviderResponseError(words, provider=provider, model=model, partial=response)
        error.misfits = tuple(misfits)
        raise error

    def _parse(self, text: str) -> tuple[Any, list[str]]:
        text = _unfenced(text)
        try:
            value = from_json(text, allow_inf_nan=False)
        except ValueError as error:
            return None, [f"It is not JSON: {error}"]
        if self.wrapped and isinstance(value, dict) and set(value) == {"value"}:
            value = value["value"]
            inner = _WRAPPED.match(text)
            text = inner[1] if inner else to_json(value).decode()
        if self.adapter is not None:
            return validated(self.adapter, text)
        if self.schema is None:
            return (value, []) if isinstance(value, dict) else (None, ["It is JSON, but no object"])
        errors = sorted(_validator(self.schema).iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
        return value, [f"{_path(e.absolute_path)}: {e.message[:200]}" for e in errors[:5]]


def asked_again(request: LLMRequest, response: LLMResponse, error: BaseException) -> LLMRequest | None:
    """The request that tells the model what in its answer did not fit; `None` where it is not to be asked again.

    An answer that was cut off at its limit would be so once more.
    """
    misfits = error.misfits if isinstance(error, ProviderResponseError) else ()
    if not misfits or not request.retries_on_misfit or response.finish_reason == "length":
        return None
    said = [response.to_message()] if response.content.strip() else []  # vendors refuse a turn that says nothing
    told = f"Your answer does not have the form that was asked for: {'; '.join(misfits)}. Give the whole answer again, "
    told += "in that form, and nothing beside it."
    turns = [*request.messages, *said, Message(role="user", content=told)]
    return request.model_copy(update={"messages": turns, "retries_on_misfit": request.retries_on_misfit - 1})


def _unfenced(text: str) -> str:
    """The text without the fence of Markdown that models put around JSON. An expression for it takes its time."""
    inner = text.strip()
    if not inner.startswith(_FENCE) or not inner.endswith(_FENCE):
        return text
    label, _, inner = inner.removeprefix(_FENCE).removesuffix(_FENCE).partition("\n")
    closed_on_its_own_line = "\n" in inner[len(inner.rstrip()) :]
    return inner if label.strip().lower() in ("", "json") and closed_on_its_own_line else text


def _after_thinking(text: str) -> list[str]:
    """What follows the end of thinking, in each way to read it; nothing where there is none."""
    first, last = text.partition(_CLOSE)[2], text.rpartition(_CLOSE)[2]
    return [] if last == text else [first] if first == last else [first, last]


class _Number(float):
    """A number of JSON that remembers how it was written: pydantic makes a Decimal of what a float is printed as."""

    __slots__ = ("_written",)
    _written: str

    def __new__(cls, written: str) -> _Number:
        number = super().__new__(cls, written)
        number._written = str(written)
        return number

    def __str__(self) -> str:
        return self._written


def validated(adapter: Any, text: str) -> tuple[Any, list[str]]:
    """What pydantic makes of the text, and what it has against it."""
    if "'type': 'decimal'" in str(adapter.core_schema):
        # `validate_json` reads numbers as floats, whose seventeen digits a Decimal may exceed. Where the rules for
        # JSON are laxer than those for Python's objects, they decide.
        with suppress(ValidationError):
            return adapter.validate_python(json.loads(text, parse_float=_Number)), []
    try:
        return adapter.validate_json(text), []
    except ValidationError as error:
        return None, [f"{_path(e['loc'])}: {e['msg']}" for e in error.errors()[:5]]


def answer_format(request: LLMRequest) -> tuple[LLMRequest, AnswerFormat | None]:
    """The request with its response format as a table that every wire reads, and the check of the answer.

    Raises:
        InvalidRequestError: the format, or its schema, is not one.
    """
    given = request.response_format
    if given is None:
        if not request.json_response:
            return request, None
        given = {"type": "json_object"}
    inner: dict[str, Any] = {}
    if isinstance(given, dict):
        if given.get("type") == "text":
            return request.model_copy(update={"response_format": None}), None
        if given.get("type") == "json_object":
            return request.model_copy(update={"response_format": {"type": "json_object"}}), AnswerFormat(None)
        inner = given.get("json_schema")  # type: ignore[assignment]
        if (
            given.get("type") != "json_schema"
            or not isinstance(inner, dict)
            or not isinstance(inner.get("schema"), dict)
        ):
            raise InvalidRequestError(_FORMS)
        try:
            read = _of_schema(to_json(inner["schema"]))
        except InvalidRequestError:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError(f"response_format's schema cannot be sent: {error}.") from None
    elif isinstance(given, _DATA):
        raise InvalidRequestError(f"response_format is the {type(given).__name__} {shown(given)}. {_FORMS}")
    else:
        try:
            read = _of_type(given, repr(given), getattr(given, "__pydantic_validator__", None))
        except TypeError:  # it has no hash
            read = _of_type.__wrapped__(given, "", None)
    name = inner.get("name") or read.name
    table: dict[str, Any] = {"name": _NAME.sub("_", str(name))[:64], "schema": from_json(read.sent)}
    table |= {key: inner[key] for key in ("description", "strict") if inner.get(key) is not None}
    rendered = {"type": "json_schema", "json_schema": table}
    return request.model_copy(update={"response_format": rendered}), read.form


@dataclass(frozen=True, slots=True)
class _Read:
    """What comes of a type or of a schema: a name for it, the schema to send as JSON, and the check of the answer.

    It is kept, for the same ones come with every request of a program. Each gets a schema of its own to change.
    """

    name: str
    sent: bytes
    form: AnswerFormat


@lru_cache(maxsize=_KEPT)
def _of_schema(written: bytes) -> _Read:
    schema = from_json(written)
    _check_schema(schema)
    sent, wrapped = _as_object(schema)
    return _Read(schema.get("title") or "answer", to_json(sent), AnswerFormat(schema, None, wrapped))


@lru_cache(maxsize=_KEPT)
def _of_type(given: Any, _shown: str, _validator: Any) -> _Read:
    """Told apart by how they are shown, too, as `int | str` equals `str | int`; and a model that was rebuilt."""
    if inspect.isroutine(given):
        raise InvalidRequestError(_FORMS)
    try:
        adapter: Any = given if isinstance(given, TypeAdapter) else TypeAdapter(given)
        schema = adapter.json_schema()
    except (PydanticUserError, NameError, SyntaxError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidRequestError(f"response_format {given!r} has no JSON schema: {reason}. {_FORMS}") from None
    sent, wrapped = _as_object(schema)
    return _Read(getattr(given, "__name__", "answer"), to_json(sent), AnswerFormat(schema, adapter, wrapped))


def _as_object(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with an object at its root, and whether it had to be put under the key `value`."""
    definitions: dict[str, Any] = {key: schema[key] for key in _DEFINITIONS if key in schema}
    root, seen = schema, set[str]()
    while (reference := root.get("$ref")) is not None and reference not in seen:
        seen.add(reference)
        beside = {key: value for key, value in root.items() if key != "$ref"}
        root = {**_resolver(schema).lookup(reference).contents, **beside, **definitions}
    if root.get("type") == "object":
        return root, False
    wrapped: dict[str, Any] = {
        "type": "object",
        "properties": {"value": _moved({key: value for key, value in schema.items() if key not in definitions})},
        "required": ["value"],
        "additionalProperties": False,
        **_moved(definitions),
    }
    return wrapped, True


def _moved(node: Any) -> Any:
    """A part of a schema whose root has moved below `properties/value`."""
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/properties/value{value[1:]}"
        if key == "$ref" and isinstance(value, str) and re.match(r"#(?!/(\$defs|definitions)/)", value)
        else _moved(value)
        for key, value in node.items()
    }


def _check_schema(schema: dict[str, Any]) -> None:
    import jsonschema
    import referencing.exceptions

    try:
        _validator(schema).check_schema(schema)
        for reference in _references(schema):
            _resolver(schema).lookup(reference)
    except jsonschema.SchemaError as error:
        raise InvalidRequestError(
            f"response_format's schema is no JSON schema: {_path(error.absolute_path)}: {error.message[:200]}"
        ) from None
    except referencing.exceptions.Unresolvable as error:
        raise InvalidRequestError(f"response_format's schema refers to {error.ref}, which is not in it.") from None


def _references(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "$ref" and isinstance(value, str):
            yield value
        else:
            yield from _references(value)


def _validator(schema: dict[str, Any]) -> Any:
    import jsonschema.validators
    import referencing

    # The registry is empty: without one, references to elsewhere would be fetched.
    validator: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return validator(schema, registry=referencing.Registry())


def _resolver(schema: dict[str, Any]) -> Any:
    import referencing.jsonschema

    resource = referencing.jsonschema.DRAFT202012.create_resource(schema)
    return referencing.Registry().with_resource("", resource).crawl().resolver()


def _path(keys: Any) -> str:
    return "/".join(map(str, keys)) or "the whole"
