"""`llmring providers`: which there are, and whether they can serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..exceptions import LLMRingError, ProviderAuthenticationError, ProviderConnectionError, ProviderTimeoutError
from ..providers.vendors import BUILT_IN
from .project import lockfile_if_any
from .status import KEYRING_WAITS, Status, ask, keyring, statuses
from .terminal import note, say_json, say_table, warn, working

_SHOWN = 3
"""Aliases of a profile that the table names."""


def providers(
    check: Annotated[
        bool, typer.Option("--check", help="Ask each whether it can be reached and takes the key.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Those that nothing here needs, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how each provider stands here.

    Its SDK, key and address, and which aliases need it. Keys are never shown, only where they are. With --check, each
    one that has what it needs is asked for the list of its models, which costs nothing; the status is then 1 if one
    that is needed here does not answer.

    \b
    Example:
      llmring providers
      llmring providers --check
      llmring providers --all --json | jq '.[] | select(.key.set) | .provider'
    """
    lockfile = lockfile_if_any()
    with working("Looking for keys"):
        keys = keyring()
        found = statuses(lockfile, keys, every=every)
        said = [one.as_data() for one in found]  # which looks into the keyring
    if keys.waits:
        note(KEYRING_WAITS)
    answers = ask([one.name for one in found if one.problem is None]) if check else {}
    if as_json:
        checks = [{"check": _checked(one, answers)} if check else {} for one in found]
        say_json([data | checked for data, checked in zip(said, checks, strict=True)])
    else:
        _print(found, lockfile.default_profile if lockfile is not None else "", answers if check else None)
    if check and any(_failed(one, answers) for one in found):
        raise typer.Exit(1)


def _print(found: list[Status], profile: str, answers: Mapping[str, Any] | None) -> None:
    rows = [["PROVIDER", "SDK", "KEY", "ADDRESS", "ALIASES"]]
    rows += [[one.name, _sdk(one), _key(one), one.address or "-", _aliases(one, profile)] for one in found]
    if answers is not None:
        for row, word in zip(rows, ["ANSWER", *(_answer(one, answers) for one in found)], strict=True):
            row.insert(-1, word)
    say_table(rows)
    for one in found:
        failure = (answers or {}).get(one.name)
        if one.problem and one.aliases:
            warn(one.problem)
        elif isinstance(failure, LLMRingError):
            (warn if _failed(one, answers or {}) else note)(str(failure))


def _sdk(one: Status) -> str:
    return f"{one.package} {one.version or '(not installed)'}" if one.package else "-"


def _key(one: Status) -> str:
    if one.key_said or one.endpoint is None:
        return one.key_said or "-"
    if not one.needs_key:
        return "none needed"
    return "the keyring waits" if one.keyring.waits else f"not set: {one.key_variables[0]}"


def _aliases(one: Status, profile: str) -> str:
    """Those of the default profile first, and without its name."""
    said = []
    for name, aliases in sorted(one.aliases.items(), key=lambda item: item[0] != profile):
        more = f" and {len(aliases) - _SHOWN} more" if len(aliases) > _SHOWN else ""
        listed = ", ".join(aliases[:_SHOWN]) + more
        said.append(listed if name == profile else f"{name}: {listed}")
    return "; ".join(said)


def _answer(one: Status, answers: Mapping[str, Any]) -> str:
    if (checked := _checked(one, answers)) is None:
        return "not asked"
    if (count := checked["models"]) is not None:
        return f"{count} model{'s'[: count != 1]}" + (", key accepted" if checked["key_accepted"] else "")
    if checked["key_accepted"] is False:
        return "key refused"
    return "no listing" if checked["reachable"] else "no answer"


def _checked(one: Status, answers: Mapping[str, Any]) -> dict[str, Any] | None:
    """What its answer says, as `--json` has it; `None` for one that was not asked, since something is missing."""
    if one.name not in answers:
        return None
    answer = answers[one.name]
    failed = isinstance(answer, LLMRingError)
    refused = isinstance(answer, ProviderAuthenticationError)
    # A listing proves the key if there is one, and not everybody is given it.
    lists_to_all = one.name in BUILT_IN and BUILT_IN[one.name].lists_to_all
    proven = not failed and one.key_source is not None and one.needs_key is True and not lists_to_all
    return {
        "reachable": not isinstance(answer, ProviderConnectionError | ProviderTimeoutError),
        "key_accepted": False if refused else (True if proven else None),
        "models": None if failed else len(answer),
        "error": str(answer) if failed else None,
    }


def _failed(one: Status, answers: Mapping[str, Any]) -> bool:
    """Whether one that is needed here cannot serve. A server of one's own that no alias needs may well be off."""
    if one.problem is not None:
        return bool(one.aliases)
    unneeded = not one.aliases and one.needs_key is False
    return isinstance(answers.get(one.name), LLMRingError) and not unneeded
