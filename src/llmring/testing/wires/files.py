"""Files that vendors keep: how they are given, looked at, listed and deleted, and what is said where one is not there.

Anthropic: https://platform.claude.com/docs/en/build-with-claude/files. OpenAI:
https://platform.openai.com/docs/api-reference/files. Gemini: https://ai.google.dev/gemini-api/docs/files, with the
resumable protocol that its REST examples show. Each account, which is a key, sees its own files alone.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote

from ..exchange import Problem, RecordedRequest, Reply
from .answer import Format, json_reply
from .places import Place
from .shapes import rows, table

__all__ = ["Cabinet", "StoredFile", "account_of", "missing_file", "moment"]

_LIFETIME = 48 * 3600.0
"""Seconds that Gemini keeps a file."""
_NAME = re.compile(r'[^<>:"|?*\\/\x00-\x1f]{1,255}')
"""What Anthropic takes as a file's name."""
_VENDORS = ("anthropic", "openai", "gemini")
_PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")


@dataclass(eq=False)
class StoredFile:
    """A file that the server keeps.

    Attributes:
        vendor: `"anthropic"`, `"openai"` or `"gemini"`.
        id: by which it is asked for.
        name, media_type, data: what it was given as.
        account: whose key it was given with.
        purpose: OpenAI's.
        created_at, expires_at: seconds since 1970; `None` for never.
        looks: how often Gemini will say that it is still reading it in.
        fails: whether Gemini will say in the end that it cannot read it.
        made: whether the vendor made it, as it does the results of a batch.
    """

    vendor: str
    id: str
    name: str
    media_type: str
    data: bytes = field(repr=False)
    account: str = field(default="", repr=False)
    purpose: str = ""
    created_at: float = field(default_factory=time.time)
    expires_at: float | None = None
    looks: int = 0
    fails: bool = False
    made: bool = False

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and time.time() >= self.expires_at

    @property
    def uri(self) -> str:
        """What a message to Gemini names it by."""
        return f"https://generativelanguage.googleapis.com/v1beta/files/{self.id}"


