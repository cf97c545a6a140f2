"""What a line that begins with a slash does."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from ...exceptions import AliasNotFoundError, ConfigurationError
from ..attachments import file_part, picture_part
from ..project import default_model, open_lockfile
from .session import Session
from .transcript import check_name, save


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
    session.ask(last.question, instead_of=last)


def _new(session: Session, _: str) -> None:
    session.conversation.turns.clear()
    session.screen.note("A new conversation.")


def _quit(session: Session, _: str) -> None:
    session.is_over = True


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
