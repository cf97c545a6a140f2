"""Pictures, documents and sound in a message, written once for every provider.

    Message(role="user", content=[text("What is this?"), image("cat.png")])

A part is a plain table in OpenAI's form. Files are named, not read, until the request is sent, and then in a
thread. Only a `pathlib.Path` names one, which no JSON can hold: parts that a program passes on for others have none of
its own files read. Addresses are never fetched here; they go to the provider as they are.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import os
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

from .exceptions import InvalidRequestError
from .schemas import LLMRequest, Message
from .wire.media import type_of

__all__ = ["audio", "decoded", "document", "image", "load", "text"]

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"\xff\xf3": "audio/mpeg",
    b"\xff\xf2": "audio/mpeg",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
}
_TOLD = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})
"""Types that the first bytes tell for certain: what is only called so is none."""
_PDF_WITHIN = 1024
"""Bytes that may stand before the head of a PDF, for the readers of many."""
# What every other text is called does no vendor any good.
_TEXTS = frozenset({"text/csv", "text/html", "text/markdown", "text/xml", "application/json", "application/xml"})
_MARKS = {  # the longer ones first: UTF-32's begins as UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_AUDIO_FORMATS = {"mpeg": "mp3", "wave": "wav", "vnd.wave": "wav"}


def text(text: str) -> dict[str, Any]:
    """A piece of text."""
    return {"type": "text", "text": text}


def image(source: str | os.PathLike[str] | bytes, *, detail: str | None = None) -> dict[str, Any]:
    """A picture.

    Args:
        source: an https address, a data URL, a path, or the picture's bytes.
        detail: `"low"`, `"high"` or `"auto"`, where the provider knows it.
    """
    if isinstance(source, bytes):
        inner: dict[str, Any] = {"url": _data_url(source, "image")}
    else:
        inner = {"url": source if _is_address(source) else _file(source)}
    if detail is not None:
        inner["detail"] = detail
    return {"type": "image_url", "image_url": inner}


def document(source: str | os.PathLike[str] | bytes, *, filename: str | None = None) -> dict[str, Any]:
    """A document: a PDF, or a file of text.

    Args:
        source: an https address, a data URL, a path, or the document's bytes.
        filename: its name for the model; a path brings its own.
    """
    if isinstance(source, bytes):
        data, name = _data_url(source, "document", filename), filename
        return {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}
    file: dict[str, Any]
    if _is_address(source):
        file = {"file_data" if source.startswith("data:") else "file_url": source}
    else:
        path = _file(source)
        file = {"path": path, "filename": titled(path)}
    return {"type": "file", "file": {**file, **({"filename": filename} if filename else {})}}


def audio(source: str | os.PathLike[str] | bytes, *, format: str | None = None) -> dict[str, Any]:
    """Sound.

    Args:
        source: a path, a data URL, or the sound's bytes.
        format: `"wav"`, `"mp3"`, ...; not given: found from the name or the bytes.
    """
    inner: dict[str, Any]
    if isinstance(source, bytes):
        _filled(source, "The sound")
        inner = {"data": base64.b64encode(source).decode(), "format": format or sound_format(mime_of(source, None))}
    elif isinstance(source, str) and source.startswith("data:"):
        head, _, data = source.partition(";base64,")
        inner = {"data": data, "format": format or sound_format(head.removeprefix("data:"))}
    else:
        inner = {"path": _file(source), **({"format": format} if format else {})}
    return {"type": "input_audio", "input_audio": inner}


async def load(request: LLMRequest) -> LLMRequest:
    """The request with every file that its parts name read in, off the event loop.

    Raises:
        InvalidRequestError: a file cannot be read, or is not what it is given for.
    """
    for position, message in enumerate(request.messages):
        for part in _parts(message):
            _check(part, f"messages[{position}]")
    if not any(_names_file(part) for message in request.messages for part in _parts(message)):
        return request
    messages = [await asyncio.to_thread(_load_message, message) for message in request.messages]
    return request.model_copy(update={"messages": messages})


def _parts(message: Message) -> list[dict[str, Any]]:
    return message.content if isinstance(message.content, list) else []


def _check(part: dict[str, Any], where: str) -> None:
    if part.get("type") == "text" and not isinstance(part.get("text"), str):
        raise InvalidRequestError(f"{where} has a part of type text without a text.")
    source = _source(part)
    if isinstance(source, str) and not (part["type"] == "image_url" and _is_address(source)):
        maker = {"image_url": "image", "file": "document", "input_audio": "audio"}[part["type"]]
        raise InvalidRequestError(
            f"{where} has a part of type {part['type']} with {source[:60]!r}, but text names no file. Make the part "
            f"with llmring.{maker}(path), or put a pathlib.Path there. (An image_url also takes https and data URLs.)"
        )


def _names_file(part: dict[str, Any]) -> bool:
    return isinstance(_source(part), os.PathLike)


def _source(part: dict[str, Any]) -> Any:
    """What stands where a part may name a file."""
    kind = part.get("type")
    if kind == "image_url":
        inner = part.get("image_url")
        return inner.get("url") if isinstance(inner, dict) else inner
    inner = part.get(kind) if kind in ("file", "input_audio") else None
    return inner.get("path") if isinstance(inner, dict) else None


def _load_message(message: Message) -> Message:
    if not any(_names_file(part) for part in _parts(message)):
        return message
    return message.model_copy(
        update={"content": [_load_part(part) if _names_file(part) else part for part in _parts(message)]}
    )


def _load_part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "image_url":
        path = Path(os.fsdecode(_source(part)))
        inner = part["image_url"] if isinstance(part["image_url"], dict) else {}
        return {**part, "image_url": {**inner, "url": _data_url(_read(path), "image", path.name)}}
    inner = dict(part[kind])
    path = Path(os.fsdecode(inner.pop("path")))
    data = _read(path)
    if kind == "input_audio":
        _filled(data, f"The file {path}")
        inner["data"] = base64.b64encode(data).decode()
        inner.setdefault("format", sound_format(mime_of(data, path.name)))
    else:
        inner["file_data"] = _data_url(data, "document", path.name)
        inner.setdefault("filename", titled(path))
    return {**part, kind: inner}


def _read(path: Path) -> bytes:
    try:
        # Path.expanduser() would raise where there is no such user.
        return Path(os.path.expanduser(path)).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"The file {path} cannot be read: {reason}.") from None


def _is_address(source: str | os.PathLike[str]) -> TypeGuard[str]:
    schemes = ("http://", "https://", "gs://")
    return isinstance(source, str) and (source.startswith("data:") or source.lower().startswith(schemes))


def _file(source: str | os.PathLike[str]) -> Path:
    """The file that a maker is given, by its path or its `file:` address."""
    if not source:
        raise InvalidRequestError("A part was made of an empty path; name the file.")
    if not isinstance(source, str) or not source.startswith("file:"):
        return Path(os.fsdecode(source))
    try:
        return Path(unquote(urlsplit(source).path))
    except ValueError as error:
        raise InvalidRequestError(f"The file {source!r} cannot be read: {error}.") from None


def titled(path: Path) -> str:
    """A file's name, fit to be sent: on most systems it may hold bytes that are no text."""
    return path.name.encode(errors="replace").decode()


