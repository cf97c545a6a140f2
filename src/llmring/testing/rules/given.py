"""What the server has given away and knows again: signatures, encrypted content, ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["Given", "walk"]

_SECRETS = frozenset(
    {
        "signature",
        "thoughtSignature",
        "thought_signature",
        "encrypted_content",
        "encrypted_index",
        "data",
        "id",
    }
)


_MOST = 100_000
"""Things remembered: a server that runs for days must not grow for ever."""


class Given:
    """All that one issuer has given away of late: an address, spoken to in one format."""

    def __init__(self) -> None:
        self._answers: dict[str, frozenset[str]] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self.thoughts: dict[str, str] = {}
        """The thinking that a signature was given with."""

    def learn(self, answer: Any) -> None:
        """Remember what is in an answer: JSON, or the bytes of a body or stream of it."""
        values = _values(answer) if isinstance(answer, bytes) else [answer]
        found: set[str] = set()
        for table in (table for value in values for table in walk(value)):
            found |= {value for key, value in table.items() if key in _SECRETS and isinstance(value, str) and value}
            if isinstance(id := table.get("id"), str):
                self._tables[id] = table
            if isinstance(signature := table.get("signature"), str):
                thought = table.get("thinking", table.get("text"))
                if isinstance(thought, str) and thought:
                    self.thoughts[signature] = thought
        together = frozenset(found)
        self._answers |= dict.fromkeys(found, together)
        while len(self._answers) > _MOST:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self._tables.pop(oldest, None)
            self.thoughts.pop(oldest, None)

    def knows(self, value: object) -> bool:
        """Whether it was given here."""
        return isinstance(value, str) and value in self._answers

    def beside(self, value: object) -> frozenset[str]:
        """What was given in the same answer."""
        return self._answers.get(value, frozenset()) if isinstance(value, str) else frozenset()

    def table(self, id: object) -> dict[str, Any]:
        """What was given under that id, empty if nothing was."""
        return self._tables.get(id, {}) if isinstance(id, str) else {}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every table in a JSON value."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _values(data: bytes) -> Iterator[Any]:
    """The JSON of a body, or of each event of a stream."""
    for piece in (data, *(line.removeprefix(b"data:") for line in data.splitlines())):
        try:
            yield json.loads(piece)
        except (ValueError, RecursionError):
            continue
        if piece is data:
            return
