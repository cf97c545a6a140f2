"""The way of a registered file into a request: uploaded to who is asked, once, or within the request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ..exceptions import InvalidRequestError, LLMRingError, ProviderError
from ..providers import uploading
from ..wire.media import is_text_type, registered
from .contents import inline_part, opened, read, state_of, to_send
from .handles import Upload

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..answer import Call
    from ..providers.base import Provider
    from ..schemas import LLMRequest, Message
    from .store import Entry, Store

__all__ = ["Placing", "Uploads", "current", "names_some"]

logger = logging.getLogger("llmring")

_TIDYING = 5.0
"""Seconds for taking back a copy that is of no use."""


def names_some(request: LLMRequest) -> bool:
    """Whether a request names a registered file."""
    return any(True for message in request.messages for _ in _named(message))


def _named(message: Message) -> list[Mapping[str, Any]]:
    if not isinstance(message.content, list):
        return []
    return [file for part in message.content if (file := registered(part)) is not None]


class _Found(NamedTuple):
    """A file as it is now, and its copy, if there is one.

    Attributes:
        store, entry: where it is known, and what of it.
        media_type: that it is sent as.
        account: whose copies count.
        upload: the copy; `None` if it has to be made.
    """

    store: Store
    entry: Entry
    media_type: str
    account: str = ""
    upload: Upload | None = None


class _Flight:
    """An upload under way, for all who wait for it in one event loop. When nobody does any more, it ends.

    Attributes:
        is_ending: whether it does, and nobody may begin to wait for it.
    """

    def __init__(self, task: asyncio.Task[Upload]) -> None:
        self.is_ending = False
        self._task = task
        self._waiting = 0

    async def wait(self) -> Upload:
        self._waiting += 1
        try:
            # Unlike a shield, it says nothing of a failure that nobody waits for any more.
            await asyncio.wait([self._task])
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self.is_ending = True
                self._task.cancel()
                await asyncio.wait([self._task])
        if self._task.cancelled():
            raise LLMRingError("The upload of a file was ended under way.")
        return self._task.result()


class Uploads:
    """The uploads of one service.

    Args:
        stores: where files and copies are known.
    """

    def __init__(self, *stores: Store) -> None:
        self.stores = stores
        self._flights: dict[tuple[Any, ...], _Flight] = {}
        self._without: set[str] = set()

    def endpoint(self, provider: Provider) -> uploading.FilesEndpoint | None:
        """Where a provider takes files; `None` where they go within the request."""
        return None if provider.issuer in self._without else uploading.endpoint_of(provider)

    def has_none(self, provider: Provider) -> None:
        """A provider has no place for files, as it turned out."""
        if provider.issuer not in self._without:
            self._without.add(provider.issuer)
            logger.info("%s has no place for files: they go within each request", provider.name)

    async def copy(self, found: _Found, provider: Provider, endpoint: uploading.FilesEndpoint, call: Call) -> Upload:
        """The copy of a file that a provider has, made if there is none.

        Raises:
            NoFilesThere: it has no place for files.
            ProviderError: it did not take it.
            InvalidRequestError: the file cannot be read.
        """
        key = (
            asyncio.get_running_loop(),
            *(provider.issuer, found.account, found.entry.content.sha256, found.media_type),
        )
        flight = self._flights.get(key)
        if flight is None or flight.is_ending:
            task = asyncio.create_task(self._make(found, provider, endpoint, call.timeout))
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(partial(self._landed, key, flight))
        try:
            return await flight.wait()
        except (LLMRingError, uploading.NoFilesThere) as error:
            # Each of those who waited has its own, to write on.
            raise copy(error) from None
        except Exception as error:
            raise uploading.failed(provider, call, found.entry.name, error) from None

    def _landed(self, key: tuple[Any, ...], flight: _Flight, task: asyncio.Task[Upload]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        # Those who wait are told; where nobody does any more, nobody is to be.
        if not task.cancelled():
            task.exception()

    async def _make(
        self, found: _Found, provider: Provider, endpoint: uploading.FilesEndpoint, timeout: float | None
    ) -> Upload:
        store, entry = found.store, found.entry
        content = entry.content

        def known() -> Upload | None:
            return store.upload(provider.issuer, found.account, content.sha256, found.media_type, again=True)

        if (upload := await asyncio.to_thread(known)) is not None:
            return upload
        began = time()
        with await asyncio.to_thread(_opened, entry) as file:
            sent = await asyncio.to_thread(to_send, file, content, entry.name)
            stored = await uploading.upload(provider, endpoint, sent, entry.name, found.media_type, timeout)
            changed = entry.path is not None and not state_of(file).is_like(content.state)
        if changed:
            await _take_back(provider, endpoint, stored, entry)
            raise _changed(entry)
        upload = Upload(
            provider.name,
            provider.issuer,
            found.account,
            content.sha256,
            found.media_type,
            stored.id,
            stored.reference,
            began,
            stored.expires_at,
        )
        kept = await asyncio.to_thread(store.add, upload)
        if kept is not upload:
            await _take_back(provider, endpoint, stored, entry)
        if kept is None:
            raise InvalidRequestError(f"The file {entry.name} was forgotten while it was being sent.")
        logger.info("Uploaded %s to %s: %s", entry.name, provider.name, kept.id)
        return kept


async def _take_back(
    provider: Provider, endpoint: uploading.FilesEndpoint, stored: uploading.Stored, entry: Entry
) -> None:
    """Have a copy deleted that nobody will name."""
    try:
        await uploading.delete(provider, endpoint, stored.id, _TIDYING)
    except ProviderError as error:
        logger.warning("A copy of %s that is of no use stays with %s: %s", entry.name, provider.name, error)


class Placing:
    """Puts the registered files of one call in place: by their ids where its provider takes files, else whole.

    Args:
        uploads: of the service.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._placed: list[tuple[uploading.FilesEndpoint, Store, Upload]] = []
        self._gone: list[tuple[Store, Upload]] = []
        self._renewed = False

    async def placed(self, provider: Provider, call: Call) -> Call:
        """The call with its files in place. What is not there yet is uploaded, which takes nothing of the call's time.

        Raises:
            InvalidRequestError: a file is not known, or cannot be read.
            ProviderError: the provider did not take one.
        """
        gone, self._gone = self._gone, []
        for store, upload in gone:
            await asyncio.to_thread(store.remove, upload)
        self._placed.clear()
        began = asyncio.get_running_loop().time()
        parts = await _all({file["handle"]: self._part(file, provider, call) for file in _files_of(call)})
        until = call.until
        if until is not None:
            # What the files took is not the answer's.
            until += asyncio.get_running_loop().time() - began
        return replace(call, request=_with(call.request, parts), files=None, until=until)

    def were_gone(self, error: ProviderError) -> bool:
        """Whether the provider has dropped a file, by what it says; then `placed` uploads it again, once."""
        if self._renewed:
            return False
        words = f"{error} {error.original or ''}"
        self._gone = [
            (store, upload)
            for endpoint, store, upload in self._placed
            if endpoint.lacks(upload.reference, error.status_code, words)
        ]
        self._renewed = bool(self._gone)
        for _, upload in self._gone:
            logger.info("%s has dropped the file %s; it is uploaded again", upload.provider, upload.id)
        return self._renewed

    async def inlined(self, call: Call) -> Call:
        """The call with its files within it.

        Raises:
            InvalidRequestError: a file is not known, or cannot be read.
        """
        stores = self._uploads.stores

        async def part(file: Mapping[str, Any]) -> dict[str, Any]:
            _, entry = await asyncio.to_thread(current, stores, file)
            return await asyncio.to_thread(_inline, entry, file.get("detail"))

        parts = await _all({file["handle"]: part(file) for file in _files_of(call)})
        return replace(call, request=_with(call.request, parts), files=None)

    async def _part(self, file: Mapping[str, Any], provider: Provider, call: Call) -> dict[str, Any]:
        endpoint = self._uploads.endpoint(provider)
        found = await asyncio.to_thread(_found, self._uploads.stores, file, provider, endpoint)
        name, detail = found.entry.name, file.get("detail")
        if endpoint is not None and endpoint.takes(found.entry.content.media_type):
            try:
                upload = found.upload or await self._uploads.copy(found, provider, endpoint, call)
            except uploading.NoFilesThere:
                self._uploads.has_none(provider)
            else:
                self._placed.append((endpoint, found.store, upload))
                said = {"file_id": upload.reference, "filename": name, "media_type": upload.media_type}
                return {"type": "file", "file": said | ({"detail": detail} if detail else {})}
        return await asyncio.to_thread(_inline, found.entry, detail)


