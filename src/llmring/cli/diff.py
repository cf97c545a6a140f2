"""`llmring lock diff`: what changed in the lockfile, and what that does to prices and windows.

Alias by alias, profile by profile, and every other setting. Of each alias there is one list of rows, which a table,
Markdown and JSON are printed from.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import LockfileError
from ..lockfile import Binding, Lockfile, load, parse
from ..lockfile.git import at_revision, is_revision
from .comparison import AliasChange, Comparison, Kind, SettingChange, compare
from .facts import facts_of, percent, price, remark, tokens
from .policies import on_average, policy_words
from .project import lockfile_path, params_data
from .terminal import columns, note, paint, say, say_json, working

_SIGN: Mapping[Kind, tuple[str, str]] = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_MARK: Mapping[Kind, str] = {"added": " (new)", "removed": " (removed)", "changed": ""}
_FIGURES: Mapping[str, tuple[str, Callable[..., str]]] = {
    "input": ("input_price", price),
    "output": ("output_price", price),
    "window": ("context_window", tokens),
}
"""What is compared, by the word for it: the field of a model's facts, and how it is written."""
_COLUMNS = 1 + len(_FIGURES)
"""How many rows every alias has: the model, and those."""


def diff(
    since: Annotated[
        str,
        typer.Argument(metavar="REV | FILE", help="A git revision, REV:PATH for another file of it, or a lockfile."),
    ] = "HEAD",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything changed.")] = False,
) -> None:
    """Show what changed in the lockfile, and what that costs.

    Since a git revision, or compared with another file: alias by alias and profile by profile, with what it does to
    the price of a million tokens in and out, and to the context window. Comments and order are no change. A file that
    was moved is found under its old name.

    \b
    Example:
      llmring lock diff
      llmring lock diff main --markdown
      llmring lock diff HEAD~3:config/llmring.lock
      llmring lock diff ../other/llmring.lock --exit-code
    """
    path = lockfile_path()
    after = load(path)
    with working("Asking git"):
        before, origin = _older(path, since)
    comparison, aliases = _compared(before, after)
    if as_json:
        say_json({"file": str(path), "since": origin, **_as_data(comparison, aliases)})
    elif markdown:
        say(_as_markdown(comparison, aliases, f"### {_code(path.name)} since {_code(since)}"))
    elif comparison:
        say(paint(f"{path.name} since {_called(origin)}", bold=True))
        _print(comparison, aliases)
    else:
        note(f"{path} says the same as {_called(origin)}.")
    if exit_code and comparison:
        raise typer.Exit(1)


def show_change(before: Lockfile, after: Lockfile) -> None:
    """Print what an edit changes, as `lock diff` does."""
    _print(*_compared(before, after))


def data_of_change(before: Lockfile | None, after: Lockfile) -> dict[str, Any]:
    """What an edit changes, as `lock diff --json` has it."""
    return _as_data(*_compared(before, after))


def changed_since(path: Path, since: str) -> dict[str, Any]:
    """What `lock diff --json` prints: the change since a git revision, or compared with another file."""
    after = load(path)
    before, origin = _older(path, since)
    return {"file": str(path), "since": origin, **data_of_change(before, after)}


def _compared(before: Lockfile | None, after: Lockfile) -> tuple[Comparison, dict[str, list[Rows]]]:
    comparison = compare(before, after)
    return comparison, {it.name: [_rows(alias, before, after) for alias in it.aliases] for it in comparison.profiles}


def _older(path: Path, since: str) -> tuple[Lockfile | None, dict[str, Any]]:
    """The file to compare with, `None` where there was none yet, and where it is from."""
    file = os.path.expanduser(since)
    if os.path.isfile(file):
        if is_revision(path, since):
            raise LockfileError(
                f'"{since}" is a file and a git revision. For the file: llmring lock diff ./{since}. '
                f"For the revision: llmring lock diff {since}^0"
            )
        return load(file), {"file": file, "revision": None, "commit": None}
    then = at_revision(path, since)
    origin = {"file": then.file, "revision": then.name, "commit": then.commit}
    if then.content is None:
        note(f"{path.name} was not there at {since}: all of it is new.")
        return None, origin
    try:
        return parse(then.content, Path(f"{since.partition(':')[0]}:{then.file}")), origin
    except LockfileError as error:
        raise LockfileError(
            f"The older lockfile cannot be read. {str(error).rstrip('.')}. "
            "To compare with another revision: llmring lock diff REV"
        ) from None


