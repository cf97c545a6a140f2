"""A comparison of two lockfiles as Markdown, for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..figures import remark
from .changes import FIGURES, Move, Priced, details, key_of_place, price_changes, setting_values

if TYPE_CHECKING:
    from ...lockfile import Lockfile
    from .comparing import Comparison, SettingChange

__all__ = ["render"]

_MARK = {"added": " (new)", "removed": " (removed)", "changed": ""}


def render(comparison: Comparison, before: Lockfile | None, after: Lockfile, *, name: str, since: str) -> str:
    """The comparison as Markdown, in tables.

    Args:
        comparison: what changed.
        before, after: the two files.
        name: what the file is called.
        since: what it is compared with.
    """
    heading = f"### {_code(name)} since {_code(since)}"
    if not comparison:
        return f"{heading}\n\nNo change to what it says."
    parts = [heading]
    for profile in comparison.profiles:
        parts.append(f"**Profile {_code(profile.name)}**{_MARK[profile.kind]}")
        priced = price_changes(profile, before, after)
        if priced:
            parts.append("\n".join(_table(priced)))
        if listed := "\n".join(line for it in priced for line in _listed(it)):
            parts.append(listed)
    if comparison.settings:
        parts.append("**Settings**")
        parts.append("\n".join(_settings(comparison.settings)))
    if comparison.profiles:
        parts.append("Prices are US dollars for a million tokens, windows are in tokens.")
    return "\n\n".join(parts)


def _table(priced: list[Priced]) -> Iterator[str]:
    yield "| alias | model | input | output | window |"
    yield "|---|---|---|---|---|"
    for it in priced:
        figures = (str(it.figure(name)) for name in FIGURES)
        yield f"| {_code(it.change.alias)}{_MARK[it.change.kind]} | {_moved(it.model)} | {' | '.join(figures)} |"


def _listed(priced: Priced) -> Iterator[str]:
    """What has no column: stand-bys, params, and the end of a model that now serves."""
    alias = _code(priced.change.alias)
    if priced.change.kind != "removed":
        for name, move in details(priced.change):
            yield f"- {alias}: {_text(name)} {_moved(move)}"
        if priced.after is not None and (said := remark(priced.after)):
            yield f"- {alias}: {_code(str(priced.model.after))} {said}"


def _settings(settings: tuple[SettingChange, ...]) -> Iterator[str]:
    yield "| setting | value |"
    yield "|---|---|"
    for change in settings:
        yield f"| {_code(key_of_place(change.place))}{_MARK[change.kind]} | {_moved(setting_values(change))} |"


def _moved(move: Move) -> str:
    shown = [_code(side) if side != "none" else side for side in (move.before, move.after) if side is not None]
    return " → ".join(dict.fromkeys(shown))


def _code(text: str) -> str:
    """A code span that holds the text as it is, in a table's cell too."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{_text(text)}{pad}{fence}"


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
