"""`llmring log` and `llmring stats`: what was asked and answered, where that is kept, and what it came to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import typer

from ..exceptions import ConfigurationError, LLMRingError
from ..log import Entry, Log, Total
from .amounts import dollars
from .project import argument
from .terminal import again, confirm, note, paint, say, say_json, say_table

_NONE = "Nothing has been logged. To log what is asked: llmring chat --log, or LLMRING_CHAT_LOG=1 for all of it"
_SHOWN = 50
"""Letters of a question in a list."""
_AGE = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
By = Literal["day", "alias", "model"]

ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", metavar="MODEL", help="Of this provider:model, or a part of it.")
]
AliasOption = Annotated[str | None, typer.Option("--alias", "-a", metavar="ALIAS", help="Of this alias.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Since a day, as 2026-11-30, or for 12h, 7d or 4w.")
]
NumberArgument = Annotated[int | None, argument("ID", "Its number in the list. Not given: the last one.")]


def list_log(
    number: Annotated[int, typer.Option("--number", "-n", metavar="N", help="So many of the last.", min=1)] = 20,
    search: Annotated[
        str | None, typer.Option("--search", "-q", metavar="TEXT", help="With this text, asked or answered.")
    ] = None,
    model: ModelOption = None,
    alias: AliasOption = None,
    since: SinceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, with all of each.")] = False,
) -> None:
    """List what was asked, the latest last.

    What `llmring chat --log` asks is kept in log.db in ~/.local/state/llmring, for you alone; so is what a program asks
    with LLMRing(on_event=llmring.log.Log()). `llmring log` does the same.

    \b
    Example:
      llmring log list
      llmring log -n 5 --model claude
      llmring log list --search invoice --since 7d --json | jq -r '.[].answer'
    """
    log = Log()
    found = log.entries(search=search, model=model, alias=alias, since=_moment(since), limit=number)[::-1]
    if as_json:
        say_json([_data(it) for it in found])
    elif found:
        rows = [("ID", "TIME", "ALIAS", "MODEL", "IN", "OUT", "COST", "ASKED")]
        for it in found:
            figures = _count(it.tokens("prompt_tokens")), _count(it.tokens("completion_tokens")), _money(it.cost)
            rows.append((str(it.id), _local(it.time), it.alias, it.model, *figures, _short(it)))
        say_table(rows, 0, 4, 5, 6)
    if not found:
        note("None of what was logged." if log.path.exists() and log.entries(limit=1) else _NONE)


def show_log(
    number: NumberArgument = None,
    conversation: Annotated[
        bool, typer.Option("--conversation", "-c", help="With all that was said before it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Show what was asked and answered.

    \b
    Example:
      llmring log show
      llmring log show 12 --conversation
    """
    log = Log()
    last = log.entries(limit=1)
    if number is None and not last:
        if as_json:
            say_json([])
        note(_NONE)
        return
    entry = last[0] if number is None else log.entry(number)
    if entry is None:
        raise LLMRingError(f"The log has no {number}. What there is: llmring log")
    found = log.conversation(entry.id) if conversation else [entry]
    if as_json:
        say_json([_data(it) for it in found])
        return
    for it in found:
        _show(it)
    if entry.follows is not None and not conversation:
        note(f"It goes on from {entry.follows}. All of it: llmring log show {entry.id} --conversation")


def delete_log(
    numbers: Annotated[list[int], argument("ID...", "Their numbers in the list.")],
) -> None:
    """Take entries out of the log.

    \b
    Example:
      llmring log delete 12 13
    """
    log = Log()
    if missing := [it for it in dict.fromkeys(numbers) if log.entry(it) is None]:
        raise ConfigurationError(f"The log has no {', '.join(map(str, missing))}. Nothing was deleted.")
    note(f"Deleted: {log.delete(*numbers)}.", dim=False)


def clear_log(
    before: Annotated[
        str | None, typer.Option("--before", metavar="WHEN", help="What is older than a day, or than 12h, 7d, 4w.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without being asked.")] = False,
) -> None:
    """Take all of it out of the log, or what is older.

    \b
    Example:
      llmring log clear --before 30d
    """
    log, moment = Log(), _moment(before)
    what = f"all that is older than {before}" if before is not None else "all of it"
    if not yes and log.path.exists():
        confirm(f"Take {what} out of {log.path}?", otherwise=again("log", "clear", before=before))
    note(f"Deleted: {log.clear(before=moment)}.", dim=False)