class Cabinet:
    """The files of all accounts.

    Attributes:
        kept: those that are there.
        looks: how often Gemini is to say of a new file that it is still reading it in.
        fails: whether it is to say in the end that it cannot read it.
        lifetime: seconds after which a new file is dropped; `None` is the vendor's own way.
    """

    def __init__(self) -> None:
        self.kept: list[StoredFile] = []
        self.looks = 0
        self.fails = False
        self.lifetime: float | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._begun: dict[str, tuple[StoredFile, bytearray]] = {}

    def answer(self, request: RecordedRequest, vendor: str, place: Place) -> Reply | Problem | None:
        """What is said at a place of files, `None` where nothing is there."""
        account, action = account_of(request), place.action
        if vendor not in _VENDORS or not action:
            return None
        id = unquote(place.id)
        with self._lock:
            if action in ("begin", "create"):
                if vendor != "gemini":
                    return self._given(request, vendor) if action == "create" else None
                if not request.path.startswith("/upload/"):
                    return None
                return self._begin(request) if action == "begin" else self._piece(request)
            if action == "list":
                mine = [it for it in self.kept if (it.vendor, it.account) == (vendor, account)]
                return json_reply(_listed(vendor, mine, request.query))
            file = self._find(vendor, account, id)
            if file is None:
                return missing_file(vendor, id)
            if action == "download":
                return _content(file)
            if action == "delete":
                self.kept.remove(file)
                return json_reply(_deleted(file))
            said = _said(file)
            file.looks = max(0, file.looks - 1)
            return json_reply(said)

    def find(self, vendor: str, account: str, id: str) -> StoredFile | None:
        """A file of that account, `None` where none is there."""
        with self._lock:
            return self._find(vendor, account, id)

    def write(self, vendor: str, account: str, id: str, name: str, data: bytes) -> None:
        """Keep what the vendor itself has made."""
        kind, purpose = "application/jsonl", "batch_output" if vendor == "openai" else ""
        with self._lock:
            file = StoredFile(vendor, id, name, kind, data, account, purpose, made=True)
            file.expires_at = time.time() + _LIFETIME if vendor == "gemini" else None
            self.kept.append(file)

    def refusal(self, format: Format, request: RecordedRequest) -> Problem | None:
        """What the vendor says to a message that names a file that it does not have."""
        vendor = format.NAME.partition("-")[0]
        for id in _named(vendor, request.body):
            with self._lock:
                file = self._find(vendor, account_of(request), id.rpartition("/")[2])
            if file is None:
                return missing_file(vendor, id.rpartition("/")[2])
            if vendor == "gemini" and (file.looks or file.fails):
                return Problem(400, f"The File {file.id} is not in an ACTIVE state and usage is not allowed.")
        return None

    def drop(self, *ids: str) -> None:
        """Lose these files, or all."""
        with self._lock:
            self.kept = [it for it in self.kept if ids and it.id not in ids]

    def _find(self, vendor: str, account: str, id: str) -> StoredFile | None:
        mine = (it for it in self.kept if (it.vendor, it.account, it.id) == (vendor, account, id))
        return next((it for it in mine if not it.is_expired), None)

    def _id(self, before: str) -> str:
        return f"{before}practice{next(self._numbers):06d}"

    def _given(self, request: RecordedRequest, vendor: str) -> Reply | Problem:
        fields = {name: (filename, kind, data) for name, filename, kind, data in _multipart(request)}
        if "file" not in fields or fields["file"][0] is None:
            return Problem(400, "file: Field required" if vendor == "anthropic" else "'file' is a required property")
        name, kind, data = fields["file"]
        purpose = fields.get("purpose", ("", "", b""))[2].decode(errors="replace")
        if vendor == "anthropic" and not _NAME.fullmatch(name or ""):
            return Problem(400, "Invalid filename")
        if vendor == "openai" and purpose not in _PURPOSES:
            return Problem(400, f"'{purpose}' is not one of {list(_PURPOSES)} - 'purpose'", param="purpose")
        before = "file_" if vendor == "anthropic" else "file-"
        file = StoredFile(vendor, self._id(before), name or "", kind, data, account_of(request), purpose)
        file.expires_at = None if self.lifetime is None else time.time() + self.lifetime
        self.kept.append(file)
        return json_reply(_said(file))

    def _begin(self, request: RecordedRequest) -> Reply | Problem:
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or headers.get("x-goog-upload-command") != "start":
            return Problem(400, "Upload protocol must be resumable, and the first command start.")
        said = table(request.body, "file")
        # Google takes either spelling of a field.
        kind = headers.get("x-goog-upload-header-content-type") or str(said.get("mimeType") or "")
        name = str(said.get("displayName") or said.get("display_name") or "")
        file = StoredFile("gemini", self._id(""), name, kind, b"", account_of(request))
        session = hashlib.sha256(file.id.encode()).hexdigest()
        self._begun[session] = file, bytearray()
        place = f"http://{headers.get('host')}{request.path}?upload_id={session}&upload_protocol=resumable"
        return json_reply({}, {"x-goog-upload-url": place, "x-goog-upload-status": "active"})

    def _piece(self, request: RecordedRequest) -> Reply | Problem:
        file, data = self._begun.get(request.query["upload_id"], (None, bytearray()))
        commands = [it.strip() for it in request.headers.get("x-goog-upload-command", "").split(",")]
        if file is None:
            return Problem(404, "Upload session not found.")
        if request.headers.get("x-goog-upload-offset") != str(len(data)):
            return Problem(400, f"Upload offset is not {len(data)}.")
        data += request.raw
        if "finalize" not in commands:
            return json_reply({}, {"x-goog-upload-status": "active"})
        del self._begun[request.query["upload_id"]]
        file.data = bytes(data)
        file.expires_at = time.time() + (_LIFETIME if self.lifetime is None else self.lifetime)
        file.looks, file.fails = self.looks, self.fails
        self.kept.append(file)
        return json_reply({"file": _said(file)}, {"x-goog-upload-status": "final"})


def account_of(request: RecordedRequest) -> str:
    """Whose key it was asked with."""
    headers = request.headers
    named = (headers.get(name) for name in ("x-api-key", "x-goog-api-key", "authorization"))
    return next(filter(None, named), request.query.get("key", ""))


def _multipart(request: RecordedRequest) -> Iterator[tuple[str, str | None, str, bytes]]:
    """The fields of a form: name, file's name, type and content."""
    head = Message()
    head["content-type"] = request.headers.get("content-type", "")
    boundary = head.get_param("boundary")
    if not isinstance(boundary, str):
        return
    for piece in request.raw.split(b"--" + boundary.encode())[1:-1]:
        lines, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        said = Message()
        for line in lines.decode(errors="replace").split("\r\n"):
            name, _, value = line.partition(":")
            said[name] = value.strip()
        field, filename = said.get_param("name", header="content-disposition"), said.get_filename()
        kind = said.get("content-type") or "application/octet-stream"
        yield str(field), filename, kind, content.removesuffix(b"\r\n")


