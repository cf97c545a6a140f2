"""Files that a vendor keeps for its models: sent there once, named by an id from then on, and deleted.

Which vendors keep files, for which wires and of which types, and what the SDKs' methods for that are called, is the
`files` of `vendors.json`. They are called on the SDK's own client, as anyone would call them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from time import time
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from ..credentials import reveal
from ..exceptions import ProviderError, ProviderResponseError
from ..vendors import VENDORS, also_called, of_vendors
from . import errors
from .bounded import bounded
from .listing import failure_of, status_of
from .transport import AT_HOME

if TYPE_CHECKING:
    from .base import Call, Provider

__all__ = [
    "FilesEndpoint",
    "NoFilesThere",
    "Stored",
    "account_of",
    "delete",
    "either",
    "endpoint_of",
    "failed",
    "plain",
    "upload",
]

_NOTHING_THERE = (404, 405, 501)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks at a file that is being read in."""
_UNTAKEN = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
_LONGEST_NAME = 200
"""Characters. Anthropic takes no others in a file's name, and no more than 255 of them; it is for people alone."""
_TIDYING = 5.0
"""Seconds for taking back what turned out to be of no use."""
_PUBLIC = ("accept", "anthropic-version", "content-type", "user-agent", "x-stainless-")
"""How the headers begin that say nothing of whose account it is."""


class NoFilesThere(Exception):
    """Where a vendor keeps files, this address has nothing: what is to be sent goes within the request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that a vendor keeps.

    Attributes:
        id: by which it is deleted.
        reference: what a message names.
        expires_at: when the vendor drops it, in seconds since 1970; `None` for never.
    """

    id: str
    reference: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class FilesEndpoint:
    """How a vendor is given files, for one of its wires.

    Attributes:
        protocol: `"multipart"`, in one request, or `"resumable"`, piece by piece.
        upload, delete, get: the methods of the SDK's client.
        types: which it takes, each a type or the beginning of some (`"image/"`).
        gone: words that it says of a file that it does not have any more.
        options: further arguments of `upload`.
        text_as: the type that any plain text is sent as; `None` leaves it its own.
        lifetime: seconds that it keeps a file; `None` where it says so itself, or keeps it until it is deleted.
        elsewhere: another version of the API, where the SDK's own has nothing.
    """

    protocol: str
    upload: str
    delete: str
    types: tuple[str, ...]
    gone: tuple[str, ...]
    get: str | None = None
    options: Mapping[str, Any] | None = None
    text_as: str | None = None
    lifetime: int | None = None
    elsewhere: str | None = None

    def takes(self, media_type: str) -> bool:
        """Whether it takes files of a type."""
        return any(media_type == it or (it.endswith("/") and media_type.startswith(it)) for it in self.types)

    def lacks(self, id: str, status: int | None, words: str) -> bool:
        """Whether a refusal says that a file is not there any more.

        Args:
            id: the file's, or what a message names it by.
            status: of the refusal.
            words: all that it says.
        """
        said = words.lower()
        return (
            status is not None
            and 400 <= status < 500
            and id.rpartition("/")[2].lower() in said
            and any(it in said for it in self.gone)
        )


def endpoint_of(provider: Provider) -> FilesEndpoint | None:
    """Where a provider takes files; `None` where none is known, and they go within the request."""
    config = provider.config
    host = urlsplit(config.address or config.base_url or "").hostname or ""
    return _endpoint(getattr(provider, "wire", ""), config.name, host)


@cache
def _endpoint(wire: str, name: str, host: str) -> FilesEndpoint | None:
    vendor = also_called().get(name, name)
    for owner, row in of_vendors("files").items():
        takes = row["wires"].get(wire)
        if takes is None or not (VENDORS[owner].has_host(host) or (owner == vendor and not takes.get("at_home"))):
            continue
        return FilesEndpoint(
            row["protocol"],
            row["upload"],
            row["delete"],
            tuple(takes["types"]),
            tuple(row["gone"]),
            row.get("get"),
            row.get("options"),
            row.get("text_as"),
            row.get("lifetime"),
            row.get("elsewhere"),
        )
    return None


def account_of(provider: Provider, digest: Callable[[bytes], str]) -> str:
    """A digest of whose account a provider is asked with: its key, and the headers that choose one.

    Args:
        provider: who is asked.
        digest: of what must not be seen, with a salt of its own.
    """
    said = {**getattr(provider.client, "default_headers", {}), **provider.config.sent_headers}
    known = sorted(
        (name.lower(), value)
        for name, value in said.items()
        if isinstance(value, str) and not name.lower().startswith(_PUBLIC)
    )
    return digest(repr([reveal(provider.config.key), known]).encode(errors="surrogatepass"))


async def upload(
    provider: Provider,
    endpoint: FilesEndpoint,
    file: BinaryIO,
    name: str,
    media_type: str,
    timeout: float | None,
) -> Stored:
    """Give a vendor a file, and wait until it can be used. It is read as it is sent, and held in memory by nobody.

    Args:
        provider, endpoint: who is given it, and how.
        file: open for reading, at its beginning.
        name, media_type: what it is called, and of which type it is.
        timeout: seconds for each wait, and for a vendor that reads it in; `None` waits forever.

    Raises:
        NoFilesThere: the address has no place for files.
        Exception: what the SDK raises; `failed` makes an error of it.
    """
    try:
        async with bounded():
            if endpoint.protocol == "multipart":
                return await _multipart(provider, endpoint, file, name, media_type, timeout)
            return await _resumable(provider, endpoint, file, name, media_type, timeout)
    except Exception as error:
        if status_of(error) in _NOTHING_THERE:
            raise NoFilesThere from error
        raise


