"""`llmring replay`: look at recordings, check them, ask their models again, and take out what nothing asks for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import ConfigurationError, LLMRingError
from ..recordings import files
from ..recordings.drift import differences, text_of
from ..recordings.errors import RecordingError
from ..recordings.exchanges import Exchange, calls_of
from ..recordings.meaning import asked_again, question
from ..recordings.redaction import BLOT, holds_key
from ..recordings.session import RECORD, USED, Session, named_by
from ..references import split_reference
from . import trust
from .project import argument, lockfile_if_any
from .terminal import fail, note, say, say_json, say_table, warn

_FileArgument = Annotated[Path, argument("FILE", "The recording.")]
_LineOption = Annotated[int | None, typer.Option("--line", "-n", metavar="N", help="That line alone.")]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(file: _FileArgument, line: _LineOption = None, as_json: _JsonOption = False) -> None:
    """Show what a recording holds.

    \b
    Example:
      llmring replay show tests/recordings/chat.jsonl
      llmring replay show tests/recordings/chat.jsonl --line 3
    """
    found = _chosen(file, line)
    if as_json:
        say_json([{"line": it.number, **it.told()} for it in found])
    elif line is not None:
        _say_whole(found[0])
    else:
        rows = [(str(it.number), it.model, _short(question(it.request)), _short(_answer(it))) for it in found]
        say_table([("LINE", "MODEL", "ASKED", "ANSWERED"), *rows], 0)


def check(
    files_: Annotated[list[Path], argument("FILE", "The recordings.")],
    as_json: _JsonOption = False,
) -> None:
    """Say whether recordings can be replayed, and what in them should not be there.

    The exit status is 1 where there is a finding: a line that is no exchange, an answer that is broken, or what has the
    form of a key. An answer that its reader left is a remark.

    \b
    Example:
      llmring replay check tests/recordings/*.jsonl
    """
    found: list[dict[str, Any]] = []
    for file in files_:
        found += _findings(file)
    if as_json:
        say_json(found)
    for it in found if not as_json else ():
        say(f"{it['file']}:{it['line'] or ''}: {it['says']}")
    if any(it["finding"] for it in found):
        raise typer.Exit(1)
    if not as_json:
        note(f"{len(files_)} recording{'s' * (len(files_) != 1)} can be replayed.", dim=False)


def refresh(
    file: _FileArgument,
    line: _LineOption = None,
    write: Annotated[bool, typer.Option("--write", help="Have the answers of today recorded in their place.")] = False,
    as_json: _JsonOption = False,
) -> None:
    """Ask the models of a recording again, and say what has changed.

    Reported is how an answer ends, what it calls, of what it is made, and its tokens, apart from its wording. The exit
    status is 1 where something has changed. It asks real models, and may cost.

    \b
    Example:
      llmring replay refresh tests/recordings/chat.jsonl
      llmring replay refresh tests/recordings/chat.jsonl --line 3 --write
    """
    found = _chosen(file, line)
    trust.require(lockfile_if_any(), {split_reference(it.model)[0] for it in found})
    with tempfile.TemporaryDirectory() as folder:
        today = asyncio.run(_asked(found, Path(folder)))
    drifted = []
    for before, now in zip(found, today, strict=True):
        if BLOT in str(before.request):
            warn(f"Line {before.number} was asked with {BLOT} in place of what had been blotted out.")
        drifted.append({
            "line": before.number,
            "model": before.model,
            "changed": differences(before, now),
            "worded": text_of(before) != text_of(now),
        })  # fmt: skip
    if write:
        _replace(file, dict(zip([it.mark for it in found], today, strict=True)))
    if as_json:
        say_json(drifted)
    else:
        _say_drift(drifted, write)
    if any(it["changed"] for it in drifted):
        raise typer.Exit(1)


def prune(
    file: _FileArgument,
    command: Annotated[list[str], argument("COMMAND", "What runs the tests, behind --.")],
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken out.")] = False,
) -> None:
    """Run tests, and take out of a recording what they did not ask for.

    Nothing is taken out where the command fails. It records nothing: LLMRING_RECORD is none for it.

    \b
    Example:
      llmring replay prune tests/recordings/chat.jsonl -- pytest -q
    """
    before = files.read(file.absolute())
    with tempfile.TemporaryDirectory() as folder:
        used = Path(folder) / "used"
        used.touch()
        try:
            status = subprocess.run(command, env={**os.environ, USED: str(used), RECORD: "none"}).returncode  # noqa: S603
        except OSError as error:
            raise ConfigurationError(f"{command[0]} cannot be run: {error.strerror or error}.") from None
        names = set(used.read_text().split())
    if status:
        fail(f"{command[0]} ended with status {status}, so nothing was taken out.")
        raise typer.Exit(1)
    idle = [it for it in before if named_by(it) not in names]
    for it in idle:
        say(f"{file}:{it.number}: {question(it.request)}")
    if idle and not dry:
        marks = {it.mark for it in idle}
        files.changed(file.resolve(), lambda all_of_it: [it for it in all_of_it if it.mark not in marks])
    done = "would be taken out" if dry else "taken out"
    note(f"{len(idle)} of {len(before)} exchanges {done}.", dim=False)


def _chosen(file: Path, line: int | None) -> list[Exchange]:
    found = files.read(file.absolute())
    if not file.exists():
        raise RecordingError(f"There is no recording {file}.")
    if line is None:
        return found
    if not (one := [it for it in found if it.number == line]):
        raise RecordingError(f"{file} has no exchange in line {line}.")
    return one


def _answer(exchange: Exchange) -> str:
    answered = exchange.answered
    called = [f"{name}({''.join(pieces)})" for _, name, pieces in calls_of(answered)]
    said = [text_of(exchange), *called]
    if answered.error is not None:
        said.append(f"[{answered.error['type']}]")
    elif answered.left:
        said.append("[left]")
    return " ".join(filter(None, said)) or "(nothing)"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 50 else f"{text[:47]}..."


def _say_whole(exchange: Exchange) -> None:
    say(f"{exchange.model}" + (f", {exchange.test}" if exchange.test else ""))
    for turn in exchange.request["messages"]:
        turn = turn if isinstance(turn, dict) else {}
        say(f"\n{turn.get('role')}: {turn.get('content', '')}")
        for call in turn.get("tool_calls") or ():
            say(f"  {call.get('name')}({call.get('arguments')})")
    for name, value in exchange.request.items():
        if name != "messages":
            say(f"\n{name}: {value}")
    answered = exchange.answered
    if thought := "".join(it.reasoning or "" for it in answered.pieces):
        say(f"\nthinking: {thought}")
    say(f"\nanswer: {text_of(exchange)}")
    for _, name, pieces in calls_of(answered):
        say(f"  {name}({''.join(pieces)})")
    if answered.error is not None:
        say(f"\n{answered.error['type']}: {answered.error['message']}")
    seconds = sum(it.wait for it in answered.pieces) / 1000
    say(
        f"\n{len(answered.pieces)} chunks in {seconds:.1f} s, {answered.finish_reason or 'not whole'}, {answered.usage}"
    )


def _findings(file: Path) -> list[dict[str, Any]]:
    def said(line: int | None, says: str, *, finding: bool = True) -> dict[str, Any]:
        return {"file": str(file), "line": line, "finding": finding, "says": says}

    try:
        exchanges = _chosen(file, None)
    except LLMRingError as error:
        return [said(None, str(error))]
    found = []
    for it in exchanges:
        if holds_key(it.line):
            found.append(said(it.number, "it holds what has the form of a key: record it anew, and revoke the key"))
        try:
            if it.answered.left:
                found.append(said(it.number, "its reader left before the end, which is not here", finding=False))
        except RecordingError as error:
            found.append(said(it.number, str(error)))
    return found


async def _asked(exchanges: Sequence[Exchange], folder: Path) -> list[Exchange]:
    """What the models answer now."""
    today = []
    async with trust.Service(max_retries=0) as service:
        for place, it in enumerate(exchanges):
            name = f"{place}{files.SUFFIX}"
            with Session("all", folder=folder, test=it.test):
                try:
                    request = asked_again(it.request, f"record:{name}+{it.model}")
                except (ValueError, KeyError, TypeError) as error:
                    raise RecordingError(f"Line {it.number} holds no request that can be asked: {error}") from None
                try:
                    if it.stream:
                        await service.chat_stream(request).final_response()
                    else:
                        await service.chat(request)
                except LLMRingError:
                    if not files.read(folder / name):
                        raise  # nobody was asked
            today.append(files.read(folder / name)[-1])
    return today


def _replace(file: Path, today: dict[tuple[bytes, int], Exchange]) -> None:
    files.changed(file.resolve(), lambda before: [today.get(it.mark, it) for it in before])


def _say_drift(drifted: Sequence[dict[str, Any]], write: bool) -> None:
    for it in drifted:
        for changed in it["changed"]:
            say(f"line {it['line']}, {it['model']}: {changed}")
    many, worded = sum(bool(it["changed"]) for it in drifted), sum(it["worded"] for it in drifted)
    kept = "Recorded anew." if write else "Nothing was written; --write records it."
    note(f"{many} of {len(drifted)} answers have changed, {worded} are worded otherwise. {kept}", dim=False)