def stats(
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="day|alias|model", help="What to group by; repeatable. Not given: all three."),
    ] = None,
    model: ModelOption = None,
    alias: AliasOption = None,
    since: SinceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Say what was used, and what it cost, of what was logged.

    By day, alias and model; --by chooses among them.

    \b
    Example:
      llmring stats
      llmring stats --by model --since 30d
      llmring stats --by day --json | jq 'map(.cost) | add'
    """
    groups: tuple[By, ...] = tuple(_group(it) for it in dict.fromkeys(by or get_args(By)))
    log = Log()
    chosen: dict[str, Any] = {"model": model, "alias": alias, "since": _moment(since)}
    found = log.totals(groups, **chosen)
    if as_json:
        say_json([_figures(it) for it in found])
        return
    if not found:
        note("None of what was logged." if log.path.exists() and log.entries(limit=1) else _NONE)
        return
    names = ("REQUESTS", "FAILED", "IN", "CACHED", "OUT", "COST")
    rows = [(*(it.upper() for it in groups), *names)]
    all_of_it = log.totals((), **chosen) if len(found) > 1 else []
    for it in [*found, *all_of_it]:
        of = [it.group.get(name, "all" if place == 0 else "") for place, name in enumerate(groups)]
        counts = (it.requests, it.failed, it.prompt_tokens, it.cache_read_tokens, it.completion_tokens)
        rows.append((*of, *map(str, counts), _money(it.cost if it.cost or not it.unpriced else None)))
    say_table(rows, *range(len(groups), len(rows[0])))
    if unpriced := sum(it.unpriced for it in found):
        note(f"Without a price, and not in the cost: {unpriced} answer{'s' * (unpriced > 1)}.")


def _group(name: str) -> By:
    for it in get_args(By):
        if name == it:
            return it  # type: ignore[no-any-return]
    raise typer.BadParameter(f"{name!r} is none of day, alias and model", param_hint="--by")


def _figures(total: Total) -> dict[str, Any]:
    found = asdict(total)
    group: dict[str, Any] = found.pop("group")
    return group | found


def _data(entry: Entry) -> dict[str, Any]:
    """All of an entry, for programs."""
    data = asdict(entry)
    data["time"] = datetime.fromtimestamp(entry.time).astimezone().isoformat(timespec="milliseconds")
    counts = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    data["usage"] = {it: count for it in counts if (count := entry.tokens(it)) is not None} or None
    data["cost"] = entry.cost
    return data


def _show(entry: Entry) -> None:
    say(paint(f"{entry.id} · {_local(entry.time)} · {entry.alias} · {entry.model}", bold=True))
    figures = [f"{name} = {value!r}" for name, value in entry.params.items()]
    used = entry.tokens("prompt_tokens"), entry.tokens("completion_tokens")
    if used != (None, None):
        figures.append(f"tokens: {_count(used[0])} in, {_count(used[1])} out")
    if entry.cost is not None:
        figures.append(dollars(entry.cost))
    figures.append(f"{entry.seconds:.1f} s")
    note(" · ".join(figures))
    for turn in entry.messages:
        _say_turn(str(turn["role"]), _content(turn), turn.get("tool_calls"))
    if entry.answer or entry.tool_calls:
        _say_turn("assistant", entry.answer, entry.tool_calls)
    if entry.outcome == "failed":
        note(f"It failed: {entry.error}")
    elif entry.outcome == "left":
        note("It was left before the answer was whole.")
    say()


def _say_turn(role: str, content: str, calls: Sequence[Mapping[str, Any]] | None) -> None:
    say()
    say(paint(f"{role}:", fg="cyan"))
    if content:
        say(content)
    for call in calls or ():
        say(f"→ {call['function']['name']}({call['function']['arguments']})")


def _content(turn: Mapping[str, Any]) -> str:
    content = turn["content"]
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    return "\n".join(str(it["text"]) if "text" in it else f"[{it.get('name') or it['type']}]" for it in content)


def _short(entry: Entry) -> str:
    said = " ".join(entry.asked.split())
    mark = "" if entry.outcome == "finished" else f"[{entry.outcome}] "
    return mark + (said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…")


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def _count(tokens: int | None) -> str:
    return "" if tokens is None else str(tokens)


def _money(cost: float | None) -> str:
    return "" if cost is None else dollars(cost)


def _moment(when: str | None) -> float | None:
    """A day, or how long ago, in seconds since 1970."""
    if when is None:
        return None
    if match := _AGE.fullmatch(when.strip()):
        return (datetime.now() - timedelta(**{_UNITS[match[2]]: int(match[1])})).timestamp()
    try:
        return datetime.fromisoformat(when.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(f"{when!r} is neither a day, as 2026-11-30, nor an age, as 12h, 7d or 4w") from None
