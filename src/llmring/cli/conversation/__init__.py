"""`llmring chat` without a prompt: a conversation in the terminal, which reads, asks, shows, and again.

`session` is what goes on, and what a slash does; `transcript` what has been said; `keyboard` reads what is typed,
`screen` shows what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from ...exceptions import InvalidRequestError
from ..terminal import warn
from ..trust import Service
from .keyboard import History, Keyboard, history_path, on_termination
from .screen import Screen
from .session import Session, complete, is_command, run
from .transcript import Transcript, save_somewhere

__all__ = ["converse"]


def converse(
    model: str,
    profile: str | None,
    system: str | None,
    attached: list[dict[str, Any]],
    *,
    keep_history: bool,
    screen: Screen | None = None,
) -> None:
    """Talk with a model in the terminal until the person leaves; `attached` goes with the first question.

    Raises:
        LLMRingError: the alias is unknown, or a file that is attached cannot be read.
    """
    path = history_path() if keep_history else None
    with asyncio.Runner() as runner:
        service = Service(profile=profile)
        try:
            history = History(path) if path is not None else None
            keyboard = Keyboard(history, lambda before, word: complete(session, before, word))
            conversation = Transcript(service, model, profile=profile, system=system)
            session = Session(runner, service, conversation, screen or Screen(), keyboard)
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
