"""A conversation under way: who is asked, with what attached, what arrives and is kept, and what a slash does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from ...exceptions import AliasNotFoundError, ConfigurationError
from ...parts import load
from ...schemas import LLMRequest, Message, StreamChunk
from ...service import LLMRing
from ...talk import ToolResult, Totals, Turn
from ..amounts import dollars
from ..attachments import file_part, name_of, picture_part
from ..facts import usage_line
from ..functions import Asked
from ..project import default_model, open_lockfile
from ..transcript import Transcript, check_name, keep, pending_of, save, save_somewhere, whole_of
from .keyboard import Interrupts, Keyboard, terminal_restorer, without_echo
from .screen import Screen


class Session:
    """A conversation with its terminal and its service, for the commands to change."""

    def __init__(
        self,
        runner: asyncio.Runner,
        service: LLMRing,
        conversation: Transcript,
        screen: Screen,
        keyboard: Keyboard,
        tools: Asked | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        self._runner = runner
        self.service = service
        self.conversation = conversation
        self.screen = screen
        self.keyboard = keyboard
        self._keeps = keeps
        self._tools = tools or Asked([], yes=False)
        self._tools.say = screen.note
        self.interrupts = Interrupts()
        self.is_over = False
        # How many turns there were before it, and which one it is to stand for.
        self._asking: tuple[int, Turn | None] | None = None
        self._restore_terminal = terminal_restorer()

    def say_who(self, served_by: str) -> None:
        """Say who is asked from now on."""
        alias, profile = self.conversation.model, self.conversation.profile
        where = f' (profile "{profile}")' if profile else ""
        self.screen.note(f"{alias} is served by {served_by}{where}." if alias != served_by else f"Asking {alias}.")

    def attach(self, parts: list[dict[str, Any]]) -> None:
        """Have parts go with the next question. Files are read now, so that they stay what they were."""
        if not parts:
            return
        request = LLMRequest(model=self.conversation.model, messages=[Message(role="user", content=parts)])
        loaded = self._runner.run(load(request)).messages[0].content
        if isinstance(loaded, list):
            self.conversation.attached += zip(map(name_of, parts), loaded, strict=True)

    def ask(self, question: Message, *, instead_of: Turn | None = None) -> None:
        """Ask, or ask again, show the answer while it arrives, and keep both. Ctrl-C stops it; an error is shown."""
        conversation, failure = self.conversation, None
        with self.interrupts.doing(None):
            if instead_of is not None:
                conversation.undo()  # what is asked again is not told, too
            self._asking = len(conversation.turns), instead_of
            try:
                with without_echo():
                    self._runner.run(self._stream(question))
            except Exception as error:
                failure = error
            finally:
                turn = conversation.turns[-1] if len(conversation.turns) > self._asking[0] else None
                kept = self._settled()
            if failure is not None:
                self.screen.fail(failure)
            if turn is not None:
                self._sum_up(turn, is_kept=kept)
            if self._keeps and kept:
                keep(self.conversation)
            self.screen.say()

    def _settled(self) -> bool:
        """Have what was asked last stand, or what it was to stand for."""
        before, instead_of = self._asking or (0, None)
        self._asking = None
        if len(self.conversation.turns) > before:
            return instead_of is None or self.conversation.settle(instead_of)
        if instead_of is not None:
            self.conversation.turns.append(instead_of)
        return False

    def save_all(self) -> None:
        """Save what was said, with what has arrived of an answer, and say where if anybody can still read it.

        It is called in the middle of whatever is being done, so it says so past the screen and its buffers.
        """
        if self._asking is not None:
            if (arriving := self.conversation.under_way) is not None:
                self.conversation.turns.append(arriving)
            self._settled()
        if self.conversation.turns:
            if self._keeps:
                keep(self.conversation)
            path = save_somewhere(self.conversation)
            with contextlib.suppress(OSError, AttributeError):  # there may be no standard error
                os.write(sys.stderr.fileno(), f"\r\nWhat was said is in {path}\r\n".encode())

    def end(self) -> None:
        """Save what was said, and give the terminal back, from the middle of whatever is being done."""
        try:
            self.save_all()
        finally:
            self._restore_terminal()

    async def _stream(self, question: Message) -> None:
        stream = self.conversation.stream(question)
        loop = asyncio.get_running_loop()
        stop = self.interrupts.doing(lambda: loop.call_soon_threadsafe(stream.cancel))
        with stop, self.screen.answer(f"waiting for {self.conversation.model}") as shown:
            self._tools.pause = shown.pause
            drawing = asyncio.create_task(shown.keep_drawing())
            try:
                async with stream:
                    async for step in stream:
                        if isinstance(step, StreamChunk):
                            shown.add(step)
                        elif isinstance(step, ToolResult):
                            self._tools.tell(step)
                        else:
                            shown.end_part()
            finally:
                drawing.cancel()

    def _sum_up(self, turn: Turn, *, is_kept: bool) -> None:
        if turn.outcome == "whole" and (pending := pending_of(turn)):
            self.conversation.undo()
            self.screen.warn(
                f"The model calls {', '.join(pending)}, of which there is no function here: the turn is taken back. To "
                "have one: llmring chat --tools module:function"
            )
        totals, response = self.conversation.totals, turn.response
        kept = ("; what had arrived stays" if turn.text else "") if is_kept else "; the answer before it stays"
        if turn.outcome == "stopped":
            self.screen.note(f"Stopped{kept}. /retry asks again.")
        elif turn.outcome == "failed":
            self.screen.note(f"/retry asks again{kept}.")
        if response is None:
            return
        line = usage_line(whole_of(turn, response), turn.cost, turn.seconds, is_whole=turn.outcome == "whole")
        if response.attempts:
            first = response.attempts[0]
            line += f" · stood in for {first.provider}:{first.model}"
        self.screen.note(line)
        if totals.requests > 1:
            self.screen.note(_total(totals))


def _total(totals: Totals) -> str:
    """Tokens and cost of the whole conversation."""
    tokens = totals.usage["total_tokens"] if totals.usage is not None else 0
    parts = [f"{totals.requests} requests", f"tokens: {tokens}"]
    if totals.cost is not None:
        parts.append(dollars(totals.cost))
    return ("in all: " if totals.is_whole else "in all, at least: ") + " · ".join(parts)


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it takes and what it does, for the help, and what does it, given what stands behind its name."""

    argument: str
    help: str
    run: Callable[[Session, str], None]


