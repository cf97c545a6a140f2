"""Values as wires have them: what is set, what is text, what is a count, and characters that came in halves."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ..schemas import Usage

__all__ = [
    "Halves",
    "as_list",
    "completed",
    "contradiction",
    "count",
    "largest",
    "merge_params",
    "name_of",
    "present",
    "table_of",
    "text",
    "usage_of",
]

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE = re.compile("[\ud800-\udfff]")
_ARGUMENTS = frozenset({"arguments", "partial_json", "input"})


def text(value: Any) -> str:
    """The value, which must be text: what a wire sends instead cannot be decoded."""
    if value.__class__ is not str:
        raise TypeError(f"{value!r} where text was expected")
    return value


def name_of(value: Any) -> str | None:
    """The value where a name or an id is expected; numbers are taken for one, anything else for none."""
    if value.__class__ is int:
        return str(value)
    return value if isinstance(value, str) and value else None


def largest(*counts: Any) -> int | None:
    """The largest of the counts that are some."""
    return max((found for it in counts if (found := count(it)) is not None), default=None)


def usage_of(
    prompt: Any,
    completion: Any,
    *,
    total: Any = None,
    cache_read: Any = None,
    cache_write: Any = None,
    reasoning: Any = None,
    beyond_is_input: bool = False,
) -> Usage | None:
    """The counts as `Usage`; `None` if neither side was reported.

    Args:
        prompt: all input, what was read from or written to a cache included.
        completion: all output; where the provider counts reasoning beside it, that is added.
        total: the provider's own. Tokens that it has beyond the sum are output, for that is what providers leave out.
        cache_read, cache_write, reasoning: where they are reported.
        beyond_is_input: the provider says that what is in the total alone is input.
    """
    if not isinstance(prompt, int | float) and not isinstance(completion, int | float):
        return None
    prompt, completion, thought = count(prompt) or 0, count(completion) or 0, count(reasoning)
    beyond = (count(total) or 0) - prompt - completion
    if beyond > 0 and beyond_is_input:
        prompt += beyond
    elif beyond > 0:
        completion += beyond
    elif thought is not None and thought > completion:
        completion += thought
    usage: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if (read := count(cache_read)) is not None:
        usage["cache_read_tokens"] = read
    if (written := count(cache_write)) is not None:
        usage["cache_write_tokens"] = written
    if thought is not None:
        usage["reasoning_tokens"] = thought
    return usage


def contradiction(usage: Usage, total: Any) -> str | None:
    """What of the counts cannot be, `None` if all can.

    Args:
        usage: the counts.
        total: the provider's own, if it named one. One that is larger was believed.
    """
    if (count(total) or usage["total_tokens"]) < usage["total_tokens"]:
        return f"{usage}, and a total of {total}"
    cached = usage.get("cache_read_tokens", 0) + usage.get("cache_write_tokens", 0)
    if cached > usage["prompt_tokens"] or usage.get("reasoning_tokens", 0) > usage["completion_tokens"]:
        return str(usage)
    return None


def completed(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """A report of counts, completed by a later one, which never erases: what it leaves out stands, tables alike.

    It is the earlier one, changed: a copy for each of many small reports would make the work grow with their square.
    """
    for key, value in later.items():
        before = earlier.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            completed(before, value)
        elif value is not None:
            earlier[key] = value
    return earlier


def table_of(value: Any) -> dict[str, Any]:
    """The value where a table is expected, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def count(value: Any) -> int | None:
    """The value where a number is expected, `None` for anything else."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) else None


def present(**values: Any) -> dict[str, Any]:
    """Those of the values that are set: what is not set is not sent."""
    return {name: value for name, value in values.items() if value is not None}


def as_list(stop: str | list[str] | None) -> list[str] | None:
    """Stop sequences for a wire that takes only a list of them."""
    return [stop] if isinstance(stop, str) else stop


def merge_params(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Merge the caller's own parameters into a body: tables merge, everything else is replaced."""
    for key, value in extra.items():
        mine = body.get(key)
        if isinstance(value, dict) and isinstance(mine, dict):
            body[key] = merge_params(dict(mine), value)
        else:
            body[key] = value
    return body


class Halves:
    """Characters that a server cut in two, put together again.

    A server written in JavaScript cuts its text in UTF-16: what needs two units there, as an emoji does, may come with
    one half at the end of an event and the other at the beginning of the next. Either is valid JSON.

    Attributes:
        waiting: the first half, by the place in the event where the second is to come, and whether it is of arguments.
    """

    def __init__(self) -> None:
        self.waiting: dict[tuple[Any, ...], tuple[str, bool]] = {}

    @property
    def in_arguments(self) -> bool:
        """Whether the arguments of a call wait for their second half."""
        return any(of_arguments for _, of_arguments in self.waiting.values())

    def parse(self, payload: bytes, refused: ValueError, *, whole: bool = False) -> Any:
        """An event that the strict parser refused. Raises `ValueError` if it is not for half a character.

        Args:
            payload: JSON.
            refused: why.
            whole: it is all there is, so that no second half will come.
        """
        if not _HALF.search(payload):
            raise refused
        try:
            return self.join(json.loads(payload), whole=whole)
        except RecursionError:
            raise refused from None

    def join(self, event: Any, *, whole: bool = False) -> Any:
        """The event with the halves that waited for it, and without those that wait for the next."""
        kind = event.get("type") if isinstance(event, dict) else None
        of_a_call = isinstance(kind, str) and ("arguments" in kind or "input" in kind)
        kept = _ARGUMENTS | {"delta"} if of_a_call else _ARGUMENTS
        return self._join(event, (), kept, whole)

    def _join(self, value: Any, place: tuple[Any, ...], kept: frozenset[str], whole: bool) -> Any:
        if isinstance(value, dict):
            return {key: self._join(inner, (*place, key), kept, whole) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._join(inner, (*place, at), kept, whole) for at, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        said = self.waiting.pop(place, ("", False))[0] + value
        if said.isascii():
            return said
        # Two halves side by side become one character; one by itself passes.
        said = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        of_arguments = bool(place) and place[-1] in kept
        if not whole and "\ud800" <= said[-1] <= "\udbff":
            self.waiting[place] = said[-1], of_arguments
            said = said[:-1]
        # Arguments with half a character are no JSON, and so an error; text is still text.
        return said if of_arguments else _LONE.sub("\ufffd", said)
