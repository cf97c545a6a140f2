"""What the installed SDKs' own files say of models: their names, and the days on which they end.

The files are read and not imported, so that it costs no import of an SDK.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import cache

__all__ = ["announced_ends", "listed_models"]

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
