"""What is not text in a message, sent or made by a model: pictures, sounds, documents, and citations.

What type a file is by its name, and the other way round, is the same here on every system and version of Python: its
own table lacks some before 3.13 or 3.14, has others by older or newer names, and takes in what it finds on the system.
"""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from .errors import CannotCarry
from .values import present, text

__all__ = [
    "Media",
    "Sound",
    "citation",
    "citations_of",
    "extension_of",
    "is_text_type",
    "kind_of",
    "made_of_blocks",
    "made_of_candidate",
    "made_of_items",
    "media_part",
    "moved",
    "of_part",
    "picture",
    "pictures_of",
    "registered",
    "type_of",
]

Part = dict[str, Any]

_PICTURES = {"iVBOR": "png", "/9j/": "jpeg", "UklGR": "webp", "R0lGO": "gif"}
"""How a picture's data begins, in base64."""
_SOUNDS = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "ZkxhQ": "flac", "T2dnUw": "opus"}
"""How a sound's data begins, in base64; OpenAI's streams are bare PCM."""
_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
}


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, a document or a sound of a message.

    Attributes:
        kind: `"image"`, `"document"` or `"audio"`.
        mime: its type; `None` where only an address is known that does not tell.
        data: its bytes in base64, `None` where there is an address instead.
        url: its address.
        file_id: the vendor's id of a file uploaded before.
        name: its file name.
        detail: how closely a picture is to be looked at.
    """

    kind: str
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None

    @property
    def data_url(self) -> str | None:
        """Its bytes as a data URL."""
        return None if self.data is None else f"data:{self.mime};base64,{self.data}"

    @property
    def filename(self) -> str:
        """Its name, or one that tells its type."""
        return self.name or f"document{extension_of(self.mime or '')}"

    @property
    def is_text(self) -> bool:
        """Whether it is a document of plain text, of whatever kind, and its bytes are here."""
        return self.data is not None and is_text_type(self.mime)

    @property
    def text(self) -> str:
        """The text of a document of plain text."""
        try:
            return base64.b64decode(self.data or "").decode("utf-8", "replace")
        except ValueError:
            raise CannotCarry(f"its document {self.filename} is not base64") from None

    @property
    def quoted(self) -> str:
        """The text of a document of plain text, to stand among the text of a message."""
        return f'<document name="{self.filename}">\n{self.text}\n</document>'


def of_part(part: dict[str, Any]) -> Media | None:
    """What a part in OpenAI's form holds, `None` if it is of no form known here."""
    kind = part.get("type")
    inner = part.get(kind) if isinstance(kind, str) else None
    if kind == "image_url":
        detail = inner.get("detail") if isinstance(inner, dict) else None
        address = inner.get("url") if isinstance(inner, dict) else inner
        return _addressed("image", address, None, detail)
    if kind == "input_audio" and isinstance(inner, dict):
        if not inner.get("data"):
            raise CannotCarry("its audio has no data")
        sound = str(inner.get("format") or "wav")
        return Media("audio", f"audio/{'mpeg' if sound == 'mp3' else sound}", inner["data"])
    if kind == "file" and isinstance(inner, dict):
        name = inner.get("filename")
        if inner.get("handle"):
            raise CannotCarry(
                f"its file {name or inner['handle']} was registered with the files of a service, and only that service "
                "sends it: ask through it"
            )
        if inner.get("file_id"):
            mime = inner.get("media_type")
            return Media(kind_of(mime), mime, file_id=inner["file_id"], name=name, detail=inner.get("detail"))
        return _addressed("document", inner.get("file_data") or inner.get("file_url"), name, None)
    return None


def is_text_type(mime: Any) -> bool:
    """Whether what is of such a type is plain text, of whatever kind."""
    return str(mime).startswith("text/") or mime in ("application/json", "application/xml", "application/yaml")


def kind_of(mime: Any) -> str:
    """What something of a type is to a model: `"image"`, `"audio"`, else a `"document"`."""
    kind = str(mime or "").partition("/")[0]
    return kind if kind in ("image", "audio") else "document"


