"""What is meant by a command that there is none of: another group's, one of another name, or one of llmring 1.x's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..references import alike

__all__ = ["SYNONYMS", "Meant", "meant"]

_LIKENESS = 0.7


class Meant(NamedTuple):
    """What serves in a command's place.

    Attributes:
        commands: as they are typed behind `llmring`; none where nothing serves.
        says: a sentence about it, or why there is nothing; may be empty.
    """

    commands: tuple[str, ...]
    says: str = ""


_ASK = Meant(("chat",))
_LOOK = Meant(("doctor",))
_LOG = Meant(("log list",))
_LIST = Meant(("models",), "It lists the catalogue; with --live, what the providers serve now.")
_BIND = Meant(("bind",))
_PROFILES = Meant(("lock profile list",))

SYNONYMS: Mapping[str, Meant] = {
    "list": _LIST,
    "ls": _LIST,
    "search": Meant(("models --search",)),
    "price": Meant(("models", "info")),
    "prices": Meant(("models", "info")),
    "cost": Meant(("stats", "models"), "What an answer cost is said behind it, and by llmring chat --json."),
    "ask": _ASK,
    "run": _ASK,
    "prompt": _ASK,
    "complete": _ASK,
    "query": _ASK,
    "talk": _ASK,
    "add": _BIND,
    "assign": _BIND,
    "alias": Meant(("aliases", "bind")),
    "resolve": Meant(("aliases", "info")),
    "which": Meant(("aliases", "info")),
    "delete": Meant(("unbind",)),
    "rm": Meant(("unbind",)),
    "login": Meant(("keys set",)),
    "auth": Meant(("keys set",)),
    "key": Meant(("keys set", "keys list")),
    "status": _LOOK,
    "health": _LOOK,
    "ping": _LOOK,
    "config": Meant(("lock show", "bind"), "The settings are in llmring.lock, a text file."),
    "setup": Meant(("lock init",)),
    "new": Meant(("lock init",)),
    "update": Meant(("lock upgrade",)),
    "lint": Meant(("lock check",)),
    "verify": Meant(("lock check",)),
    "profiles": _PROFILES,
    "logs": _LOG,
    "history": _LOG,
    "usage": Meant(("stats",)),
    "help": Meant(("--help",)),
    "version": Meant(("--version",)),
    "completion": Meant(("--install-completion",)),
    "serve": Meant((), "To have a server to try things on: python -m llmring.testing"),
    "pull": Meant((), "Ollama fetches its models itself: ollama pull MODEL"),
    "lock add": _BIND,
    "lock set": _BIND,
    "lock remove": Meant(("unbind",)),
    "lock list": Meant(("aliases", "lock show")),
    "lock profiles": _PROFILES,
    "lock new": Meant(("lock init",)),
    "lock update": Meant(("lock upgrade",)),
    "lock lint": Meant(("lock check",)),
    "lock verify": Meant(("lock check",)),
    "lock ask": Meant(("lock chat",)),
    "lock suggest": Meant(("lock chat",)),
    "suggest": Meant(("lock chat",), "It proposes bindings for what you need."),
    "lock mcp": Meant(("mcp",)),
    "lock export": Meant(("lock convert", "lock show --json")),
    "keys add": Meant(("keys set",)),
    "keys delete": Meant(("keys remove",)),
    "keys rm": Meant(("keys remove",)),
    # Those of llmring 1.x.
    "register": Meant((), "There is no server to register with any more: providers are asked with your own keys."),
    "server": Meant((), "There is no server any more: providers are asked with your own keys."),
    "export": Meant(("log list --json",), "/save in a conversation writes that to a file."),
    "cache": Meant((), "There is no cache: the catalogue is installed with llmring."),
    "lock bump-registry": Meant(("lock upgrade",), "Versions of a registry are no longer pinned."),
}
"""By what is typed behind `llmring`."""


def meant(group: str, typed: str, commands: Iterable[str]) -> str:
    """What to say to a command that a group has none of; empty where nothing comes to mind.

    Args:
        group: its words behind `llmring`, as in `"lock profile"`; empty for the program itself.
        typed: the command.
        commands: all that there are, by their words.
    """
    path = f"{group} {typed}".strip()
    if path in SYNONYMS:
        return _said(SYNONYMS[path])
    named: dict[str, list[str]] = {}
    for command in commands:
        for words in {command, *_groups(command)}:
            place = named.setdefault(words.rpartition(" ")[2], [])
            place += [words] if words not in place else []
    if typed in named:
        return _said(Meant(tuple(named[typed])))
    own = {it.removeprefix(group).strip() for it in SYNONYMS if it.rpartition(" ")[0] == group}
    near = alike(typed, [*named, *own], 3, _LIKENESS)
    if not near:
        return ""
    if near[0] in own:
        return _said(SYNONYMS[f"{group} {near[0]}".strip()])
    found = [words for name in near if name in named for words in named[name]]
    return _said(Meant(tuple(sorted(found, key=lambda it: it.rpartition(" ")[0] != group)[:3])))


def _groups(command: str) -> list[str]:
    words = command.split()
    return [" ".join(words[:count]) for count in range(1, len(words))]


def _said(meaning: Meant) -> str:
    listed = " or ".join(f"llmring {it}" for it in meaning.commands)
    return " ".join(filter(None, (f"Did you mean {listed}?" if listed else "", meaning.says)))
