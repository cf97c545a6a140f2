"""What a line that begins with a slash does."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import AliasNotFoundError, ConfigurationError
from ..attaching import file_part, picture_part
from ..project import default_model
from .transcript import check_name, save

if TYPE_CHECKING:
    from .talk import Talk

__all__ = ["COMMANDS", "complete", "is_command", "run"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the conversation.

    Attributes:
        argument: how the help shows what it takes.
        help: what it does, in a line.
        run: does it, given what stands behind its name.
    """

    argument: str
    help: str
    run: Callable[[Talk, str], None]


def is_command(text: str) -> bool:
    """Whether a text is for the program, not for the model. One of several lines is only if it names a command."""
    return text.startswith("/") and ("\n" not in text or text.split()[0] in COMMANDS)


def run(talk: Talk, text: str) -> None:
    """Do what a command says.

    Raises:
        LLMRingError: it cannot be done; the message says why and what can.
    """
    name, argument = [*text.split(maxsplit=1), ""][:2]
    command = COMMANDS.get(name)
    if command is None:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"Did you mean {near[0]}?" if near else "/help lists what there is."
        raise ConfigurationError(f"There is no command {name}. {hint} To ask it as it is, begin with a space.")
    command.run(talk, argument.strip())


def complete(talk: Talk, before: str, word: str) -> list[str]:
    """The words that may stand where `word` is being typed, after `before`."""
    name = before.strip()
    if not before:
        found = [f"{it} " for it in COMMANDS] if word.startswith("/") else []
    elif name == "/model":
        found = list(talk.service.list_aliases(talk.dialogue.profile))
    elif name == "/profile":
        found = list(_profiles(talk))
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


def _profiles(talk: Talk) -> list[str]:
    from ..project import open_lockfile

    return list(open_lockfile().profiles)


def _model(talk: Talk, alias: str) -> None:
    dialogue = talk.dialogue
    if not alias:
        aliases = talk.service.list_aliases(dialogue.profile)
        if dialogue.model not in aliases:
            aliases = {dialogue.model: talk.service.resolve_alias(dialogue.model, dialogue.profile), **aliases}
        talk.screen.table((f"{'*' if it == dialogue.model else ' '} {it}", model) for it, model in aliases.items())
        return
    served = talk.service.resolve_alias(alias, dialogue.profile)
    dialogue.model = alias
    talk.say_who(served)


def _profile(talk: Talk, name: str) -> None:
    dialogue = talk.dialogue
    if not name:
        talk.screen.say(f"{dialogue.profile or 'the default profile'}, of {', '.join(_profiles(talk))}")
        return
    model = dialogue.model
    try:
        served = talk.service.resolve_alias(model, name)
    except AliasNotFoundError:
        model = default_model(name)
        served = talk.service.resolve_alias(model, name)
    dialogue.profile, dialogue.model = name, model
    talk.say_who(served)


def _system(talk: Talk, text: str) -> None:
    if text:
        talk.dialogue.system = None if text == "off" else text
    talk.screen.note(f"System prompt: {talk.dialogue.system or 'none'}")


def _image(talk: Talk, source: str) -> None:
    _attach(talk, source, picture_part)


def _file(talk: Talk, source: str) -> None:
    _attach(talk, source, file_part)


def _attach(talk: Talk, source: str, part: Callable[[str], dict[str, Any]]) -> None:
    if not source:
        raise ConfigurationError("Nothing was named to attach: /image cat.png, or /file notes.pdf")
    talk.attach([part(_unquoted(source))])
    waiting = len(talk.dialogue.attached)
    talk.screen.note(f"{'It goes' if waiting == 1 else f'All {waiting} go'} with your next question.")


def _unquoted(source: str) -> str:
    """The path as it is, or without the quotes and backslashes of a file that was dropped on the terminal."""
    if os.path.exists(os.path.expanduser(source)):
        return source
    try:
        words = shlex.split(source, posix=os.name != "nt")
    except ValueError:
        return source
    return words[0] if len(words) == 1 else source


def _save(talk: Talk, name: str) -> None:
    if not name:
        raise ConfigurationError("Nothing was named to save to: /save talk.md, or /save talk.json")
    path = Path(os.path.expanduser(name))
    check_name(path)
    if not talk.dialogue.turns:
        raise ConfigurationError("Nothing was said yet, so there is nothing to save.")
    where = f"{path}, a link to {os.path.realpath(path)}," if os.path.islink(path) else path
    if os.path.lexists(path) and not talk.keyboard.confirm(f"{where} is there already. Replace it?"):
        talk.screen.note("Nothing was saved.")
        return
    try:
        save(talk.dialogue, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    turns = len(talk.dialogue.turns)
    talk.screen.note(f"Saved {turns} turn{'s'[: turns != 1]} to {path}.")


def _retry(talk: Talk, _: str) -> None:
    if not talk.dialogue.turns:
        raise ConfigurationError("Nothing was asked yet, so there is nothing to ask again.")
    last = talk.dialogue.turns[-1]
    talk.ask(last.question, instead_of=last)


def _new(talk: Talk, _: str) -> None:
    talk.dialogue.turns.clear()
    talk.screen.note("A new conversation.")


def _quit(talk: Talk, _: str) -> None:
    talk.is_over = True


def _help(talk: Talk, _: str) -> None:
    talk.screen.table((f"{name} {command.argument}".strip(), command.help) for name, command in COMMANDS.items())
    talk.screen.note(
        'A backslash at its end goes on with a line; so do ``` and """ until the next of them. Pasted lines are one '
        "question. Ctrl-C stops an answer, or forgets what is typed; Ctrl-D leaves."
    )


COMMANDS = {
    "/model": Command("[ALIAS]", "Ask another alias or provider:model from now on; alone, list them.", _model),
    "/profile": Command("[NAME]", "Use another profile of the lockfile; alone, list them.", _profile),
    "/system": Command("[TEXT]", "Set the system prompt, or drop it with off; alone, show it.", _system),
    "/image": Command("PATH|URL", "Attach a picture to the next question.", _image),
    "/file": Command("PATH|URL", "Attach a file to the next question.", _file),
    "/retry": Command("", "Ask the last question again.", _retry),
    "/save": Command("FILE", "Save the conversation as Markdown (.md, .txt) or JSON (.json).", _save),
    "/new": Command("", "Forget what was said and begin anew.", _new),
    "/help": Command("", "Show this.", _help),
    "/quit": Command("", "Leave; so does Ctrl-D.", _quit),
}