async def delete(provider: Provider, endpoint: FilesEndpoint, id: str, timeout: float | None) -> None:
    """Have a vendor delete a file; one that is gone already is.

    Raises:
        ProviderError: it could not be deleted.
    """
    try:
        async with asyncio.timeout(timeout), bounded():
            if endpoint.protocol == "multipart":
                await _method(_client(provider), endpoint.delete)(id)
            else:
                await either(provider, endpoint.elsewhere, endpoint.delete, timeout, name=id)
    except Exception as error:
        status = status_of(error)
        if status in (404, 410) or endpoint.lacks(id, status, str(error)):
            return
        failure = failure_of(provider, error, timeout, f"delete the file {id}", "answer to that")
    else:
        return
    raise failure


async def _multipart(
    provider: Provider, endpoint: FilesEndpoint, file: BinaryIO, name: str, media_type: str, timeout: float | None
) -> Stored:
    make = _method(_client(provider), endpoint.upload)
    called = _UNTAKEN.sub("_", name)[-_LONGEST_NAME:]
    before = AT_HOME.set(True)
    try:
        made = await make(file=(called, file, media_type), timeout=timeout, **endpoint.options or {})
    finally:
        AT_HOME.reset(before)
    return Stored(_id(made, "id"), made.id, _moment(getattr(made, "expires_at", None)))


async def _resumable(
    provider: Provider, endpoint: FilesEndpoint, file: BinaryIO, name: str, media_type: str, timeout: float | None
) -> Stored:
    said = {"mime_type": media_type, "display_name": name}
    made = await either(provider, endpoint.elsewhere, endpoint.upload, timeout, said, file=file)
    id = _id(made, "name")
    try:
        async with asyncio.timeout(timeout):
            pause = _FIRST_PAUSE
            while _state(made) == "PROCESSING":
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 1.5)
                made = await either(provider, endpoint.elsewhere, endpoint.get or "", timeout, name=id)
        if _state(made) == "FAILED":
            why = getattr(getattr(made, "error", None), "message", None) or "it does not say why"
            raise _Unreadable(f"{provider.name} cannot read the file {name}: {why}")
    except Exception:
        # Nobody will name it.
        with contextlib.suppress(Exception):
            await delete(provider, endpoint, id, _TIDYING)
        raise
    expires = _moment(getattr(made, "expiration_time", None))
    if expires is None and endpoint.lifetime:
        expires = time() + endpoint.lifetime
    return Stored(id, str(made.uri), expires)


class _Unreadable(Exception):
    """The vendor has the file, and can make nothing of it."""


async def either(
    provider: Provider,
    elsewhere: str | None,
    method: str,
    timeout: float | None,
    said: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """Call a method of google-genai's; where its version of the API has nothing, with the other one.

    Args:
        provider: whose.
        elsewhere: the other version.
        method: its path on the SDK's client.
        timeout: seconds for each wait.
        said, arguments: what its `config` has, and the rest.
    """
    ask = _method(provider.client, method)
    versions = [provider.config.api_version]
    if versions == [None] and elsewhere:
        versions.append(elsewhere)
    for version in versions:
        options: dict[str, Any] = {"retry_options": {"attempts": 1}}
        if timeout is not None:
            options["timeout"] = int(timeout * 1000)
        if version is not None:
            options["api_version"] = version
        try:
            return await ask(**arguments, config={**(said or {}), "http_options": options})
        except Exception as error:
            if version is versions[-1] or status_of(error) not in _NOTHING_THERE:
                raise
            if (file := arguments.get("file")) is not None and not isinstance(file, str):  # a name is of one there
                file.seek(0)
    raise AssertionError


def _client(provider: Provider) -> Any:
    """The SDK's client, without retries of its own: what is tried again is ours to say."""
    return provider.client.with_options(max_retries=0)


def _method(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


def _id(made: Any, field: str) -> str:
    id = getattr(made, field, None)
    if not isinstance(id, str) or not id:
        raise _Unreadable("it was answered with something that is no file")
    return id


def _state(made: Any) -> str:
    state = getattr(made, "state", None)
    return str(getattr(state, "value", state))


def _moment(said: Any) -> float | None:
    """Seconds since 1970, of what an SDK makes of a moment."""
    if isinstance(said, datetime):
        return said.timestamp()
    return float(said) if isinstance(said, int | float) else None


def failed(provider: Provider, call: Call, name: str, error: Exception) -> Exception:
    """The error to raise for what `upload` raised.

    Args:
        provider, call: who was given the file, and for which request.
        name: the file's.
        error: what was raised.
    """
    if isinstance(error, _Unreadable):
        raised: Exception = ProviderResponseError(
            f"The file {name} was not taken by {provider.name}: {error}.", provider=provider.name, model=call.model
        )
        return raised
    raised = provider.error(plain(error), call)
    if isinstance(raised, ProviderError):
        raised.args = (f"The file {name} could not be uploaded. {raised}",)
    return raised


def plain(error: Exception) -> Exception:
    """What an SDK raises of a refusal, as what was refused; anything else as it is."""
    response = getattr(error, "response", None)
    status = status_of(error)
    if status is None or status <= 0:
        return error
    body = getattr(response, "content", b"")
    refused = errors.Refused(status, getattr(response, "headers", {}), body if isinstance(body, bytes) else b"")
    refused.__cause__ = error
    return refused
