"""What a service does about files: its `files`, and how those of a request get into it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from . import files as filing
from .counted import Counted
from .providers import base

if TYPE_CHECKING:
    from . import schemas
    from .files.sending import Placing

__all__ = ["Filed"]


class Filed(Counted):
    """Its methods hand over to the package that knows files."""

    @property
    def files(self) -> filing.Files:
        """Files that are given to a vendor once: `handle = await service.files.register("report.pdf")`."""
        made: filing.Files | None = vars(self).get("_filing")
        # Threads that ask at the same time are given the same.
        return made or vars(self).setdefault("_filing", self._begin_filing())

    def _begin_filing(self) -> filing.Files:
        @asynccontextmanager
        async def lend(name: str) -> AsyncIterator[base.Provider]:
            lockfile = self._lockfile()
            self._vet(name, lockfile)
            async with self._lent(name, lockfile) as provider:
                yield provider

        return filing.Files(lend, self.timeout)

    def _files_of(self, request: schemas.LLMRequest) -> Placing | None:
        """What puts the registered files of a request in place; `None` where it has none."""
        for message in request.messages:
            if isinstance(message.content, list) and any("file" in part for part in message.content):
                return self.files.placing() if filing.names_some(request) else None
        return None
