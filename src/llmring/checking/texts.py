"""The aliases that files other than source code name: settings, scripts, documents."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from ..lockfile.reading import plain

__all__ = ["is_text", "names_in", "names_in_file", "strings_in"]

_SUFFIX = re.compile(
    r".*\.(?:bash|cfg|conf|env|fish|hcl|html|ini|jsonc?|[jt]sx?|mjs|mdx?|properties|ps1|rst|sh|tf|toml|txt|ya?ml|zsh)"
)
_NAMES = re.compile(r"(?:Dockerfile|Makefile|Procfile|justfile|\.env)(?:\..+)?")
_LARGEST = 256 * 1024
"""Bytes. What is larger was not written by hand."""
_PROFILE = re.compile(r"\bprofile\s*=\s*\\?$")
_BINDS = re.compile(r"\balias[\"']?\s*[:=]\s*[\"']?$")


def is_text(name: str) -> bool:
    """Whether a file of that name is looked into."""
    return _SUFFIX.fullmatch(name) is not None or _NAMES.fullmatch(name) is not None


def names_in_file(path: Path, names: Collection[str]) -> set[str]:
    """The names that a file has as a value; none where it is too large, or cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return set()
        return names_in(plain(path).decode(errors="replace").replace("\r\n", "\n"), names)
    except OSError:
        return set()


def names_in(text: str, names: Collection[str]) -> set[str]:
    """The names that a text has as a value: in quotes, after `=` or `:`, in a list, or after `--model`.

    That a name is bound there (`alias = "chatbot"`) is no use of it.
    """
    if not names:
        return set()
    found = _values(frozenset(names)).finditer(text)
    return {it[1] for it in found if not _BINDS.search(text, max(0, it.start() - 20), it.start(1))}


def strings_in(code: str, names: Collection[str]) -> set[str]:
    """The names that are a string of a program's, unless it is a profile's name."""
    if not names:
        return set()
    found = _strings(frozenset(names)).finditer(code)
    return {it[1] for it in found if not _PROFILE.search(code, max(0, it.start() - 20), it.start())}


@lru_cache(maxsize=4)
def _strings(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"[\"']({'|'.join(map(re.escape, names))})(?=\\?[\"'])")


@lru_cache(maxsize=4)
def _values(names: frozenset[str]) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    before = r"(?:[\"'`=,\[({][ \t]*|:[ \t]+|^[ \t]*-[ \t]+|(?<!\S)(?:-m|--model)[ \t]+)"
    return re.compile(rf"{before}({listed})(?=[\"'`,;)\]}}|&\\]|[ \t]*$|[ \t]+[#\-&|>)\]}}\"'])", re.MULTILINE)
