"""The files of a service for code that awaits nothing. All work is done by the asynchronous ones."""

from __future__ import annotations

import os
from typing import Any

from .. import files
from .loop import BACKGROUND

__all__ = ["Files"]


class Files:
    """`service.files`: files that are given to a vendor once; see `llmring.files.Files`.

    Args:
        made: the asynchronous ones.
    """

    def __init__(self, made: files.Files) -> None:
        self._files = made

    def register(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        media_type: str | None = None,
        keep: bool = True,
    ) -> files.FileHandle:
        """A handle of a file, to be put into messages as a part; see `llmring.files.Files.register`."""
        return BACKGROUND.run(lambda: self._files.register(source, name=name, media_type=media_type, keep=keep))

    def list(self) -> list[files.RegisteredFile]:
        """The files that are registered, with their copies at vendors as far as they are known. Nobody is asked."""
        return BACKGROUND.run(self._files.list)

    def forget(self, handle: files.FileHandle | dict[str, Any] | str) -> files.Forgotten:
        """Delete a file's copies at the vendors, and know the file no more; see `llmring.files.Files.forget`."""
        return BACKGROUND.run(lambda: self._files.forget(handle))
