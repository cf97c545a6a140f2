"""How the vendors say that something went wrong, in a body or inside a stream, and what their words mean.

That is the `words` of `vendors.json`, each row with where it was seen. A row holds for whoever says so, its vendor or a
server that speaks like it; one of a dialect that was registered, for that provider alone. Its `codes` are said as such;
one of its `words` stands in the message, in any case, where `*` is at most some words of one sentence. `statuses` are
those for which it holds; a row that names none holds for any. `unless` are words that say, in a `*` or right behind,
that it is about something else: a feature, or what was sent.
Looking takes time in proportion to the message, which is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, get_args

from pydantic_core import from_json

from ..dialects import Dialect, Meaning, Words
from ..vendors import VENDORS

__all__ = ["CannotCarry", "Meaning", "WireError", "cut", "meaning_of", "read_error"]

_GAP = 120
"""Characters that a `*` stands for at most: the name of a model, and a few words."""
_NEXT = 6
"""Words behind that may say what the talk is of: "is not available for use with tools"."""
_LOOKED_AT = 4096
"""Characters of a message, at either end: in its middle is what the server was sent."""

_MESSAGES = ("message", "msg", "detail", "error")


class CannotCarry(Exception):
    """The request asks for something that the format has no place for; the message says what, and what to do."""


@dataclass(slots=True, eq=False)
class WireError(Exception):
    """What a vendor said of a failure.

    Attributes:
        message: the vendor's own words.
        status: the HTTP status, or the one its word stands for; `None` if it gave neither.
        codes: the vendor's words for the kind of error, in lower case (`"overloaded_error"`, `"model_not_found"`); a
            number becomes text.
        param: the request's field that it names.
        details: the body's further details, as they are.
        retry_after: seconds to wait, where the body names them; a header wins.
        enveloped: whether the body had the form of a vendor's error rather than, say, a proxy's page.
    """

    message: str
    status: int | None = None
    codes: tuple[str, ...] = ()
    param: str | None = None
    details: Any = None
    retry_after: float | None = None
    enveloped: bool = False

    def __post_init__(self) -> None:
        self.codes = tuple(str(code).lower() for code in self.codes)  # some vendors number them

    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> str | None:
        """The first of its words."""
        return self.codes[0] if self.codes else None


def read_error(body: Any, status: int | None = None) -> WireError:
    """Read an error out of a body (bytes or parsed JSON) in any vendor's form, or in none."""
    if isinstance(body, bytes | str):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        try:
            body = from_json(text)
        except ValueError:
            return WireError(_excerpt(text), status)
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return WireError(_excerpt(str(body)), status)
    inner = _innermost(body)
    message = next((said for key in _MESSAGES if isinstance(said := inner.get(key), str) and said), None)
    words = [word.lower() for key in ("code", "status", "type") if isinstance(word := inner.get(key), str)]
    status = status or next((s for w in (inner.get("code"), *words) if (s := _status_of(w))), None)
    if within := _quoted(message, inner.get("metadata")):
        error = read_error(within, status)
        error.codes += tuple(words)
        return error
    param, place = inner.get("param"), inner.get("loc")
    if param is None and isinstance(place, list):
        # Where a server that is built on pydantic, as Mistral's, found it: `["body", "messages", 1, "name"]`.
        param = ".".join(map(str, place[1:]))
    return WireError(
        message=message or _excerpt(str(inner)),
        status=status,
        codes=(*words, *_reasons(inner.get("details"))),
        param=param if isinstance(param, str) else None,
        details=inner.get("details") or inner.get("metadata"),
        enveloped=inner is not body or message is not None,
    )


def _reasons(details: Any) -> list[str]:
    """Google's own words for the kind of an error: `API_KEY_INVALID` is an INVALID_ARGUMENT."""
    found = [it.get("reason") for it in (details if isinstance(details, list) else [details]) if isinstance(it, dict)]
    return [reason.lower() for reason in found if isinstance(reason, str)]


def _innermost(table: dict[str, Any]) -> dict[str, Any]:
    """The table that says what happened: vendors put it in an envelope, and gateways the vendor's in their own."""
    if isinstance(table.get("message"), str) and not isinstance(table.get("error"), dict | list):
        return table
    for key in ("error", "detail", "message"):
        inner = table.get(key)
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, dict) and inner:
            return _innermost(inner)
    return table


