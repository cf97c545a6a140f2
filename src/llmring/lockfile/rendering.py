"""What is written by us: one value in TOML, new text in TOML or JSON, a file in the other format, the file's schema.

And a list of strings over several lines, changed by value: what is said about an item goes where the item goes. The
JSON Schema, `schema.json`, is for editors and for programs that write the file. It accepts all that `parsing.parse`
accepts. What a schema cannot say is left to `parse`: that the default profile is there, that no alias is bound twice,
that nothing looks like a secret.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import zip_longest
from pkgutil import get_data
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import ConfigurationError
from .model import DEFAULT_PROFILE, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "SCHEMA_FILE",
    "Converted",
    "converted",
    "json_schema",
    "json_text",
    "new_data",
    "new_text",
    "relisted",
    "rendered",
    "toml",
    "toml_key",
    "toml_value",
]

_NEW = "# Which model serves which alias. To bind one: llmring bind ALIAS provider:model\n"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ON_ONE_LINE = frozenset({"models", "params", "split", "rate", "budget"})
"""The keys of a binding whose tables are written on the line of their key."""
_LETTER_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\u(?!00[01])")
"""In JSON, what need not be an escape: not a control character, nor a `u` that follows an escaped backslash."""


def toml(data: Mapping[str, Any]) -> str:
    """A file, or the tables that are to become a part of one: a line for each item of a list, one for all `params`.

    So for each table of a binding, and for a list of models of which one has params of its own.

    Raises:
        TypeError: TOML has no such value (`None`, an object of some class).
    """
    import tomli_w

    toml_value(data)  # what else tomli-w takes (a `Decimal`) is not read as it was
    tables: list[str] = []
    # What stands for a table of a binding until it is written, and for nothing else.
    elsewhere = "\0" * (1 + json.dumps(data, default=str).count("\\u0000"))

    def without(raw: Mapping[str, Any]) -> dict[str, Any]:
        kept = dict(raw)
        for key in [key for key in raw if key in _ON_ONE_LINE and _has_table(raw[key])]:
            tables.append(f"{key} = {toml_value(raw[key])}")
            kept[key] = elsewhere
        return kept

    profiles = {
        name: {**raw, "bindings": [without(it) for it in raw["bindings"]]} if raw.get("bindings") else raw
        for name, raw in data.get("profiles", {}).items()
    }
    text = tomli_w.dumps({**data, "profiles": profiles} if profiles else data)
    lines = iter(tables)  # tomli-w would give them tables of their own
    return re.sub(rf"[a-z]+ = {re.escape(_quoted(elsewhere))}", lambda _: next(lines), text)


def _has_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(it, Mapping) for it in value))


def toml_value(value: Any) -> str:
    """A value on one line, tables as inline tables, to stand where another one stood. It raises what `toml` does."""
    match value:
        case str():
            return _quoted(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            pairs = [f"{toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            raise TypeError(f"TOML has no value of the type {type(value).__name__}")


def toml_key(key: str) -> str:
    """A key, in quotes only where it needs them."""
    return key if _BARE.fullmatch(key) else _quoted(key)


def json_text(data: Mapping[str, Any], like: str | None = None) -> str:
    """A JSON file, laid out as another one is: its indentation, its line endings, what is escaped."""
    if like is None:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    begin = like.index("{")
    indent = re.search(r"\n([ \t]*)\S", like[begin:])
    is_airy = indent is not None or re.search(r'"\s*:\s', like) is not None
    written = json.dumps(
        data,
        indent=indent[1] if indent else None,
        separators=(", " if is_airy and not indent else ",", ": " if is_airy else ":"),
        ensure_ascii=like.isascii() and _LETTER_ESCAPED.search(like) is not None,
    )
    newline = "\r\n" if re.match(r"[^\n]*\r\n", like) else "\n"
    return like[:begin] + written.replace("\n", newline) + like[len(like.rstrip()) :]


def new_data(bindings: Iterable[tuple[str, Sequence[str]]] | None = None) -> dict[str, Any]:
    """What a new lockfile holds: its default profile with the models of each alias; `None` leaves `bindings` out."""
    profile: dict[str, Any] = {"name": DEFAULT_PROFILE}
    if bindings is not None:
        profile["bindings"] = [{"alias": alias, "models": list(models)} for alias, models in bindings]
    return {"version": VERSION, "default_profile": DEFAULT_PROFILE, "profiles": {DEFAULT_PROFILE: profile}}


def new_text(*, as_json: bool = False) -> str:
    """A new lockfile that binds nothing yet."""
    return json_text(new_data()) if as_json else _NEW + toml(new_data())


class Converted(NamedTuple):
    """A file in the other format.

    Attributes:
        text: all of it.
        data: what it holds.
        changes: in words, what its data holds otherwise than before.
    """

    text: str
    data: dict[str, Any]
    changes: list[str]


def converted(data: Mapping[str, Any], *, to_json: bool) -> Converted:
    """The data of a lockfile, every key of it, as the text of a JSON or a TOML file.

    TOML has no null: a key that holds one is left out, which says the same. JSON has no dates: they become strings.

    Raises:
        ConfigurationError: a value has no counterpart in the other format; the message says which.
    """
    changes: list[str] = []

    def counterpart(value: Any, *place: str | int) -> Any:
        match value:
            case dict():
                nulls = [] if to_json else [key for key in value if value[key] is None]
                changes.extend(f"{_dotted(*place, key)} is null and is left out" for key in nulls)
                return {key: counterpart(it, *place, key) for key, it in value.items() if key not in nulls}
            case list():
                return [counterpart(inner, *place, index) for index, inner in enumerate(value)]
            case None if not to_json:
                raise ConfigurationError(f"{_dotted(*place)} is null, which a TOML list cannot hold. Take it out first")
            case datetime() | date() | time() if to_json:
                changes.append(f"{_dotted(*place)} is a date or a time; in JSON it is a string")
                return value.isoformat()
            case float() if to_json and not math.isfinite(value):
                raise ConfigurationError(f"{_dotted(*place)} is {value}, which JSON cannot say. Take it out first")
        return value

    new: dict[str, Any] = counterpart(dict(data))
    text = json_text(new) if to_json else toml(new)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("The file holds half of a surrogate pair, which TOML cannot say") from None
    return Converted(text, new, changes)


def _dotted(*place: str | int) -> str:
    return ".".join(map(str, place))


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON lets stand as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_TAIL = re.compile(r"(?P<comma>[ \t]*,)?(?P<comment>[ \t]*#[^\r\n]*)?[ \t]*")
_LEADING_COMMA = re.compile(r"((?:\s|#[^\n]*\n)*),[ \t]*")
_NEWLINE = re.compile(r"\r?\n")
_COMMENT_LINES = re.compile(r"(?:[ \t]*#[^\n]*\n)+\Z")


@dataclass(slots=True)
class _Item:
    """An item as it is written: the lines above it that are not about it, those that are, and its own line."""

    free: str
    about: str
    indent: str
    written: str
    comma: str
    comment: str
    newline: str


def relisted(
    text: str,
    spans: Sequence[tuple[int, int]],
    old: Sequence[str],
    new: Sequence[str],
    *,
    renamed: Mapping[str, str],
    written: Mapping[str, str] | None = None,
    indent: str,
    step: str,
) -> str:
    """The text of a list, brackets included, with other items, each on a line of its own.

    An item that stays keeps the comment at the end of its line and those directly above it; with one that goes they
    go. Comment lines above the first item alone are about the list, and stay at its head.

    Args:
        text: the list as it is written. Lines that are new get the ending of its first one.
        spans: where each item begins and ends in it.
        old: what the items say.
        new: what they shall say.
        renamed: what takes the place of an item and inherits what is said about it.
        written: how those of the new items are written that are not the strings that they say.
        indent: what the line of the list begins with,
        step: and what an item's line begins with in addition, where the list does not show it.
    """
    found = _NEWLINE.search(text)
    newline = found[0] if found else "\n"
    written = written or {}
    head, items, foot = _parts(text, spans, newline, indent, step)
    has_last_comma = bool(items[-1].comma)
    frees = [item.free for item in items]
    known: dict[str, list[_Item]] = {}
    for value, item in zip(old, items, strict=True):
        if value in renamed:
            item.written = written.get(renamed[value]) or toml_value(renamed[value])
        known.setdefault(renamed.get(value, value), []).append(item)
    like = items[-1].indent
    chosen = [
        known[it].pop(0) if known.get(it) else _Item("", "", like, written.get(it) or toml_value(it), ",", "", newline)
        for it in new
    ]
    for item in chosen[:-1]:
        item.comma = item.comma or ","
    chosen[-1].comma = (chosen[-1].comma or ",") if has_last_comma else ""
    lines = [f"{it.about}{it.indent}{it.written}{it.comma}{it.comment}{it.newline}" for it in chosen]
    body = "".join(free + line for free, line in zip_longest(frees, lines, fillvalue=""))
    return f"[{head}{body}{foot}]"


def _parts(
    text: str, spans: Sequence[tuple[int, int]], newline: str, indent: str, step: str
) -> tuple[str, list[_Item], str]:
    """What stands on the line of the opening bracket, the items, and what stands below the last one's line."""
    items: list[_Item] = []
    lines = (text[text.rfind("\n", 0, start) + 1 : start] for start, _ in spans)
    usual = next((line for line in lines if not line.strip()), indent + step)
    head, at = newline, 1
    for start, end in spans:
        lead = text[at:start]
        if comma := _LEADING_COMMA.match(lead):
            below = lead[comma.end() :]
            is_alone = below.lstrip("\r").startswith("\n")
            items[-1].comma, lead = ",", (comma[1].rstrip() if is_alone else comma[1]) + below
        first_line, has_own_line, above = lead.partition("\n")
        if has_own_line and not items:
            head = f"{first_line}\n"
        free, about, own = _divided(above)
        tail = _TAIL.match(text, end)
        assert tail is not None
        at = tail.end()
        ending = _NEWLINE.match(text, at)
        found = (own if has_own_line else usual, text[start:end], tail["comma"] or "", tail["comment"] or "")
        items.append(_Item(free, about, *found, ending[0] if ending else newline))
    if not any(item.about for item in items[1:]):
        items[0].free, items[0].about = items[0].free + items[0].about, ""
    _, has_own_line, foot = text[at:-1].partition("\n")
    return head, items, foot if has_own_line else indent


def _divided(above: str) -> tuple[str, str, str]:
    """What is written above an item: other lines, the comment lines that touch it, its indentation."""
    line = above.rfind("\n") + 1
    touching = _COMMENT_LINES.search(above, 0, line)
    begin = touching.start() if touching else line
    return above[:begin], above[begin:line], above[line:]


SCHEMA_FILE = "llmring.schema.json"
"""The name under which a new lockfile refers to its schema, beside it."""


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect 2020-12, as a new dictionary. Unknown keys are allowed everywhere: they are kept."""
    schema: dict[str, Any] = json.loads(rendered())
    return schema


def rendered() -> str:
    """The schema as the text of a file."""
    return (get_data("llmring", "lockfile/schema.json") or b"").decode()
