"""What a model made that is not text, in the form of a message's parts: pictures, sounds, files, and citations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .values import given

__all__ = ["citation", "made_of_blocks", "made_of_candidate", "made_of_items", "media_part"]

Part = dict[str, Any]


def citation(**said: Any) -> Part:
    """What a piece of the answer rests on.

    Args:
        said: those of `url`, `title`, `cited_text`, `file_id`, and `start_index` and `end_index` in the answer's text.
    """
    return {"type": "citation", "citation": given(**said)}


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
            for content in item["content"]:
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
