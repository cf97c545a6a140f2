"""Where vendors keep files and run batches: which of the two a path is of, and what is done there."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Place", "place_of"]

_FILE = re.compile(r"(?:^|/)files(?:/(?P<id>[^/:]+))?(?P<verb>/content|:download)?$")
_BATCH = re.compile(r"(?:^|/)batches(?:/(?P<id>[^/:]+))?(?P<verb>/cancel|:cancel|/results)?$")
_GEMINI = re.compile(r"/(?:models|tunedModels)/(?P<model>[^/]+):batchGenerateContent$")
_VERBS: dict[str | None, str] = {
    "/content": "download",
    ":download": "download",
    "/results": "download",
    "/cancel": "cancel",
    ":cancel": "cancel",
    None: "",
}


class Place(NamedTuple):
    """What a request wants of files or batches.

    Attributes:
        wire: `"files"` or `"batches"`.
        action: `create`, `begin` (Gemini's first step of an upload), `retrieve`, `list`, `download`, `cancel` or
            `delete`; empty for none of these.
        id: of the file or the batch, empty for all of them.
        model: that Gemini's path names.
    """

    wire: str
    action: str
    id: str = ""
    model: str = ""


def place_of(method: str, path: str, query: dict[str, str]) -> Place | None:
    """What a request wants of files or batches, `None` if it is for neither."""
    if found := _GEMINI.search(path):
        return Place("batches", "create" if method == "POST" else "", model=found["model"])
    wire, found = "batches", _BATCH.search(path)
    if found is None:
        wire, found = "files", _FILE.search(path)
    if found is None:
        return None
    id, verb = found["id"] or "", _VERBS[found["verb"]]
    if verb:
        needed = "POST" if verb == "cancel" else "GET"
        return Place(wire, verb if id and method == needed else "", id)
    if method == "POST" and not id:
        begins = wire == "files" and path.startswith("/upload/") and "upload_id" not in query
        return Place(wire, "begin" if begins else "create")
    if method == "GET":
        return Place(wire, "retrieve" if id else "list", id)
    return Place(wire, "delete" if method == "DELETE" and id else "", id)
