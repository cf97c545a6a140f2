"""What is done to a request once, before any model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic import ValidationError

from . import parts, structured, tool_dialects, tools
from .exceptions import ConfigurationError, InvalidRequestError
from .schemas import LLMRequest

if TYPE_CHECKING:
    from .lockfile import Binding
    from .structured import AnswerFormat

__all__ = ["check", "number", "prepare", "seconds", "with_params"]

_NO_PARAMS = frozenset({"model", "messages", "stream"})
_FIELDS = frozenset(LLMRequest.model_fields) - _NO_PARAMS


def check(request: LLMRequest) -> None:
    """Refuse what no provider takes.

    Raises:
        InvalidRequestError: no model, no messages, or one that is out of place.
    """
    if not isinstance(request, LLMRequest):
        raise InvalidRequestError(
            f"{type(request).__name__} is no request; pass LLMRequest(model=..., messages=[Message(...)])."
        )
    if not request.model:
        raise InvalidRequestError("The request names no model; name an alias of the lockfile, or a provider:model.")
    if not request.messages:
        raise InvalidRequestError('The request has no messages; send at least Message(role="user", content=...).')
    if all(message.role == "system" for message in request.messages):
        raise InvalidRequestError("The request has only system messages; add a user message to answer.")
    called: set[str] = set()
    for position, message in enumerate(request.messages):
        if message.tool_calls and message.role != "assistant":
            raise InvalidRequestError(
                f"messages[{position}] has tool_calls, but its role is {message.role!r}; only an assistant calls."
            )
        called.update(call["id"] for call in message.tool_calls or ())
        if message.role == "tool" and message.tool_call_id is None:
            raise InvalidRequestError(
                f"messages[{position}] is a tool's result that names no call; put the call's id into tool_call_id."
            )
        if message.role == "tool" and message.tool_call_id not in called:
            raise InvalidRequestError(
                f"messages[{position}] is a tool's result, but no assistant message before it made the call "
                f"{message.tool_call_id!r}. Append response.to_message() first."
            )


def with_params(request: LLMRequest, binding: Binding) -> LLMRequest:
    """The request with the binding's params where it says nothing itself. Those of no field go into `extra_params`.

    Raises:
        ConfigurationError: one is no default of a request, or has a value that its field does not take; or its tools.
    """
    if binding.tools is not None:
        tool_dialects.tool_mode(binding.tools, f"the binding of the alias {binding.alias!r}")
    if not binding.params:
        return request
    if own := _NO_PARAMS & binding.params.keys():
        raise ConfigurationError(
            f"The params of the alias {binding.alias!r} cannot hold {', '.join(sorted(own))}: every request says that "
            "itself. Take it out."
        )
    update: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in binding.params.items():
        if name not in _FIELDS:
            extra[name] = value
        elif name == "extra_params" and isinstance(value, Mapping):
            extra.update(value)
        elif name not in request.model_fields_set:
            update[name] = value
    if extra:
        update["extra_params"] = extra | request.extra_params
    try:
        checked = LLMRequest(model=request.model, messages=[], **update)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"The params of the alias {binding.alias!r} cannot be used: {wrong}.") from None
    return request.model_copy(update={name: getattr(checked, name) for name in update})


async def prepare(request: LLMRequest) -> tuple[LLMRequest, AnswerFormat | None]:
    """The request as every wire reads it: tools defined, the answer's form a table, files read in.

    Raises:
        InvalidRequestError: a tool, a form or a file that is none.
    """
    form = None
    if request.tools or request.tool_choice is not None:
        request = tools.definitions(request)
    if request.response_format is not None or request.json_response:
        request, form = structured.answer_format(request)
    if any(isinstance(message.content, list) for message in request.messages):
        request = await parts.load(request)
    return request, form


@overload
def seconds(value: float, what: str, *, forever: Literal[False]) -> float: ...
@overload
def seconds(value: float | None, what: str) -> float | None: ...
def seconds(value: float | None, what: str, *, forever: bool = True) -> float | None:
    """A number of seconds, checked; `forever`: or `None`, which waits forever.

    Raises:
        ConfigurationError: it is not above 0, or no number.
    """
    if value is None and forever:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
        raise ConfigurationError(
            f"{what} is {value!r}; it takes a number of seconds above 0{', or None to wait forever' * forever}."
        )
    return value


def number(value: int, what: str, least: int) -> int:
    """A whole number, checked.

    Raises:
        ConfigurationError: it is less than the least, or no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{what} is {value!r}; it takes a whole number, and counts from {least}.")
    return value
