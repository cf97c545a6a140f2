"""What a file holds now: its size, its type and a digest, read piece by piece."""

from __future__ import annotations

import base64
import codecs
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any, BinaryIO

from ..exceptions import InvalidRequestError
from ..parts import decoded, mime_of, sound_format
from ..wire.media import is_text_type, kind_of

__all__ = ["Content", "State", "inline_part", "opened", "read", "state_of"]

_PIECE = 1024 * 1024
_HEAD = 64
_JUST_NOW = 2 * 10**9
"""Nanoseconds: the times of some file systems have no more than every other second."""
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Of text that is to be sent as UTF-8. Those of UTF-32 begin alike."""


@dataclass(frozen=True, slots=True)
class State:
    """What tells without reading it that a file has not changed.

    Attributes:
        size, mtime_ns: of its content.
        ctime_ns, inode: which change, too, where a file of the same size and time is put in its place; 0 for one that
            had just been written when it was looked at, and may be written again at what counts as the same time.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0

    def is_like(self, other: State | None) -> bool:
        """Whether it is the same content, as far as its size and time say."""
        return other is not None and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes:
        sha256: the digest, in hexadecimal.
        size: bytes.
        media_type: of it.
        state: of the file that it was read from; `None` for bytes.
    """

    sha256: str
    size: int
    media_type: str
    state: State | None = None


def state_of(file: BinaryIO) -> State:
    """The state of an open file."""
    status = os.fstat(file.fileno())
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def read(source: Path | bytes, name: str, media_type: str | None) -> Content:
    """What is held by a file, or by bytes.

    Args:
        source: which.
        name: its name, for its type and for messages.
        media_type: its type; `None` finds it.

    Raises:
        InvalidRequestError: it cannot be read, is empty, of a type that cannot be told, or no text where it should be.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), None, name, media_type)
    with opened(source) as file:
        state = state_of(file)
        if time_ns() - state.ctime_ns < _JUST_NOW:
            state = State(state.size, state.mtime_ns)
        return _read(file, state, name, media_type)


def opened(path: Path) -> BinaryIO:
    """A file, open for reading.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    reason: object = "it is no regular file"
    try:
        # A pipe would make whoever opens it wait, and can be read but once.
        if path.is_file() or not path.exists():
            return open(path, "rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
    raise InvalidRequestError(f"The file {path} cannot be read: {reason}.")


def _read(file: BinaryIO, state: State | None, name: str, media_type: str | None) -> Content:
    digest, size, head = hashlib.sha256(), 0, b""
    decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    while piece := file.read(_PIECE):
        head = head or piece[:_HEAD]
        digest.update(piece)
        size += len(piece)
        decoder = _still_text(decoder, piece)
    decoder = _still_text(decoder, b"", final=True)
    if not size:
        raise InvalidRequestError(f"The file {name} is empty; there is nothing to send.")
    mime = media_type or mime_of(head, name)
    if mime is None and decoder is not None:
        mime = "text/plain"
    if mime is None:
        raise InvalidRequestError(
            f'What type of file {name} is cannot be told; say it: register(..., media_type="application/pdf").'
        )
    if is_text_type(mime) and decoder is None:
        file.seek(0)
        decoded(file.read(), name)  # what is text in another way has a mark that says so, or is none
    return Content(digest.hexdigest(), size, mime, state)


def _still_text(
    decoder: codecs.IncrementalDecoder | None, piece: bytes, *, final: bool = False
) -> codecs.IncrementalDecoder | None:
    """The decoder, if all so far is text of UTF-8."""
    try:
        return decoder if decoder is not None and "\0" not in decoder.decode(piece, final) else None
    except UnicodeDecodeError:
        return None


def to_send(file: BinaryIO, content: Content, name: str) -> BinaryIO:
    """What is sent of a file: itself, but for text that is not UTF-8."""
    if is_text_type(content.media_type) and file.read(2) in _MARKS:
        file.seek(0)
        return io.BytesIO(decoded(file.read(), name).encode())
    file.seek(0)
    return file


def inline_part(data: bytes, name: str, media_type: str, detail: str | None) -> dict[str, Any]:
    """A part that has the file within it.

    Args:
        data: all of it.
        name, media_type: what it is called, and of which type it is.
        detail: how closely a picture is to be looked at.
    """
    if is_text_type(media_type):
        data = decoded(data, name).encode()
    coded = base64.b64encode(data).decode()
    kind = kind_of(media_type)
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": coded, "format": sound_format(media_type)}}
    url = f"data:{media_type};base64,{coded}"
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
    return {"type": "file", "file": {"file_data": url, "filename": name}}