def current(stores: tuple[Store, ...], file: Mapping[str, Any]) -> tuple[Store, Entry]:
    """A registered file as it is now. It blocks.

    Args:
        stores: where it may be known.
        file: what a part says of it.

    Raises:
        InvalidRequestError: nobody knows it, or what it holds now cannot be sent.
    """
    for store in stores:
        entry = store.find(file["handle"], file.get("sha256"))
        if entry is None:
            continue
        if entry.path is not None:
            path = Path(entry.path)
            try:
                with opened(path) as it:
                    unchanged = state_of(it) == entry.content.state
            except InvalidRequestError:
                # A copy may be where it is needed.
                return store, entry
            if not unchanged:
                entry = store.holds(entry, read(path, entry.name, entry.media_type))
        return store, entry
    raise InvalidRequestError(
        f"A message names the file {file.get('filename') or file['handle']}, which this service does not know. "
        "Register it: await service.files.register(path)"
    )


def _found(
    stores: tuple[Store, ...],
    file: Mapping[str, Any],
    provider: Provider,
    endpoint: uploading.FilesEndpoint | None,
) -> _Found:
    store, entry = current(stores, file)
    content = entry.content
    media_type = content.media_type
    if endpoint is None or not endpoint.takes(media_type):
        return _Found(store, entry, media_type)
    if endpoint.text_as is not None and is_text_type(media_type):
        media_type = endpoint.text_as
    account = store.account(lambda digest: uploading.account_of(provider, digest))
    upload = store.upload(provider.issuer, account, content.sha256, media_type)
    return _Found(store, entry, media_type, account, upload)