def is_command(text: str) -> bool:
    """Whether a text is for the program, not for the model. One of several lines is only if it names a command."""
    return text.startswith("/") and ("\n" not in text or text.split()[0] in COMMANDS)


def run(session: Session, text: str) -> None:
    """Do what a command says, or raise why it cannot be done and what can."""
    name, argument = [*text.split(maxsplit=1), ""][:2]
    command = COMMANDS.get(name)
    if command is None:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"Did you mean {near[0]}?" if near else "/help lists what there is."
        hint = _ELSEWHERE.get(name, hint)
        raise ConfigurationError(f"There is no command {name}. {hint} To ask it as it is, begin with a space.")
    command.run(session, argument.strip())


def complete(session: Session, before: str, word: str) -> list[str]:
    """The words that may stand where `word` is being typed, after `before`."""
    name = before.strip()
    if not before:
        found = [f"{it} " for it in COMMANDS] if word.startswith("/") else []
    elif name == "/model":
        found = list(session.service.list_aliases(session.conversation.profile))
    elif name == "/profile":
        found = list(_profiles(session))
    elif name in ("/image", "/file", "/save"):
        found = _paths(word)
    else:
        found = []
    return [it for it in found if it.startswith(word)]


def _paths(word: str) -> list[str]:
    folder = Path(os.path.expanduser(word)) if word.endswith("/") else Path(os.path.expanduser(word)).parent
    head = word[: len(word) - len(os.path.basename(word))]
    try:
        return [f"{head}{it.name}{'/' if it.is_dir() else ''}" for it in folder.iterdir()]
    except OSError:
        return []


def _profiles(session: Session) -> list[str]:
    return list(open_lockfile().profiles)


def _model(session: Session, alias: str) -> None:
    conversation = session.conversation
    if not alias:
        aliases = session.service.list_aliases(conversation.profile)
        if conversation.model not in aliases:
            aliases = {
                conversation.model: session.service.resolve_alias(conversation.model, conversation.profile),
                **aliases,
            }
        session.screen.table(
            (f"{'*' if it == conversation.model else ' '} {it}", model) for it, model in aliases.items()
        )
        return
    served = session.service.resolve_alias(alias, conversation.profile)
    conversation.model = alias
    session.say_who(served)


