"""What a binding of a recording names."""

from __future__ import annotations

from .files import SUFFIX

__all__ = ["divided"]


def divided(named: str) -> tuple[str, str | None]:
    """The file and the model that a binding names: `"chat.jsonl+anthropic:claude-haiku-5-5"`."""
    path, plus, reference = named.partition(f"{SUFFIX}+")
    return (f"{path}{SUFFIX}", reference) if plus else (named, None)
