"""The files of a service: registered, listed, forgotten."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from ..exceptions import InvalidRequestError, LLMRingError, ProviderError
from ..misuse import awaited
from ..parts import titled
from ..private import state_folder
from ..providers import uploading
from ..providers.base import Provider
from .contents import read
from .handles import FileHandle, Forgotten, RegisteredFile, Upload, id_of
from .sending import Placing, Uploads
from .store import Entry, Store

__all__ = ["Files"]

_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")


class Files:
    """`service.files`: files that are given to a vendor once.

    What is known of them and of their copies is kept by provider, address and account, so that nothing of one goes to
    another; from one run to the next, too, in the user's own state folder, unless `register(..., keep=False)`.

    Args:
        lend: gives a provider of that name, for as long as something is asked of it.
        timeout: the service's.
    """

    def __init__(self, lend: Callable[[str], AbstractAsyncContextManager[Provider]], timeout: float | None) -> None:
        self._lend = lend
        self._timeout = timeout
        self._here = Store(None)
        self._kept = Store(state_folder() / "files" / "known.json")
        self._uploads = Uploads(self._here, self._kept)

    def placing(self) -> Placing:
        """What puts the files of one call in place."""
        return Placing(self._uploads)

    @awaited
    async def register(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        media_type: str | None = None,
        keep: bool = True,
    ) -> FileHandle:
        """A handle of a file, to be put into messages as a part. The file is read, and nobody is asked anything.

        It is uploaded when a request that holds the handle first needs it, once for each provider; and again when it
        holds something else than before, or the vendor has dropped it. The same file has the same handle, in a later
        run, too.

        Args:
            source: a path, or the bytes themselves, which this process alone has.
            name: for the model; a path brings its own, bytes need one.
            media_type: as in `"application/pdf"`; not given: found from the first bytes, else the name.
            keep: remember it, and its copies at vendors, for later runs. `False`: for this service alone.

        Raises:
            InvalidRequestError: it cannot be read, is empty, or of a type that cannot be told.
        """
        path: Path | None = None
        if isinstance(source, bytes):
            if not name:
                raise InvalidRequestError('Bytes have no name; say one: register(data, name="report.pdf").')
        elif isinstance(source, str | os.PathLike) and os.fspath(source):
            path = _absolute(source)
        else:
            raise InvalidRequestError(f"{type(source).__name__} is no file; give a path, or bytes and their name.")
        called = name or titled(path or Path())
        if media_type is not None and not _TYPE.fullmatch(media_type):
            raise InvalidRequestError(f'{media_type!r} is no media type; write it as in "application/pdf".')

        def look() -> Entry:
            content = read(source if isinstance(source, bytes) else path or Path(), called, media_type)
            data = source if isinstance(source, bytes) else None
            entry = Entry(
                secrets.token_hex(16), called, content, None if path is None else os.fspath(path), media_type, data
            )
            return (self._kept if keep else self._here).put(entry)

        return (await asyncio.to_thread(look)).handle

    @awaited
    async def list(self) -> list[RegisteredFile]:
        """The files that are registered, with their copies at vendors as far as they are known. Nobody is asked.

        Those too that were registered by this user's other programs and earlier runs, unless with `keep=False`.
        """

        def look() -> list[RegisteredFile]:
            return [
                RegisteredFile(
                    entry.handle, Path(entry.path) if entry.path is not None else None, tuple(_uploads(store, entry))
                )
                for store in (self._here, self._kept)
                for entry in store.entries()
            ]

        return await asyncio.to_thread(look)

    @awaited
    async def forget(self, handle: FileHandle | dict[str, Any] | str) -> Forgotten:
        """Delete a file's copies at the vendors, and know the file no more. The file itself stays as it is.

        Args:
            handle: that `register` gave, a part of a message, or its id.

        Returns:
            What was deleted, and what could not be: that stays listed, and its handle stays good.

        Raises:
            InvalidRequestError: no file of that handle is registered.
        """
        id = id_of(handle)
        for store in (self._here, self._kept):
            entry = await asyncio.to_thread(store.find, id, None)
            if entry is not None:
                return await self._forget(store, entry)
        raise InvalidRequestError(f"No file of the handle {id} is registered.")

    async def _forget(self, store: Store, entry: Entry) -> Forgotten:
        deleted: list[Upload] = []
        failed: list[tuple[Upload, LLMRingError]] = []
        while True:
            for upload in await asyncio.to_thread(_uploads, store, entry):
                try:
                    await self._delete(store, upload)
                except LLMRingError as error:
                    failed.append((upload, error))
                else:
                    deleted.append(upload)
                    await asyncio.to_thread(store.remove, upload)
            is_dropped = not failed and await asyncio.to_thread(store.drop, entry.id)
            if failed or is_dropped:
                return Forgotten(tuple(deleted), tuple(failed))
            # Another one was made meanwhile.
            now: Entry | None = await asyncio.to_thread(store.find, entry.id, None)
            entry = now or entry

    async def _delete(self, store: Store, upload: Upload) -> None:
        async with self._lend(upload.provider) as provider:
            endpoint = uploading.endpoint_of(provider)
            account = await asyncio.to_thread(store.account, lambda digest: uploading.account_of(provider, digest))
            if endpoint is None or provider.issuer != upload.issuer or account != upload.account:
                raise ProviderError(
                    f"The file {upload.id} was uploaded to {upload.issuer} with another key or address than "
                    f"{upload.provider} has now. Delete it there, or with that key.",
                    provider=upload.provider,
                )
            await uploading.delete(provider, endpoint, upload.id, self._timeout)


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(os.fsdecode(path))))


def _uploads(store: Store, entry: Entry) -> list[Upload]:
    return store.uploads(entry.content.sha256, *entry.earlier)
