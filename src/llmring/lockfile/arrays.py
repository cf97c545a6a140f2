"""A list of strings over several lines, changed by value: what is said about an item goes where the item goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from .rendering import toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["relisted"]

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
        indent: what the line of the list begins with,
        step: and what an item's line begins with in addition, where the list does not show it.
    """
    found = _NEWLINE.search(text)
    newline = found[0] if found else "\n"
    head, items, foot = _parts(text, spans, newline, indent, step)
    has_last_comma = bool(items[-1].comma)
    frees = [item.free for item in items]
    known: dict[str, list[_Item]] = {}
    for value, item in zip(old, items, strict=True):
        if value in renamed:
            item.written = toml_value(renamed[value])
        known.setdefault(renamed.get(value, value), []).append(item)
    like = items[-1].indent
    chosen = [
        known[it].pop(0) if known.get(it) else _Item("", "", like, toml_value(it), ",", "", newline) for it in new
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
