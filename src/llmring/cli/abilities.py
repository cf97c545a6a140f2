"""What models can do, as `llmring info` shows it: by whom it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..capabilities import ABILITIES, Capabilities, Fact, Place, known_of
from ..exceptions import ProviderNotFoundError
from ..lockfile import Lockfile
from ..providers.endpoints import endpoint
from ..service import LLMRing
from .terminal import printable, warn, working
from .trust import Service, require

__all__ = ["as_data", "asked", "known", "rows", "said_by"]

_WORDS = {
    "parallel_tools": "several tools at once",
    "images": "pictures",
    "structured_output": "answers to a schema",
    "reasoning": "thinking",
}


def known(references: Iterable[str], lockfile: Lockfile | None) -> Mapping[str, Capabilities]:
    """What is known of models without asking anybody, by their references."""
    return {it: known_of(it, lockfile, _place(it, lockfile)) for it in references}


def asked(references: Sequence[str], lockfile: Lockfile | None) -> Mapping[str, Capabilities]:
    """The same, their providers asked.

    Raises:
        ConfigurationError: the user has not agreed to where the lockfile has their secrets sent.
    """
    names = list(dict.fromkeys(it.partition(":")[0] for it in references))

    async def ask() -> Mapping[str, Capabilities]:
        async with Service(max_retries=0) as service:
            answers = await asyncio.gather(*(told(service, it) for it in references))
        return dict(zip(references, answers, strict=True))

    async def told(service: LLMRing, reference: str) -> Capabilities:
        try:
            return await service.capabilities(reference)
        except ProviderNotFoundError as error:  # of one of several
            warn(f"{error}")
            return known([reference], lockfile)[reference]

    require(lockfile, names)
    with working(f"Asking {', '.join(names)}"):
        return asyncio.run(ask())


def rows(caps: Capabilities) -> list[tuple[str, str]]:
    """What a model can do and what it cannot, a row for each who says it; its limits are elsewhere."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in ABILITIES:
        fact: Fact[bool] = getattr(caps, name)
        if fact.value is not None and fact.source != "assumed":
            what = "can" if fact.value else "cannot"
            found.setdefault((what, said_by(fact)), []).append(_WORDS.get(name, name))
    lines = [(what, f"{', '.join(names)} ({who})") for (what, who), names in sorted(found.items(), key=_in_order)]
    shown = [(what if not at or lines[at - 1][0] != what else "", line) for at, (what, line) in enumerate(lines)]
    for label, listed in (("efforts", caps.reasoning_efforts), ("refuses", caps.refused_parameters)):
        if listed.value:
            shown.append((label, printable(f"{', '.join(listed.value)} ({said_by(listed)})")))
    return shown


def _in_order(row: tuple[tuple[str, str], list[str]]) -> tuple[bool, int]:
    (what, _), names = row
    return what == "cannot", -len(names)


def said_by(fact: Fact[Any]) -> str:
    """Who says a fact, and when."""
    return f"{fact.source}, {fact.date}" if fact.date is not None else fact.source


def as_data(caps: Capabilities) -> dict[str, Any]:
    """All that is known of what a model can do, for `--json`."""
    return {
        name: {"value": fact.value, "source": fact.source, "date": fact.date and fact.date.isoformat()}
        for name, fact in caps.facts()
        if fact.value is not None
    }


def _place(reference: str, lockfile: Lockfile | None) -> Place:
    name = reference.partition(":")[0]
    declared = lockfile.providers if lockfile is not None else {}
    try:
        target = endpoint(name, declared.get(name), others=declared)
    except ProviderNotFoundError:
        return Place("", None)
    return Place(target.sdk.package, target.address)
