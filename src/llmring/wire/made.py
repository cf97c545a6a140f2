"""What a model made that is not text, in the form of a message's parts: pictures, sounds, files, and citations."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .values import given, text

__all__ = [
    "Sound",
    "citation",
    "citations_of",
    "made_of_blocks",
    "made_of_candidate",
    "made_of_items",
    "media_part",
    "moved",
    "picture",
    "pictures_of",
    "thoughts_of_items",
]

Part = dict[str, Any]

_PICTURES = {"iVBOR": "png", "/9j/": "jpeg", "UklGR": "webp", "R0lGO": "gif"}
"""How a picture's data begins, in base64."""
_SOUNDS = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "ZkxhQ": "flac", "T2dnUw": "opus"}
"""How a sound's data begins, in base64; OpenAI's streams are bare PCM."""


def citation(**said: Any) -> Part:
    """What a piece of the answer rests on.

    Args:
        said: those of `url`, `title`, `cited_text`, `file_id`, and `start_index` and `end_index` in the answer's text.
    """
    return {"type": "citation", "citation": given(**said)}


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
    return {"type": "file", "file": given(file_id=file_id, filename=filename)}


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
            yield {"type": "file", "file": given(file_url=filed["fileUri"])}
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

    __slots__ = ("_pieces",)

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


def thoughts_of_items(items: Iterable[Part]) -> Iterator[str]:
    """The thinking of a Responses answer's items: its summary, and itself where a server shows it."""
    for item in items:
        if item["type"] == "reasoning":
            for part in [*(item.get("summary") or ()), *(item.get("content") or ())]:
                yield part["text"]