def registered(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a part says of a file that was registered with a service (`service.files`), `None` if it is none such."""
    file = part.get("file") if part.get("type") == "file" else None
    return file if isinstance(file, Mapping) and isinstance(file.get("handle"), str) else None


def _addressed(kind: str, address: Any, name: str | None, detail: str | None) -> Media:
    if not isinstance(address, str) or not address:
        raise CannotCarry(f"its {kind} has neither data nor an address")
    if not address.startswith("data:"):
        mime = None
        if kind == "document" and address.lower().split("?")[0].endswith(".pdf"):
            mime = "application/pdf"
        return Media(kind, mime, url=address, name=name, detail=detail)
    head, _, data = address.partition(",")
    mime = head.removeprefix("data:").split(";")[0] or "application/octet-stream"
    if not head.endswith(";base64"):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Media(kind, mime, data, name=name, detail=detail)


def type_of(name: str) -> str | None:
    """The type that the name of a file, or the end of its address, tells: `"image/webp"`; `None` if it tells none."""
    return _TYPES.get(os.path.splitext(name)[1].lower()) or mimetypes.guess_type(name)[0]


def extension_of(mime: str) -> str:
    """The end of a file's name that tells its type: `".webp"`; empty if there is none."""
    known = next((extension for extension, it in _TYPES.items() if it == mime), None)
    return known or mimetypes.guess_extension(mime) or ""


def citation(**said: Any) -> Part:
    """What a piece of the answer rests on.

    Args:
        said: those of `url`, `title`, `cited_text`, `file_id`, and `start_index` and `end_index` in the answer's text.
    """
    return {"type": "citation", "citation": present(**said)}


def moved(part: Part, by: int) -> Part:
    """The part, its places counted from so many characters earlier: another answer's text stands before its own."""
    if not by or part.get("type") != "citation":
        return part
    places = {name: at + by for name, at in part["citation"].items() if name in ("start_index", "end_index")}
    return {**part, "citation": part["citation"] | places}


def media_part(mime: str, data: str) -> Part:
    """A picture, a sound or a document.

    Args:
        mime: its type.
        data: its bytes in base64.
    """
    kind, _, form = mime.partition("/")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}}
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    return {"type": "file", "file": {"file_data": f"data:{mime};base64,{data}"}}


def _file(file_id: Any, filename: Any = None) -> Part:
    return {"type": "file", "file": present(file_id=file_id, filename=filename)}


def made_of_blocks(blocks: Iterable[Part]) -> Iterator[Part]:
    """Of Anthropic's blocks: what is cited, and the files that tools have made.

    Args:
        blocks: as they are kept, with text as its length.
    """
    at = 0
    for block in blocks:
        kind = str(block["type"])
        if kind == "text":
            end = at + block.get("length", 0)
            for cited in block.get("citations") or ():
                yield citation(
                    url=cited.get("url") or cited.get("source"),
                    title=cited.get("title") or cited.get("document_title"),
                    cited_text=cited.get("cited_text"),
                    file_id=cited.get("file_id"),
                    start_index=at,
                    end_index=end,
                )
            at = end
        elif kind == "container_upload":
            yield _file(block["file_id"])
        elif kind.endswith("_tool_result") and isinstance(result := block.get("content"), Mapping):
            for made in result.get("content") or ():
                if isinstance(made, Mapping) and made.get("file_id"):
                    yield _file(made["file_id"])


def made_of_items(items: Iterable[Part]) -> Iterator[Part]:
    """Of the items of a Responses answer: pictures, what is cited, and the files that tools have made."""
    at = 0
    for item in items:
        if item["type"] == "message":
            for content in item.get("content") or ():
                for note in content.get("annotations") or ():
                    yield _annotated(note, at)
                at += len(content.get("text") or content.get("refusal") or "")
        elif item["type"] == "image_generation_call" and item.get("result"):
            yield media_part(f"image/{item.get('output_format') or 'png'}", item["result"])
        elif item["type"] == "code_interpreter_call":
            for output in item.get("outputs") or ():
                if output["type"] == "image":
                    yield {"type": "image_url", "image_url": {"url": output["url"]}}