def moment(seconds: float | None) -> str | None:
    """As Anthropic and Google write a time, `None` for never."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _said(file: StoredFile) -> dict[str, Any]:
    """What the vendor says of a file."""
    if file.vendor == "anthropic":
        return {
            "id": file.id,
            "type": "file",
            "filename": file.name,
            "mime_type": file.media_type,
            "size_bytes": len(file.data),
            "created_at": moment(file.created_at),
            "downloadable": False,
            "expires_at": moment(file.expires_at),
        }
    if file.vendor == "openai":
        said = {"id": file.id, "object": "file", "bytes": len(file.data), "created_at": int(file.created_at)}
        said |= {"filename": file.name, "purpose": file.purpose, "status": "processed"}
        return said if file.expires_at is None else said | {"expires_at": int(file.expires_at)}
    state = "PROCESSING" if file.looks else "FAILED" if file.fails else "ACTIVE"
    said = {
        "name": f"files/{file.id}",
        "displayName": file.name,
        "mimeType": file.media_type,
        "sizeBytes": str(len(file.data)),
        "createTime": moment(file.created_at),
        "updateTime": moment(file.created_at),
        "expirationTime": moment(file.expires_at),
        "sha256Hash": b64encode(hashlib.sha256(file.data).hexdigest().encode()).decode(),
        "uri": file.uri,
        "state": state,
        "source": "GENERATED" if file.made else "UPLOADED",
    }
    return said | ({"error": {"code": 3, "message": "The file cannot be read."}} if state == "FAILED" else {})


def _content(file: StoredFile) -> Reply | Problem:
    """What is in a file. Gemini and Anthropic give out no more than what they have made themselves."""
    if file.vendor != "openai" and not file.made:
        said = f"File {file.id} is not downloadable." if file.vendor == "anthropic" else "The file is not downloadable."
        return Problem(400, said)
    return Reply(body=file.data, content_type="application/octet-stream")


def _listed(vendor: str, files: list[StoredFile], query: dict[str, str]) -> dict[str, Any]:
    """A page of them. OpenAI and Gemini say how many it may have; Anthropic's has all."""
    if vendor == "anthropic":
        all = [_said(it) for it in files]
        return {"data": all, "has_more": False, "next_page": None, "first_id": None, "last_id": None}
    if query.get("purpose"):
        files = [it for it in files if it.purpose == query["purpose"]]
    if query.get("order", "desc") == "desc":
        files = files[::-1]
    size, cursor = ("pageSize", "pageToken") if vendor == "gemini" else ("limit", "after")
    count = int(query[size]) if query.get(size, "").isdecimal() else 10 if vendor == "gemini" else 10_000
    ids = [it.id for it in files]
    begin = ids.index(query[cursor]) + 1 if query.get(cursor) in ids else 0
    some, more = files[begin : begin + count], len(files) > begin + count
    if vendor == "gemini":
        return {"files": [_said(it) for it in some], **({"nextPageToken": some[-1].id} if some and more else {})}
    return {"object": "list", "data": [_said(it) for it in some], "has_more": more}


def _deleted(file: StoredFile) -> dict[str, Any]:
    if file.vendor == "anthropic":
        return {"id": file.id, "type": "file_deleted"}
    return {"id": file.id, "object": "file", "deleted": True} if file.vendor == "openai" else {}


def missing_file(vendor: str, id: str) -> Problem:
    """Who has no file of that id, or not for this account."""
    if vendor == "anthropic":
        return Problem(404, f"File not found: {id}", type="not_found_error")
    if vendor == "openai":
        return Problem(404, f"No such File object: {id}", type="invalid_request_error", param="id")
    return Problem(403, f"You do not have permission to access the File {id} or it may not exist.")


def _named(vendor: str, body: Any) -> Iterator[str]:
    """The ids of files that a request's messages name."""
    turns = body if isinstance(body, dict) else {}
    content = "parts" if vendor == "gemini" else "content"
    for key in ("messages", "input", "contents"):
        for _, turn in rows(turns.get(key)):
            for _, part in rows(turn.get(content)):
                yield from _of_part(vendor, part)


def _of_part(vendor: str, part: dict[str, Any]) -> Iterator[str]:
    ids: list[Any]
    if vendor == "gemini":
        uri = table(part, "fileData").get("fileUri")
        # Other addresses, as those of videos, are fetched.
        ids = [uri] if isinstance(uri, str) and "googleapis.com/" in uri and "/files/" in uri else []
    elif vendor == "anthropic":
        source = table(part, "source")
        ids = [source.get("file_id")] if source.get("type") == "file" else []
        for _, inner in rows(part.get("content")):
            yield from _of_part(vendor, inner)
    else:
        ids = [part.get("file_id"), table(part, "file").get("file_id")]
    yield from (id for id in ids if isinstance(id, str) and id)