def decoded(data: bytes, what: str) -> str:
    """The text that bytes are: UTF-8, or what their byte order mark says, which is no part of it.

    Args:
        data: all of it.
        what: what it is, as a message begins with it.

    Raises:
        InvalidRequestError: it is none; the message names the first byte that is wrong, counted from 1.
    """
    encoding = next((it for mark, it in _MARKS.items() if data.startswith(mark)), "utf-8")
    name = encoding.removesuffix("-sig").upper()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start + len(codecs.BOM_UTF8) * (encoding == "utf-8-sig")
        line = data.count(b"\n", 0, at) + 1
        raise InvalidRequestError(
            f"{what} is no {name} text: byte {at + 1}, in line {line}, is 0x{data[at]:02x}. Save it as UTF-8, or "
            "convert it: iconv -f ENCODING -t UTF-8"
        ) from None
    before, null, _ = text.partition("\0")
    if null:
        line = before.count("\n") + 1
        raise InvalidRequestError(
            f"{what} is no text: character {len(before) + 1}, in line {line}, is a null. If it is UTF-16 without a "
            "mark, convert it: iconv -f UTF-16LE -t UTF-8"
        )
    return text


def _filled(data: bytes, name: str) -> None:
    if not data:
        raise InvalidRequestError(f"{name} is empty; there is nothing to send.")


def _data_url(data: bytes, what: str, name: str | None = None) -> str:
    mime = mime_of(data, name)
    if what == "image" or mime in _TOLD:
        _filled(data, f"The file {name}" if name else f"The {what}")
    if mime in _TOLD and mime != mime_of(data, None) and not (what == "document" and b"%PDF-" in data[:_PDF_WITHIN]):
        raise InvalidRequestError(
            f"{name} has the name of {mime}, and does not begin as such a file does: it holds something else. Give "
            "it the name of what it is."
        )
    if what == "document" and ((mime or "").startswith("text/") or mime in _TEXTS or data.startswith(tuple(_MARKS))):
        data = decoded(data, name or "The document").encode()
    if what == "document" and mime not in (*_TEXTS, "application/pdf") and _is_text(data):
        mime = "text/plain"
    if mime is None:
        raise InvalidRequestError(
            f"What kind of {what} {name or 'these bytes'} may be cannot be told; pass a data URL: data:TYPE;base64,..."
        )
    if what == "image" and not mime.startswith("image/"):
        raise InvalidRequestError(
            f"{name or 'This'} is no picture but of type {mime}; "
            "pass it as a document (`llmring chat` has --file and /file)."
        )
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def mime_of(data: bytes, name: str | None) -> str | None:
    """The type of a file, by its first bytes, else by its name."""
    for magic, mime in _MAGIC.items():
        if data.startswith(magic):
            return mime
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])
    return type_of(name) if name else None


def _is_text(data: bytes) -> bool:
    try:
        return b"\0" not in data and data.decode() is not None
    except UnicodeDecodeError:
        return False


def sound_format(mime: str | None) -> str:
    if mime is None or not mime.startswith("audio/"):
        raise InvalidRequestError('What kind of sound this is cannot be told; name it: audio(..., format="wav").')
    format = mime.removeprefix("audio/").removeprefix("x-")
    return _AUDIO_FORMATS.get(format, format)
