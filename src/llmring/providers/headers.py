"""The headers that a lockfile and the environment add to each request, with their secrets found."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from string import Template
from urllib.parse import unquote

from ..credentials import Key, first_set
from ..exceptions import ProviderNotFoundError

__all__ = ["asking_for", "expanded", "variables_in"]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def expanded(
    provider: str, headers: Mapping[str, str], variable: str | None, login: str | None
) -> tuple[dict[str, Key], tuple[Key, ...]]:
    """The headers to send, with `$NAME` and `${NAME}` replaced from the environment; and what is secret of them.

    Args:
        provider: whose, for messages.
        headers: as the lockfile has them.
        variable: the environment variable whose headers the SDK sends by itself.
        login: the name and password that stood in the address.

    Raises:
        ProviderNotFoundError: a variable is not set, a `$` is followed by no name, or a header cannot be sent.
    """
    sent: dict[str, Key] = {}
    secrets: list[str] = []
    for header, written in headers.items():
        value = _expand(provider, header, written)
        sent[header] = Key(value)
        _check(provider, header, value, f"[providers.{provider}.headers]")
        if "$" in written:
            secrets += [value, *filter(None, map(os.environ.get, variables_in(written)))]
    for header, value in _headers_in(variable).items():
        _check(provider, header, value, variable)
        secrets.append(value)
    if login is not None and not any(header.lower() == "authorization" for header in sent):
        user, _, password = login.partition(":")
        token = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        sent["Authorization"] = Key(f"Basic {token}")
        secrets += [login, token, password, unquote(password)]
    return sent, tuple(map(Key, secrets))


def _check(provider: str, header: str, value: str, where: str | None) -> None:
    if not _NAME.fullmatch(header) or not _sendable(value):
        raise ProviderNotFoundError(
            f"The header {header!a} in {where} cannot be sent. Names take letters, digits and hyphens, values "
            "printable ASCII: write it anew.",
            provider=provider,
        )


def _expand(provider: str, header: str, written: str) -> str:
    where = f"[providers.{provider}.headers] {header}"
    values = {name: first_set([name]) for name in variables_in(written)}
    for name, value in values.items():
        if value is None:
            raise ProviderNotFoundError(f"{where} needs {name}. {asking_for([name])}.", provider=provider)
        if not _sendable(value):
            raise ProviderNotFoundError(
                f"{name}, for {where}, holds a character that cannot be sent. Copy it anew.", provider=provider
            )
    try:
        return Template(written).substitute(values)
    except ValueError:
        raise ProviderNotFoundError(
            f"{where} has a $ with no name after it. Write $NAME, ${{NAME}}, or $$ for a $.", provider=provider
        ) from None


def _headers_in(variable: str | None) -> dict[str, str]:
    """The headers that an environment variable holds, as the SDKs read it."""
    lines = [line.partition(":") for line in os.environ.get(variable or "", "").split("\n")]
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def _sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()


def variables_in(value: str) -> list[str]:
    """The environment variables that the value of a header names."""
    return Template(value).get_identifiers()


def asking_for(variables: Iterable[str]) -> str:
    """The step where one of these environment variables is to be set."""
    return f"Set {' or '.join(variables)} in the environment"