def _called(origin: dict[str, Any]) -> str:
    """Where the older file is from, in words."""
    if origin["revision"] is None:
        return str(origin["file"])
    short = origin["commit"][:10]
    return f"{origin['revision']}{f' ({short})' if not origin['revision'].startswith(short) else ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of an alias on its way; `None` on a side where there was, or is, none.

    Attributes:
        name: `"model"`, a word of `_FIGURES`, or what else changed: the stand-bys, a param, the remark on the model.
        before, after: in words.
        note: what there is to say of that.
        values: the figures themselves, before and after.
    """

    name: str
    before: str | None
    after: str | None
    note: str = ""
    values: tuple[float | None, float | None] = (None, None)

    def __str__(self) -> str:
        moves = None not in (self.before, self.after) and self.before != self.after
        text = f"{self.before} → {self.after}" if moves else str(self.before if self.after is None else self.after)
        return f"{text} ({self.note})" if self.note else text


Rows = tuple[AliasChange, list[Row]]
"""A change, with a row for the model that serves and each of `_FIGURES`, then one for whatever else changed."""


def _rows(change: AliasChange, before: Lockfile | None, after: Lockfile) -> Rows:
    sides = ((change.before, before), (change.after, after))
    models = [binding.models[0] if binding is not None else None for binding, _ in sides]
    facts = [facts_of(binding.models[0], file) if binding is not None else None for binding, file in sides]
    rows = [Row("model", models[0], models[1])]
    for name, (field, form) in _FIGURES.items():
        old, new = (_figure(field, binding, file) for binding, file in sides)
        words = []
        for it, value in zip(facts, (old, new), strict=True):
            missing = "no price" if field != "context_window" and it is not None and it.own_host else "unknown"
            words.append(form(value, unknown=missing) if it is not None else None)
        said = "same" if old is not None and old == new else percent(old, new)
        rows.append(Row(name, words[0], words[1], said, (old, new)))
    if change.kind != "removed":
        parts = [_parts(binding) for binding, _ in sides]
        for name in dict.fromkeys((*parts[0], *parts[1])):
            was, now = (it.get(name) for it in parts)
            if was != now:
                rows.append(Row(name, was or "none", now or "none"))
        if facts[1] is not None and (said := remark(facts[1])):
            rows.append(Row("remark", None, said))
    return change, rows


def _figure(field: str, binding: Binding | None, file: Lockfile | None) -> Any:
    """A fact of the model that serves; a price is that of a million tokens, of all that serve first by their shares."""
    if binding is None:
        return None
    if field.endswith("_price"):
        return on_average(binding, lambda model: facts_of(model, file), field)
    return getattr(facts_of(binding.models[0], file), field)


def _parts(binding: Binding | None) -> dict[str, str]:
    """What a binding says besides the model that serves, in words."""
    if binding is None:
        return {}
    parts = {"stand-bys": ", ".join(binding.models[1:])} if binding.models[1:] else {}
    parts |= {name: _json(value) for name, value in (*binding.params.items(), *binding.extra.items())}
    parts |= {"tools": binding.tools} if binding.tools is not None else {}
    parts |= policy_words(binding)
    return parts | ({"constraints": _json(binding.constraints)} if binding.constraints is not None else {})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _setting(change: SettingChange) -> Row:
    before, after = (None if value is None else _json(value) for value in (change.before, change.after))
    return Row(change.key, before, after)


# As a table


def _print(comparison: Comparison, aliases: Mapping[str, list[Rows]]) -> None:
    for profile in comparison.profiles:
        say()
        named = f"profile {profile.name}"
        say(named if profile.kind == "changed" else _signed(profile.kind, named))
        for change, rows in aliases[profile.name]:
            # Of an alias whose model stayed, only what did not.
            stayed = change.kind == "changed" and rows[0].before == rows[0].after
            say(f"  {_signed(change.kind, change.alias)}")
            shown = [(row.name, str(row)) for row in rows[:_COLUMNS] if not stayed or row.before != row.after]
            shown += [(row.name, str(row if change.kind == "changed" else row.after)) for row in rows[_COLUMNS:]]
            say(columns(shown, indent="      "))
    if comparison.settings:
        say("\nsettings")
    for setting in comparison.settings:
        say(f"  {_signed(setting.kind, f'{setting.key}: {_setting(setting)}')}")


def _signed(kind: Kind, text: str) -> str:
    mark, colour = _SIGN[kind]
    return paint(f"{mark} {text}", fg=colour)


# As JSON


def _as_data(comparison: Comparison, aliases: Mapping[str, list[Rows]]) -> dict[str, Any]:
    return {
        "profiles": [
            {"name": it.name, "change": it.kind, "aliases": [_alias_data(*rows) for rows in aliases[it.name]]}
            for it in comparison.profiles
        ],
        "settings": [
            {"place": list(it.place), "change": it.kind, "before": it.before, "after": it.after}
            for it in comparison.settings
        ],
    }


def _alias_data(change: AliasChange, rows: list[Row]) -> dict[str, Any]:
    data: dict[str, Any] = {"alias": change.alias, "change": change.kind}
    for side, binding in (("before", change.before), ("after", change.after)):
        data[side] = binding and {"models": list(binding.models), **params_data(binding)}
    for row in rows[1:_COLUMNS]:
        old, new = row.values
        share = round(100 * (new - old) / old, 4) if old and new is not None else None
        data[_FIGURES[row.name][0]] = {"before": old, "after": new, "percent": share}
    return data


# As Markdown, for a pull request


def _as_markdown(comparison: Comparison, aliases: Mapping[str, list[Rows]], heading: str) -> str:
    if not comparison:
        return f"{heading}\n\nNo change to what it says."
    parts = [heading]
    for profile in comparison.profiles:
        parts.append(f"**Profile {_code(profile.name)}**{_MARK[profile.kind]}")
        if rows := aliases[profile.name]:
            parts.append(
                "\n".join(("| alias | model | input | output | window |", "|---|---|---|---|---|", *_cells(rows)))
            )
        if listed := "\n".join(line for it in rows for line in _listed(*it)):
            parts.append(listed)
    if comparison.settings:
        lines = (f"| {_code(it.key)}{_MARK[it.kind]} | {_moved(_setting(it))} |" for it in comparison.settings)
        parts += ["**Settings**", "\n".join(("| setting | value |", "|---|---|", *lines))]
    if comparison.profiles:
        parts.append("Prices are US dollars for a million tokens, windows are in tokens.")
    return "\n\n".join(parts)


def _cells(aliases: list[Rows]) -> Iterator[str]:
    for change, (model, *rows) in aliases:
        figures = " | ".join(str(row) for row in rows[: len(_FIGURES)])
        yield f"| {_code(change.alias)}{_MARK[change.kind]} | {_moved(model)} | {figures} |"


def _listed(change: AliasChange, rows: list[Row]) -> Iterator[str]:
    """What has no column: stand-bys, params, and the end of a model that now serves."""
    for row in rows[_COLUMNS:]:
        told = f"{_code(str(rows[0].after))} {row.after}" if row.before is None else f"{_text(row.name)} {_moved(row)}"
        yield f"- {_code(change.alias)}: {told}"


def _moved(row: Row) -> str:
    shown = [_code(side) if side != "none" else side for side in (row.before, row.after) if side is not None]
    return " → ".join(dict.fromkeys(shown))


def _code(text: str) -> str:
    """A code span that holds the text as it is, in a table's cell too."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{_text(text)}{pad}{fence}"


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
