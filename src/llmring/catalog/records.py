"""What the vendors record of models: limits, ends and roles on their pages (`models.json`), and their SDKs' own files.

Those files have the names of models and the days on which they end. They are read and not imported, so that it costs no
import of an SDK.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, Literal

from ..vendors import of_vendors
from .naming import is_issue, model_of, without_issue

__all__ = [
    "ROLES",
    "Role",
    "abilities",
    "announced_ends",
    "last_day",
    "listed_models",
    "max_output_tokens",
    "other_use",
    "suggested",
]

Role = Literal["fast", "balanced", "deep"]
"""What a model is wanted for: cheap and quick, everyday work, or the hardest of it."""
ROLES: Final[tuple[Role, ...]] = ("fast", "balanced", "deep")

_FILE = "catalog/models.json"


def suggested(role: Role) -> Mapping[str, str]:
    """Current models that fit a role: the newest stable one of a family, by provider.

    Vendors that serve everybody's models have no line-up to choose from.
    """
    return {provider: row[role] for provider, row in of_vendors("roles", _FILE).items()}


def max_output_tokens(name: str) -> int | None:
    """The most tokens that a model generates, whoever serves it; `None` where it is not known.

    Args:
        name: the model's, as its vendor or a gateway writes it (`"claude-haiku-4-5-20251001"`,
            `"anthropic/claude-haiku-4.5"`).
    """
    model, limits = model_of(name), _limits()
    fitting = [start for start in limits if model == start or model.startswith(f"{start}-")]
    return limits[max(fitting, key=len)] if fitting else None


def other_use(name: str) -> str | None:
    """What a model is for that is not for chat, in a word or two (`"speech"`), whoever serves it; `None` for others.

    Args:
        name: the model's, as for `max_output_tokens`.
    """
    words = re.findall(r"[a-z]+", model_of(name))
    return next((use for word in words if (use := _other_uses().get(word)) is not None), None)


def abilities(name: str) -> tuple[Mapping[str, Any], date | None]:
    """What is recorded of what a model can do, by the names of `vendors.FACTS`, whoever serves it; and when it was.

    Args:
        name: the model's, as for `max_output_tokens`.
    """
    model, recorded = model_of(name), None
    found: list[tuple[str, Mapping[str, Any]]] = []
    for start, facts, day, unlike in _abilities():
        # One for another purpose is another model: gpt-6-luna says nothing of a gpt-6-luna-audio.
        if model == start or (model.startswith(f"{start}-") and unlike.isdisjoint(model[len(start) :].split("-"))):
            # What one cannot, a sibling that came after it may: that is said of the very model.
            own = is_issue(model[len(start) :])
            found.append((start, {it: fact if own or fact is not False else None for it, fact in facts.items()}))
            recorded = day
    # What is said of a longer beginning counts; that nobody knows it, too.
    said = {key: value for _, facts in sorted(found, key=lambda it: len(it[0])) for key, value in facts.items()}
    return {key: value for key, value in said.items() if value is not None}, recorded


def last_day(provider: str, name: str) -> date | None:
    """The last day of a model's service, past or to come; `None` where none is known.

    The installed SDK's word goes first. It forgets a model soon after its end, so what ended before is recorded.

    Args:
        provider: as in `provider:model`. Only the vendor's own service is meant: others that serve its models keep
            them for as long as they like.
        name: the model's. An issue of a model (`claude-2.1-latest`) ended when the model did.
    """
    announced, ended = announced_ends(provider), _ended().get(provider, {})
    return announced.get(name) or ended.get(name) or ended.get(without_issue(name))


@cache
def _other_uses() -> Mapping[str, str]:
    """By a word of a model's name."""
    return {word: use for row in of_vendors("other_uses", _FILE).values() for word, use in row["by_word"].items()}


@cache
def _limits() -> Mapping[str, int]:
    """By the beginning of a model's name; the longest that fits decides."""
    rows = of_vendors("limits", _FILE).values()
    return {start: most for row in rows for start, most in row["max_output_tokens"].items()}


@cache
def _abilities() -> Sequence[tuple[str, Mapping[str, Any], date, frozenset[str]]]:
    """By the beginning of a model's name: facts, their day, and words of which none follows."""
    return [
        (start, {it: facts[it] for it in facts if it != "models"}, day, unlike)
        for row in of_vendors("abilities", _FILE).values()
        for day, unlike in [(date.fromisoformat(row["recorded"]), frozenset(row.get("unlike", ())))]
        for facts in row["of"]
        for start in facts["models"]
    ]


@cache
def _ended() -> Mapping[str, Mapping[str, date]]:
    """Only a vendor's own statement of a day is recorded, and no name that it has turned to a newer model."""
    return {
        provider: {name: date.fromisoformat(day) for day, names in row["on"].items() for name in names}
        for provider, row in of_vendors("retired", _FILE).items()
    }


_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)


@cache
def announced_ends(provider: str) -> Mapping[str, date]:
    """The days on which a provider's models end, by name, as its installed SDK says; empty where it does not."""
    if provider not in _ENDS:
        return {}
    package, file, read = _ENDS[provider]
    try:
        return dict(read(_text(package, file)))
    except (SyntaxError, ValueError):
        return {}


@cache
def listed_models(provider: str) -> frozenset[str]:
    """The names that a provider's installed SDK has for its models; empty where it has no list."""
    files = _LISTS.get(provider, ())
    return frozenset(name for file in files for name in re.findall(r'^\s+"([\w.:-]+)",', _text(*file), re.MULTILINE))


def _text(package: str, file: str) -> str:
    """A file of an installed package; empty where there is none, or it cannot be read."""
    from importlib.util import find_spec

    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        try:
            with open(os.path.join(folder, *file.split("/")), encoding="utf-8") as text:
                return text.read()
        except (OSError, ValueError):
            continue
    return ""


def _anthropic_ends(text: str) -> Iterable[tuple[str, date]]:
    """From `DEPRECATED_MODELS: Dict[str, str] = {"claude-...": "November 30th, 2026", ...}`."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.AnnAssign | ast.Assign) and isinstance(statement.value, ast.Dict):
            for name, day in ast.literal_eval(statement.value).items():
                match = re.fullmatch(r"(\w+) (\d+)(?:st|nd|rd|th)?, (\d{4})", day)
                if match and match[1].lower() in _MONTHS:
                    yield name, date(int(match[3]), _MONTHS.index(match[1].lower()) + 1, int(match[2]))


def _openai_ends(text: str) -> Iterable[tuple[str, date]]:
    """From the notes in the list of models: `- "gpt-...", "gpt-...": Announced shutdown date: 2026-12-11.`"""
    notes = " ".join(text.split())
    for names, day in re.findall(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: (\d{4}-\d\d-\d\d)', notes):
        for name in re.findall(r'"([^"]+)"', names):
            yield name, date.fromisoformat(day)


_ENDS: Mapping[str, tuple[str, str, Callable[[str], Iterable[tuple[str, date]]]]] = {
    "anthropic": ("anthropic", "_data/deprecated_models.py", _anthropic_ends),
    "openai": ("openai", "types/shared/chat_model.py", _openai_ends),
}

_LISTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "anthropic": (("anthropic", "types/model.py"),),
    "openai": (("openai", "types/shared/chat_model.py"), ("openai", "types/shared/all_models.py")),
    "google": (("google", "genai/_gaos/types/interactions/model.py"),),
}
