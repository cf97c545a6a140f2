"""What has been said so far, and its file: Markdown to read, or JSON, with which any program goes on."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError
from ..lockfile import find_lockfile, writing
from ..private import state_folder, write_privately
from ..schemas import LLMResponse, Message
from ..service import LLMRing
from ..talk import Conversation, Turn
from .attachments import content_of
from .facts import usage_line
from .terminal import warn

VARIABLE = "LLMRING_HISTORY"
"""The environment variable that names the file of what is typed, or says `off`: then no conversation is kept, too."""
_OFF = ("off", "0", "no", "none", "false")
_MARKDOWN = (".md", ".markdown", ".txt")
_MARKS = {"stopped": "stopped here", "failed": "broke off here"}


class Transcript(Conversation):
    """A conversation that keeps what broke off, too, with what is to go with its next question.

    Attributes:
        attached: parts that wait, by name.
        has_form: whether its answers are JSON.
    """

    def __init__(self, service: LLMRing, model: str, **options: Any) -> None:
        super().__init__(service, model, **{"keep_partial": True, **options})
        self.attached: list[tuple[str, dict[str, Any]]] = []
        self.has_form = bool(options.get("response_format") or options.get("json_response"))

    def left_out(self, names: Iterable[str], given: Mapping[str, Any]) -> list[str]:
        """Have of these fields only what was given beside the file that it was loaded from; the others, which are gone.

        Args:
            names: of fields of its requests.
            given: by name.
        """
        was = {"tools": self.tools, **self._fields}
        self.tools = [*given.get("tools", ())]
        for name in names:
            self._fields.pop(name, None)
            if name != "tools" and name in given:
                self._fields[name] = given[name]
        now = {"tools": self.tools, **self._fields}
        return [it for it in names if was.get(it) and was[it] != now.get(it)]

    def question(self, text: str) -> Message:
        """A question with all that is attached, which is then no longer waiting."""
        names, parts = [name for name, _ in self.attached], [part for _, part in self.attached]
        self.attached = []
        return Message(role="user", content=content_of(text, parts), metadata={"attached": names} if names else {})

    def settle(self, instead_of: Turn) -> bool:
        """Say whether the last turn may stand for the one that it repeats, which comes back if it may not.

        That one stays if nothing came of the new one, or less than the whole where it has a whole answer.
        """
        new = self.turns[-1]
        better = new.text and (new.outcome == "whole" or instead_of.outcome != "whole")
        if better or not instead_of.text:
            return True
        self.turns[-1] = instead_of
        return False


def asked(turn: Turn) -> str:
    """The question's text, without what was attached."""
    texts = [it.content if isinstance(it.content, str) else _text(it.content) for it in turn.question]
    return "\n\n".join(texts)


def _text(content: Any) -> str:
    return "".join(part.get("text", "") for part in content) if isinstance(content, list) else str(content or "")


def whole_of(turn: Turn, response: LLMResponse) -> LLMResponse:
    """The last answer, with the tokens of all of the turn's."""
    return replace(response, usage=turn.usage, served=turn.served) if turn.usage is not None else response


def pending_of(turn: Turn) -> list[str]:
    """The names of what the model called last, where nobody has answered."""
    return [it["function"]["name"] for it in (turn.answer[-1].tool_calls or [])] if turn.answer else []


def check_name(path: Path) -> None:
    """Refuse a file that would be neither Markdown nor JSON."""
    if path.suffix.lower() not in (*_MARKDOWN, ".json"):
        raise ConfigurationError(
            f"{path.name} ends in none of .md, .markdown, .txt and .json: /save talk.md, or /save talk.json"
        )


def save(conversation: Conversation, path: Path) -> None:
    """Write the file: JSON if its suffix says so, else Markdown. One that is there is replaced whole or not at all."""
    target = path.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if path.suffix.lower() == ".json":
        conversation.save(path)
        return
    with writing.written(target, _rendered(conversation), os.stat(target) if target.exists() else None) as beside:
        os.replace(beside, target)


def is_kept() -> bool:
    """Whether anything of what is said is kept without being asked for: `LLMRING_HISTORY=off` says no."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def keep(conversation: Conversation) -> None:
    """Have `--continue` go on with this one. Where it cannot be written, or nothing was said, it does not; it is said
    where it would go on with an earlier one."""
    if not conversation.turns:
        return
    path = last_path()
    try:
        write_privately(path, conversation.dumped().encode(errors="backslashreplace"))
    except OSError as error:
        with contextlib.suppress(OSError):
            if path.exists():
                warn(f"This was not kept, and --continue goes on with what was said before: {error.strerror}.")


def last_path() -> Path:
    """Where the last conversation is kept: one for each lockfile, so that none is gone on with by another project's
    models, and one for all places without."""
    lockfile = find_lockfile()
    name = "none" if lockfile is None else hashlib.sha256(os.fsencode(os.path.realpath(lockfile))).hexdigest()[:32]
    return state_folder() / "conversations" / f"{name}.json"


def loaded(service: LLMRing, path: Path | None, *, model: str | None, **options: Any) -> Transcript:
    """The conversation of a file, or the last one here where that is `None`; what is given counts more than what it
    says.

    Raises:
        ConfigurationError: there is none, or it is no conversation.
    """
    file = path or last_path()
    try:
        return Transcript.load(service, file, model=model, **options)
    except FileNotFoundError:
        if path is not None:
            raise ConfigurationError(
                f"There is no file {path}. To make one, in a conversation: /save talk.json"
            ) from None
        off = "" if is_kept() else f", and {VARIABLE}=off keeps none"
        where = find_lockfile() or "a folder without a lockfile"
        raise ConfigurationError(
            f"No conversation of {where} was kept to go on with{off}. One that was saved: llmring chat --load talk.json"
        ) from None
    except ConfigurationError as error:
        otherwise = "" if path is not None else " To begin anew, leave --continue out."
        raise ConfigurationError(f"{str(error).rstrip('.')}.{otherwise}") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None


def save_somewhere(conversation: Conversation) -> Path:
    """Write it to a new Markdown file among the temporary ones, for its owner alone."""
    handle, name = tempfile.mkstemp(prefix="llmring-chat-", suffix=".md")
    with open(handle, "wb") as file:
        file.write(_rendered(conversation))
    return Path(name)


def _rendered(conversation: Conversation) -> bytes:
    return ("\n\n".join(_sections(conversation)) + "\n").encode(errors="backslashreplace")


def _sections(conversation: Conversation) -> Iterator[str]:
    conversation.totals  # noqa: B018 - so that each turn has its price
    yield "# A conversation"
    if conversation.system:
        yield f"**System:** {conversation.system}"
    for turn in conversation.turns:
        yield f"## You\n\n{asked(turn)}"
        yield from (f"*Attached: {name}*" for it in turn.question for name in it.metadata.get("attached", ()))
        yield f"## {turn.model}"
        if turn.response is not None and turn.response.reasoning:
            yield "\n".join(f"> {line}".rstrip() for line in turn.response.reasoning.strip().splitlines())
        if turn.text:
            yield turn.text.strip("\n")
        if turn.outcome != "whole":  # the tokens of which nobody has counted
            yield f"*({_MARKS[turn.outcome]}{f': {turn.error}' if turn.error else ''})*"
        elif turn.response is not None:
            yield f"*{usage_line(whole_of(turn, turn.response), turn.cost, turn.seconds)}*"
