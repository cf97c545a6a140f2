"""The conversation itself: read, ask, show, and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...exceptions import InvalidRequestError
from ...parts import load
from ...schemas import LLMRequest, Message
from ..attaching import name_of
from ..terminal import dollars, warn
from ..trusted import Service
from ..usage import usage_line
from . import commands
from .dialogue import Dialogue, Tally, Turn
from .history import History, history_path
from .interrupts import Interrupts, told_to_end
from .keyboard import Keyboard, at_rest, given_back
from .screen import Screen
from .transcript import save_somewhere

if TYPE_CHECKING:
    from ...service import LLMRing
    from ...stream import ChatStream

__all__ = ["Talk", "converse"]


def converse(
    model: str,
    profile: str | None,
    system: str | None,
    attached: list[dict[str, Any]],
    *,
    keep_history: bool,
    screen: Screen | None = None,
) -> None:
    """Talk with a model in the terminal until the person leaves.

    Args:
        model: the alias, or `provider:model`, to begin with.
        profile: the lockfile's profile; `None` for its default.
        system: the system prompt.
        attached: parts that go with the first question.
        keep_history: whether what is typed is kept for the next conversation.
        screen: where it is shown; not given: the terminal.

    Raises:
        LLMRingError: the alias is unknown, or a file that is attached cannot be read.
    """
    path = history_path() if keep_history else None
    with asyncio.Runner() as runner:
        service = Service(profile=profile)
        try:
            history = History(path) if path is not None else None
            talk = Talk(runner, service, Dialogue(model, profile, system), screen or Screen(), history)
            talk.attach(attached)
            try:
                with talk.interrupts.heard(), told_to_end(talk.end):
                    talk.run()
            except Exception:
                _rescue(talk.dialogue)
                raise
        finally:
            runner.run(service.close())


class Talk:
    """A conversation with its surroundings, for the commands to change.

    Attributes:
        service: who is asked.
        dialogue: what has been said.
        screen, keyboard: the terminal.
        interrupts: what Ctrl-C does.
        is_over: whether the person has left.
    """

    def __init__(
        self, runner: asyncio.Runner, service: LLMRing, dialogue: Dialogue, screen: Screen, history: History | None
    ) -> None:
        self._runner = runner
        self.service = service
        self.dialogue = dialogue
        self.screen = screen
        self.keyboard = Keyboard(history, lambda before, word: commands.complete(self, before, word))
        self.interrupts = Interrupts()
        self.is_over = False
        self._asking: tuple[Turn, Turn | None] | None = None
        self._arriving: ChatStream | None = None
        self._give_back = given_back()

    def run(self) -> None:
        """Talk until the person leaves."""
        self.screen.show_warnings()
        self.say_who(self.service.resolve_alias(self.dialogue.model, self.dialogue.profile))
        self.service.warm_up(self.dialogue.model, profile=self.dialogue.profile)
        self.screen.note("/help lists the commands, Ctrl-D leaves.")
        while not self.is_over:
            if self.keyboard.trouble:
                self.screen.warn(self.keyboard.trouble)
                self.keyboard.trouble = None
            try:
                with self.interrupts.doing(_stop):
                    text = self.keyboard.read(f"{self.dialogue.model}> ")
            except KeyboardInterrupt:
                self.screen.say()
            except EOFError:
                self.screen.say()
                return
            except InvalidRequestError as error:
                self.screen.fail(error)
            else:
                self._answer_to(text)

    def say_who(self, served_by: str) -> None:
        """Say who is asked from now on."""
        alias, profile = self.dialogue.model, self.dialogue.profile
        where = f' (profile "{profile}")' if profile else ""
        self.screen.note(f"{alias} is served by {served_by}{where}." if alias != served_by else f"Asking {alias}.")

    def attach(self, parts: list[dict[str, Any]]) -> None:
        """Have parts go with the next question. Files are read now, so that they stay what they were.

        Raises:
            InvalidRequestError: a file cannot be read, or is not what it is given for.
        """
        if not parts:
            return
        request = LLMRequest(model=self.dialogue.model, messages=[Message(role="user", content=parts)])
        loaded = self._runner.run(load(request)).messages[0].content
        if isinstance(loaded, list):
            self.dialogue.attached += zip(map(name_of, parts), loaded, strict=True)

    def ask(self, question: Message, *, instead_of: Turn | None = None) -> None:
        """Ask, show the answer while it arrives, and keep both. Ctrl-C stops it; an error is shown.

        Args:
            question: what to ask.
            instead_of: the turn that it repeats.
        """
        turn = Turn(question, self.dialogue.model)
        request = self.dialogue.request(question, instead_of=instead_of)
        begun = monotonic()
        self._asking = turn, instead_of
        with self.interrupts.doing(None):
            try:
                with at_rest():
                    self._runner.run(self._stream(turn, request))
            except Exception as error:
                turn.outcome, turn.error = "failed", error
            finally:
                turn.seconds = monotonic() - begun
                kept = self.dialogue.keep(turn, instead_of=instead_of)
                self._asking = None
            if turn.answer is not None:
                turn.cost = self.service.calculate_cost(turn.answer)
            self.dialogue.tally.add(turn)
            self._sum_up(turn, is_kept=kept)
            self.screen.say()

    def save_all(self) -> None:
        """Save what was said, with what has arrived of an answer, and say where if anybody can still read it.

        It is called in the middle of whatever is being done, so it says so past the screen and its buffers.
        """
        if self._asking is not None:
            turn, instead_of = self._asking
            if self._arriving is not None:
                _take(turn, self._arriving)
            if not any(it is turn for it in self.dialogue.turns):  # it may just have been kept
                self.dialogue.keep(turn, instead_of=instead_of)
        if self.dialogue.turns:
            path = save_somewhere(self.dialogue)
            with contextlib.suppress(OSError, AttributeError):  # there may be no standard error
                os.write(sys.stderr.fileno(), f"\r\nWhat was said is in {path}\r\n".encode())

    def end(self) -> None:
        """Save what was said, and give the terminal back, from the middle of whatever is being done."""
        try:
            self.save_all()
        finally:
            self._give_back()

    def _answer_to(self, text: str) -> None:
        """Do what a line says. Whatever goes wrong with it is shown: no line ends the conversation but /quit."""
        try:
            if commands.is_command(text):
                with self.interrupts.doing(_stop):
                    commands.run(self, text)
            elif text.strip():
                self.ask(self.dialogue.question(text.strip()))
        except KeyboardInterrupt:
            self.screen.say()
        except Exception as error:
            self.screen.fail(error)

    async def _stream(self, turn: Turn, request: LLMRequest) -> None:
        stream = self._arriving = self.service.chat_stream(request, profile=self.dialogue.profile)
        loop = asyncio.get_running_loop()
        stop = self.interrupts.doing(lambda: loop.call_soon_threadsafe(stream.cancel))
        with stop, self.screen.answer(f"waiting for {turn.model}") as shown:
            drawing = asyncio.create_task(shown.keep_drawing())
            try:
                async with stream:
                    async for chunk in stream:
                        shown.add(chunk)
            finally:
                drawing.cancel()
                _take(turn, stream)
                self._arriving = None

    def _sum_up(self, turn: Turn, *, is_kept: bool) -> None:
        if turn.error is not None:
            self.screen.fail(turn.error)
        kept = ("; what had arrived stays" if turn.text else "") if is_kept else "; the answer before it stays"
        if turn.outcome == "stopped":
            self.screen.note(f"Stopped{kept}. /retry asks again.")
        elif turn.outcome == "failed":
            self.screen.note(f"/retry asks again{kept}.")
        if turn.answer is None or turn.cost is None:
            return
        line = usage_line(turn.answer, turn.cost, turn.seconds)
        if turn.answer.attempts:
            first = turn.answer.attempts[0]
            line += f" · stood in for {first.provider}:{first.model}"
        self.screen.note(line)
        if self.dialogue.tally.requests > 1:
            self.screen.note(_total(self.dialogue.tally))


def _take(turn: Turn, stream: ChatStream) -> None:
    """Have the turn hold what has arrived."""
    so_far = stream.response
    turn.answer = so_far if so_far.content or so_far.reasoning or so_far.finish_reason else None
    if so_far.finish_reason is None:
        turn.outcome = "stopped"


def _stop() -> None:
    raise KeyboardInterrupt


def _rescue(dialogue: Dialogue) -> None:
    """Save what was said before the program ends by an error, and say where."""
    if not dialogue.turns:
        return
    with contextlib.suppress(OSError):
        path = save_somewhere(dialogue)
        warn(f"the conversation ends by an error. What was said is in {path}")


def _total(tally: Tally) -> str:
    """Tokens and cost of the whole conversation."""
    parts = [f"{tally.requests} requests", f"tokens: {tally.tokens}"]
    if tally.cost is not None:
        parts.append(dollars(tally.cost))
    return ("in all: " if tally.is_whole else "in all, at least: ") + " · ".join(parts)
