"""A conversation under way: who is asked, what is attached, the answer that arrives, and what is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from time import monotonic
from typing import Any

from ...parts import load
from ...schemas import LLMRequest, Message
from ...service import LLMRing
from ...stream import ChatStream
from ..attachments import name_of
from ..facts import dollars, usage_line
from .keyboard import Interrupts, Keyboard, terminal_restorer, without_echo
from .screen import Screen
from .transcript import Conversation, Totals, Turn, save_somewhere


class Session:
    """A conversation with its terminal and its service, for the commands to change."""

    def __init__(
        self,
        runner: asyncio.Runner,
        service: LLMRing,
        conversation: Conversation,
        screen: Screen,
        keyboard: Keyboard,
    ) -> None:
        self._runner = runner
        self.service = service
        self.conversation = conversation
        self.screen = screen
        self.keyboard = keyboard
        self.interrupts = Interrupts()
        self.is_over = False
        self._asking: tuple[Turn, Turn | None] | None = None
        self._arriving: ChatStream | None = None
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
        turn = Turn(question, self.conversation.model)
        request = self.conversation.request(question, instead_of=instead_of)
        begun = monotonic()
        self._asking = turn, instead_of
        with self.interrupts.doing(None):
            try:
                with without_echo():
                    self._runner.run(self._stream(turn, request))
            except Exception as error:
                turn.outcome, turn.error = "failed", error
            finally:
                turn.seconds = monotonic() - begun
                kept = self.conversation.keep(turn, instead_of=instead_of)
                self._asking = None
            if turn.answer is not None:
                turn.cost = self.service.calculate_cost(turn.answer)
            self.conversation.totals.add(turn)
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
            if not any(it is turn for it in self.conversation.turns):  # it may just have been kept
                self.conversation.keep(turn, instead_of=instead_of)
        if self.conversation.turns:
            path = save_somewhere(self.conversation)
            with contextlib.suppress(OSError, AttributeError):  # there may be no standard error
                os.write(sys.stderr.fileno(), f"\r\nWhat was said is in {path}\r\n".encode())

    def end(self) -> None:
        """Save what was said, and give the terminal back, from the middle of whatever is being done."""
        try:
            self.save_all()
        finally:
            self._restore_terminal()

    async def _stream(self, turn: Turn, request: LLMRequest) -> None:
        stream = self._arriving = self.service.chat_stream(request, profile=self.conversation.profile)
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
        if self.conversation.totals.requests > 1:
            self.screen.note(_total(self.conversation.totals))


def _take(turn: Turn, stream: ChatStream) -> None:
    """Have the turn hold what has arrived."""
    so_far = stream.response
    turn.answer = so_far if so_far.content or so_far.reasoning or so_far.finish_reason else None
    if so_far.finish_reason is None:
        turn.outcome = "stopped"


def _total(totals: Totals) -> str:
    """Tokens and cost of the whole conversation."""
    parts = [f"{totals.requests} requests", f"tokens: {totals.tokens}"]
    if totals.cost is not None:
        parts.append(dollars(totals.cost))
    return ("in all: " if totals.is_whole else "in all, at least: ") + " · ".join(parts)