def _quoted(message: str | None, metadata: Any) -> dict[str, Any] | None:
    """The error of whoever is behind a gateway that hands it on as text: as its message, or as OpenRouter does."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    for said in (raw, message):
        if isinstance(said, str) and said.lstrip().startswith("{"):
            try:
                parsed = from_json(said)
            except ValueError:
                continue
            if isinstance(parsed, dict) and parsed.keys() & {"error", "message"}:
                return parsed
    return None


@cache
def _statuses() -> Mapping[str, int]:
    """The HTTP statuses that the vendors' words stand for: an error inside a 200 stream has none of its own."""
    return {word: status for it in VENDORS.values() for word, status in it.statuses.items()}


def _status_of(word: Any) -> int | None:
    if isinstance(word, str):
        if not (word.isdecimal() and len(word) == 3):
            return _statuses().get(word.lower())
        word = int(word)
    return word if isinstance(word, int) and 400 <= word < 600 else None


def cut(text: str, head: int, tail: int) -> str:
    """The text, or its beginning and its end where it is longer than both together."""
    return text if len(text) <= head + tail else f"{text[:head]} … {text[-tail:]}"


def _excerpt(text: str) -> str:
    """The beginning of a body that is no vendor's error, on one line."""
    flat = " ".join(text[:2000].split())
    if not flat:
        return "the body is empty"
    return flat if len(flat) <= 200 else flat[:199] + "…"


class _Row:
    """One row of the table."""

    def __init__(self, row: Words) -> None:
        self.means = row.means
        self.codes = frozenset(row.codes)
        self.words = [words.split("*") for words in row.words]
        self.statuses = frozenset(row.statuses)
        self.unless = frozenset(row.unless)


@lru_cache(maxsize=16)
def _rows(own: Dialect | None) -> list[_Row]:
    """Those of every vendor, and before them those of one that is not built in, in the order of what they mean."""
    known = [own, *VENDORS.values()] if own is not None else [*VENDORS.values()]
    rows = [_Row(row) for it in known for row in it.words]
    return sorted(rows, key=lambda row: get_args(Meaning).index(row.means))


def meaning_of(failure: WireError, own: Dialect | None = None) -> Meaning | None:
    """What a vendor says of a failure, as far as its words are known; a code is believed before a message.

    Args:
        failure: what it said.
        own: what is known of it, where that is not built in.
    """
    rows = [row for row in _rows(own) if not row.statuses or failure.status is None or failure.status in row.statuses]
    for row in rows:
        if not row.codes.isdisjoint(failure.codes):
            return row.means
    # The end of a message is a mark, too.
    message = cut(failure.message, _LOOKED_AT, _LOOKED_AT).lower() + "\n"
    return next((row.means for row in rows if any(_says(message, words, row.unless) for words in row.words)), None)


def _says(message: str, words: list[str], unless: frozenset[str]) -> bool:
    """Whether these follow each other in one sentence, and are said of nothing else."""
    *before, last = words
    for place in _places(message, last):
        sentence = message[max(0, place - _GAP) : place]
        sentence = sentence[max(sentence.rfind(". "), sentence.rfind("\n")) + 1 :]
        begin = _begin(sentence, before)
        if begin is not None and unless.isdisjoint(_things(message, sentence[begin:], place + len(last))):
            return True
    return False


def _begin(sentence: str, words: list[str]) -> int | None:
    """Where the first of some words begins, each of which stands behind the one before; `None` if one is not there."""
    begin = len(sentence)
    for word in reversed(words):
        begin = sentence.rfind(word, 0, begin)
        if begin < 0:
            return None
    return begin


def _things(message: str, gap: str, end: int) -> list[str]:
    """The words in a gap, and the next few of the same sentence: a name has no space, so `gpt-image-1` is one."""
    rest = message[end : end + _GAP].partition("\n")[0].partition(". ")[0]
    return [word.strip(".,;:!?()") for word in (*gap.split(), *rest.split()[:_NEXT])]


def _places(message: str, word: str) -> Iterator[int]:
    place = message.find(word)
    while place >= 0:
        yield place
        place = message.find(word, place + len(word))