def _opened(entry: Entry) -> AbstractContextManager[BinaryIO]:
    """What a file holds, to be read.

    Raises:
        InvalidRequestError: it cannot be read, or is another by now.
    """
    if entry.path is None:
        if entry.data is None:
            raise InvalidRequestError(
                f"The bytes of {entry.name} were registered by an earlier run, and are nowhere to be read. Register "
                "them again: await service.files.register(data, name=...)"
            )
        return BytesIO(entry.data)
    file = opened(Path(entry.path))
    if not state_of(file).is_like(entry.content.state):
        file.close()
        raise _changed(entry)
    return file


def _changed(entry: Entry) -> InvalidRequestError:
    return InvalidRequestError(f"The file {entry.path} was changed while it was being sent. Ask again.")


def _inline(entry: Entry, detail: str | None) -> dict[str, Any]:
    with _opened(entry) as file:
        return inline_part(file.read(), entry.name, entry.content.media_type, detail)


def _files_of(call: Call) -> list[Mapping[str, Any]]:
    """What the parts of a call say of files, each file once."""
    return [*{file["handle"]: file for message in call.request.messages for file in _named(message)}.values()]


def _with(request: LLMRequest, parts: Mapping[str, dict[str, Any]]) -> LLMRequest:
    """The request, with these parts in the place of handles, and with what else stood beside those."""

    def put(part: dict[str, Any]) -> dict[str, Any]:
        file = registered(part)
        return part if file is None else {**{k: v for k, v in part.items() if k != "file"}, **parts[file["handle"]]}

    messages = [
        message.model_copy(update={"content": [put(part) for part in message.content]})
        if isinstance(message.content, list) and _named(message)
        else message
        for message in request.messages
    ]
    return request.model_copy(update={"messages": messages})


async def _all(work: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each gives; where one fails, the others are ended."""
    if len(work) == 1:
        return {name: await it for name, it in work.items()}
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(it) for name, it in work.items()}
    except BaseExceptionGroup as group_of:
        raise group_of.exceptions[0] from None
    return {name: task.result() for name, task in tasks.items()}