def _profile(session: Session, name: str) -> None:
    conversation = session.conversation
    if not name:
        session.screen.say(f"{conversation.profile or 'the default profile'}, of {', '.join(_profiles(session))}")
        return
    model = conversation.model
    try:
        served = session.service.resolve_alias(model, name)
    except AliasNotFoundError:
        model = default_model(name)
        served = session.service.resolve_alias(model, name)
    conversation.profile, conversation.model = name, model
    session.say_who(served)


def _system(session: Session, text: str) -> None:
    if text:
        session.conversation.system = None if text == "off" else text
    session.screen.note(f"System prompt: {session.conversation.system or 'none'}")


def _attach(part: Callable[[str], dict[str, Any]], session: Session, source: str) -> None:
    if not source:
        raise ConfigurationError("Nothing was named to attach: /image cat.png, or /file notes.pdf")
    session.attach([part(_unquoted(source))])
    waiting = len(session.conversation.attached)
    session.screen.note(f"{'It goes' if waiting == 1 else f'All {waiting} go'} with your next question.")


def _unquoted(source: str) -> str:
    """The path as it is, or without the quotes and backslashes of a file that was dropped on the terminal."""
    if os.path.exists(os.path.expanduser(source)):
        return source
    try:
        words = shlex.split(source, posix=os.name != "nt")
    except ValueError:
        return source
    return words[0] if len(words) == 1 else source


def _save(session: Session, name: str) -> None:
    if not name:
        raise ConfigurationError("Nothing was named to save to: /save talk.md, or /save talk.json")
    path = Path(os.path.expanduser(name))
    check_name(path)
    if not session.conversation.turns:
        raise ConfigurationError("Nothing was said yet, so there is nothing to save.")
    where = f"{path}, a link to {os.path.realpath(path)}," if os.path.islink(path) else path
    if os.path.lexists(path) and not session.keyboard.confirm(f"{where} is there already. Replace it?"):
        session.screen.note("Nothing was saved.")
        return
    try:
        save(session.conversation, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    turns = len(session.conversation.turns)
    session.screen.note(f"Saved {turns} turn{'s'[: turns != 1]} to {path}.")


def _retry(session: Session, _: str) -> None:
    if not session.conversation.turns:
        raise ConfigurationError("Nothing was asked yet, so there is nothing to ask again.")
    last = session.conversation.turns[-1]
    if not last.question:
        raise ConfigurationError("The last turn has no question, so there is nothing to ask again; ask one.")
    session.ask(last.question[0], instead_of=last)


def _new(session: Session, _: str) -> None:
    session.conversation.turns.clear()
    session.screen.note("A new conversation.")


def _quit(session: Session, _: str) -> None:
    session.is_over = True


_TOKENS = "Tokens and cost stand below each answer. To have them added up: llmring chat --log, then llmring stats."
_ELSEWHERE = {
    **dict.fromkeys(("/cost", "/usage", "/tokens", "/stats"), _TOKENS),
    **dict.fromkeys(("/clear", "/reset"), "To begin anew: /new."),
    **dict.fromkeys(("/exit", "/bye", "/q"), "To leave: /quit."),
    "/undo": "To ask the last question again: /retry.",
}
"""What there is in the place of commands that others have."""


def _help(session: Session, _: str) -> None:
    session.screen.table((f"{name} {command.argument}".strip(), command.help) for name, command in COMMANDS.items())
    session.screen.note(
        'A backslash at its end goes on with a line; so do ``` and """ until the next of them. Pasted lines are one '
        "question. Ctrl-C stops an answer, or forgets what is typed; Ctrl-D leaves."
    )


COMMANDS = {
    "/model": Command("[ALIAS]", "Ask another alias or provider:model from now on; alone, list them.", _model),
    "/profile": Command("[NAME]", "Use another profile of the lockfile; alone, list them.", _profile),
    "/system": Command("[TEXT]", "Set the system prompt, or drop it with off; alone, show it.", _system),
    "/image": Command("PATH|URL", "Attach a picture to the next question.", partial(_attach, picture_part)),
    "/file": Command("PATH|URL", "Attach a file to the next question.", partial(_attach, file_part)),
    "/retry": Command("", "Ask the last question again.", _retry),
    "/save": Command("FILE", "Save the conversation as Markdown (.md, .txt) or JSON (.json).", _save),
    "/new": Command("", "Forget what was said and begin anew.", _new),
    "/help": Command("", "Show this.", _help),
    "/quit": Command("", "Leave; so does Ctrl-D.", _quit),
}