def _annotated(note: Mapping[str, Any], at: int) -> Part:
    if note["type"] in ("container_file_citation", "file_path"):
        return _file(note["file_id"], note.get("filename"))
    start, end = note.get("start_index"), note.get("end_index")
    return citation(
        url=note.get("url"),
        title=note.get("title") or note.get("filename"),
        file_id=note.get("file_id"),
        start_index=None if start is None else at + start,
        end_index=None if end is None else at + end,
    )


def made_of_candidate(parts: Iterable[Part], grounding: Mapping[str, Any], cited: Iterable[Part]) -> Iterator[Part]:
    """Of a Gemini answer: pictures, sounds and files, what a search has found, and what is recited.

    Args:
        parts: those that are neither text nor calls.
        grounding: `groundingMetadata`. Its places are counted in bytes, so the text that they mark stands for them.
        cited: the sources of `citationMetadata`.
    """
    for part in parts:
        if part.get("thought"):
            continue
        if inline := part.get("inlineData"):
            yield media_part(inline["mimeType"], inline["data"])
        elif filed := part.get("fileData"):
            yield {"type": "file", "file": present(file_url=filed["fileUri"])}
    said: dict[int, list[str]] = {}
    for support in grounding.get("groundingSupports") or ():
        for index in support.get("groundingChunkIndices") or ():
            said.setdefault(index, []).append((support.get("segment") or {}).get("text") or "")
    for index, chunk in enumerate(grounding.get("groundingChunks") or ()):
        source = chunk.get("web") or chunk.get("retrievedContext") or chunk.get("maps") or {}
        for words in said.get(index) or [""]:
            yield citation(url=source.get("uri"), title=source.get("title"), cited_text=words or None)
    for source in cited:
        yield citation(url=source.get("uri"), title=source.get("title"))


def picture(data: str) -> Part:
    """A picture that a model made, of which only the bytes are known, as a part of a message.

    Args:
        data: in base64.
    """
    kind = next((kind for head, kind in _PICTURES.items() if data.startswith(head)), "png")
    return media_part(f"image/{kind}", data)


class Sound:
    """A spoken answer, put together from what was streamed of it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: Any) -> None:
        """Data in base64."""
        if piece:
            self._pieces.append(text(piece))

    def parts(self) -> Iterator[Part]:
        """The sound as a part, if there is one."""
        if not self._pieces:
            return
        data = "".join(self._pieces)
        if any(piece.endswith("=") for piece in self._pieces[:-1]):
            # Pieces that are padded, each for itself, are no base64 one after the other.
            data = base64.b64encode(b"".join(map(base64.b64decode, self._pieces))).decode()
        form = next((form for head, form in _SOUNDS.items() if data.startswith(head)), "pcm16")
        yield {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def pictures_of(images: list[Any]) -> Iterator[Part]:
    """Pictures as parts of a message: `images` as OpenRouter and others have it."""
    for image in images:
        inner = image.get("image_url") if isinstance(image, dict) else image
        url = inner.get("url") if isinstance(inner, dict) else inner
        yield {"type": "image_url", "image_url": {"url": text(url)}}


def citations_of(cited: list[Any]) -> Iterator[Part]:
    """Citations as parts: `annotations`, and the lists of sources that Perplexity and xAI give."""
    for source in cited:
        inner: Any = source if isinstance(source, dict) else {"url": text(source)}
        inner = inner.get("url_citation") or inner
        yield citation(
            url=inner.get("url"),
            title=inner.get("title"),
            cited_text=inner.get("content") or inner.get("snippet"),
            file_id=inner.get("file_id"),
            start_index=inner.get("start_index"),
            end_index=inner.get("end_index"),
        )
