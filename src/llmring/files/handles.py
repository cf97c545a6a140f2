"""What a program has of a registered file, and what is known of its copies at vendors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

from ..exceptions import InvalidRequestError, LLMRingError

__all__ = ["FileHandle", "Forgotten", "RegisteredFile", "Upload", "id_of"]

_SOON = 60.0
"""Seconds before its end in which a copy is used no more: the request has to get there."""


class FileHandle(dict[str, Any]):
    """A registered file, as a part of a message: `Message(role="user", content=[text("Sum it up."), handle])`.

    It is a plain table, `{"type": "file", "file": {"handle", "sha256", "filename", "media_type", "size"}}`, that JSON
    can hold. It names no path, so that nobody who is sent one has a file of yours read.
    """

    @property
    def id(self) -> str:
        """What the service knows it by."""
        return str(self["file"]["handle"])

    @property
    def sha256(self) -> str:
        """The digest of what it held when it was registered, in hexadecimal."""
        return str(self["file"]["sha256"])

    @property
    def name(self) -> str:
        """Its name, which models are told."""
        return str(self["file"]["filename"])

    @property
    def media_type(self) -> str:
        """Its type, as in `"application/pdf"`."""
        return str(self["file"]["media_type"])

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self["file"]["size"])


@dataclass(frozen=True, slots=True)
class Upload:
    """A copy of a file at a vendor.

    Attributes:
        provider: who was given it, as in `provider:model`.
        issuer: the provider and its address.
        account: a digest of the key that it was uploaded with.
        sha256: of its content.
        media_type: that it was sent as.
        id: the vendor's, by which it is deleted.
        reference: what messages name it by.
        uploaded_at, expires_at: seconds since 1970; the latter is `None` where the vendor keeps it until it is deleted.
    """

    provider: str
    issuer: str
    account: str = field(repr=False)
    sha256: str
    media_type: str
    id: str
    reference: str
    uploaded_at: float
    expires_at: float | None = None

    @property
    def expires(self) -> datetime | None:
        """When the vendor drops it; `None` for never."""
        return None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)

    @property
    def is_over(self) -> bool:
        """Whether the vendor has dropped it by now, or is about to."""
        return self.expires_at is not None and time() > self.expires_at - _SOON


@dataclass(frozen=True, slots=True)
class RegisteredFile:
    """A registered file, and its copies at vendors.

    Attributes:
        handle: the part that names it in messages.
        path: where it is; `None` for bytes.
        uploads: its copies, of earlier contents, too.
    """

    handle: FileHandle
    path: Path | None
    uploads: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What came of forgetting a file.

    Attributes:
        deleted: copies that are no longer at their vendors.
        failed: those that may still be there, each with why. They stay listed: forget the file once more.
    """

    deleted: tuple[Upload, ...] = ()
    failed: tuple[tuple[Upload, LLMRingError], ...] = ()


def id_of(handle: Any) -> str:
    """The id of a handle: of one that `register` gave, of a part of a message, or itself.

    Raises:
        InvalidRequestError: it is none.
    """
    file = handle.get("file") if isinstance(handle, Mapping) else None
    id = file.get("handle") if isinstance(file, Mapping) else handle
    if not isinstance(id, str):
        raise InvalidRequestError(f"{type(handle).__name__} is no handle of a file; take one of files.register().")
    return id
