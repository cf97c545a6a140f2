"""Docstrings in which several names share a description, `stop, seed: passed on`, as if each had its own."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Expanding", "expanded"]

_SECTION = re.compile(r"(Args|Attributes):$")
_SHARED = re.compile(r" {4}(\w+(?:, \w+)+):(.*)$")


class Expanding(griffe.Extension):
    """For the generator: it reads one name before each description."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Whatever has a docstring."""
        if obj.docstring is not None:
            obj.docstring.value = expanded(obj.docstring.value)


def expanded(docstring: str) -> str:
    """The docstring, unindented, with one name before each description."""
    lines: list[str] = []
    within = False
    names: list[str] = []
    said: list[str] = []
    for line in [*docstring.splitlines(), ""]:
        if names and line.startswith("        "):
            said.append(line)
            continue
        for name in names:
            lines += [f"    {name}:{said[0]}", *said[1:]]
        names, said = [], []
        within = bool(_SECTION.match(line)) or (within and (not line.strip() or line.startswith("    ")))
        found = _SHARED.match(line) if within else None
        if found:
            names, said = found[1].split(", "), [found[2]]
        else:
            lines.append(line)
    return "\n".join(lines).rstrip()
