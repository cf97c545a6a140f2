"""Pictures and files that go with a question."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..parts import audio, document, image
from ..wire.media import type_of


def picture_part(source: str) -> dict[str, Any]:
    """The part that a picture makes, of a path or an https address."""
    return image(_expanded(source))


def file_part(source: str) -> dict[str, Any]:
    """The part that a file makes: a picture, sound, or a document, as its name tells; of a path or an https address."""
    source = _expanded(source)
    kind = type_of(source)
    if kind is not None and kind.startswith("image/") and kind != "image/svg+xml":  # which no vendor looks at
        return image(source)
    if kind is not None and kind.startswith("audio/"):
        return audio(source)
    return document(source)


def name_of(part: dict[str, Any]) -> str:
    """What to call a part that has not been read in yet: its file's name, its address, or else its kind."""
    inner = part[part["type"]]
    address = str(inner.get("path") or inner.get("file_url") or inner.get("url") or "data:")
    if address.startswith("data:"):
        return str(part["type"]).removesuffix("_url").removeprefix("input_")
    return address if "://" in address else os.path.basename(address)


def content_of(text: str, attached: Sequence[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The content of a message: what is attached, then the question about it."""
    return [*attached, {"type": "text", "text": text}] if attached else text


def _expanded(source: str) -> str:
    """A path with `~` as the shell takes it: that of nobody we know is a file as any other, which is not there."""
    return os.path.abspath(os.path.expanduser(source)) if source.startswith("~") else source
