"""`llmring chat` without a prompt: a conversation in the terminal, which reads, asks, shows, and again.

`session` is what goes on, and what a slash does; `keyboard` reads what is typed, `screen` shows what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from ...events import Listener
from ...exceptions import InvalidRequestError
from ...service import LLMRing
from ...talk import Turn
from ..functions import Asked
from ..terminal import warn
from ..transcript import Transcript, asked, save_somewhere
from ..trust import Service
from .keyboard import History, Keyboard, history_path, on_termination
from .screen import Screen
from .session import Session, complete, is_command, run

__all__ = ["converse"]

_RECALLED = 60
"""Characters of the last question that are shown when a conversation goes on."""


def converse(
    begin: Callable[[LLMRing], Transcript],
    profile: str | None,
    attached: list[dict[str, Any]],
    tools: Asked | None = None,
    *,
    keep_history: bool,
    screen: Screen | None = None,
    on_event: list[Listener] | None = None,
) -> None:
    """Talk with a model in the terminal until the person leaves.

    Args:
        begin: makes the conversation, of a service.
        profile: of the service.
        attached: what goes with the first question.
        tools: the functions of the conversation, to tell of their calls.
        keep_history: whether what is typed, and what is said, is kept for the next time.
        screen: where to show it; not given: the terminal.
        on_event: hears what happens to each request.

    Raises:
        LLMRingError: the alias is unknown, or a file that is attached cannot be read.
    """
    path = history_path() if keep_history else None
    with asyncio.Runner() as runner:
        service = Service(profile=profile, on_event=on_event)
        try:
            history = History(path) if path is not None else None
            keyboard = Keyboard(history, lambda before, word: complete(session, before, word))
            conversation = begin(service)
            session = Session(
                runner, service, conversation, screen or Screen(), keyboard, tools, keeps=path is not None
            )
            session.attach(attached)
            try:
                with session.interrupts.heard(), on_termination(session.end):
                    _run(session)
            except Exception:
                _rescue(conversation)
                raise
        finally:
            runner.run(service.close())


def _run(session: Session) -> None:
    """Talk until the person leaves."""
    session.screen.show_warnings()
    session.say_who(session.service.resolve_alias(session.conversation.model, session.conversation.profile))
    if turns := session.conversation.turns:
        session.screen.note(f"Going on after {len(turns)} turn{'s'[: len(turns) != 1]}, the last: {_last(turns[-1])}")
    session.service.warm_up(session.conversation.model, profile=session.conversation.profile)
    session.screen.note("/help lists the commands, Ctrl-D leaves.")
    while not session.is_over:
        if session.keyboard.trouble:
            session.screen.warn(session.keyboard.trouble)
            session.keyboard.trouble = None
        try:
            with session.interrupts.doing(_stop):
                text = session.keyboard.read(f"{session.conversation.model}> ")
        except KeyboardInterrupt:
            session.screen.say()
        except EOFError:
            session.screen.say()
            return
        except InvalidRequestError as error:
            session.screen.fail(error)
        else:
            _answer(session, text)


def _last(turn: Turn) -> str:
    """The beginning of a question, on a line."""
    text = " ".join(asked(turn).split()) or turn.text
    return text if len(text) <= _RECALLED else f"{text[:_RECALLED]}..."


def _answer(session: Session, text: str) -> None:
    """Do what a line says. Whatever goes wrong with it is shown: no line ends the conversation but /quit."""
    try:
        if is_command(text):
            with session.interrupts.doing(_stop):
                run(session, text)
        elif text.strip():
            session.ask(session.conversation.question(text.strip()))
    except KeyboardInterrupt:
        session.screen.say()
    except Exception as error:
        session.screen.fail(error)


def _stop() -> None:
    raise KeyboardInterrupt


def _rescue(conversation: Transcript) -> None:
    """Save what was said before the program ends by an error, and say where."""
    if not conversation.turns:
        return
    with contextlib.suppress(OSError):
        path = save_somewhere(conversation)
        warn(f"the conversation ends by an error. What was said is in {path}")
