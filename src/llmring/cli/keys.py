"""`llmring keys`: the keys of providers in the system's keyring. None is ever shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, TypeVar

import typer

from ..credentials import SERVICE, Key, first_set, reveal
from ..exceptions import LLMRingError
from ..providers.creation import how_to_install, installed_version
from ..providers.endpoints import Endpoint, endpoint
from .project import argument, lockfile_if_any
from .status import KEYRING_WAITS, Status, keyring, statuses
from .terminal import note, say, say_json, say_table, warn, working

_T = TypeVar("_T")
_LONGEST = 64 * 1024
"""Characters of a key: what is longer is something else."""


def set_key(
    provider: Annotated[str, argument("PROVIDER", "Whose key it is, as in provider:model.", "providers")],
) -> None:
    """Put a provider's key into the system's keyring.

    It is asked for on a terminal, and not shown; else it is what comes by a pipe. A key never stands in the command,
    which others may see, and the shell remembers. The environment's key goes before that of the keyring.

    \b
    Example:
      llmring keys set anthropic
      pass show anthropic | llmring keys set anthropic
    """
    target = _endpoint(provider)
    _check_installed()
    key = _read_key(provider)
    if not key:
        raise LLMRingError("There was no key: nothing was changed.")
    if (wrong := key.wrong) is not None:
        raise LLMRingError(f"What was given holds {wrong}, so it cannot be sent as a key: nothing was changed.")
    _ask_keyring(lambda ring: ring.set_password(SERVICE, provider, reveal(key)))
    if _ask_keyring(lambda ring: ring.get_password(SERVICE, provider)) != reveal(key):
        raise LLMRingError("The system's keyring took the key, and has not kept it. Put it into the environment.")
    note(f"The keyring has the key of {provider} now.", dim=False)
    if (variable := next((it for it in target.key_variables if first_set([it])), None)) is not None:
        warn(f"{variable} is set, and goes before it. To use the keyring's: unset {variable}")


def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Providers without a key, too.")] = False,
) -> None:
    """Show where each provider's key comes from.

    That is an environment variable, or the system's keyring. The keys themselves are not shown.

    \b
    Example:
      llmring keys list
      llmring keys list --all --json
    """
    with working("Looking for keys"):
        keys = keyring()
        found = [it for it in statuses(lockfile_if_any(), keys, every=every) if every or it.key_source]
    if as_json:
        say_json([{"provider": it.name, **it.key_data()} for it in found])
    elif found:
        say_table([("PROVIDER", "KEY"), *((it.name, _said(it)) for it in found)])
    else:
        note("No key is set. To set one: llmring keys set PROVIDER", dim=False)
    if keys.waits:
        warn(KEYRING_WAITS)


def remove_key(
    provider: Annotated[str, argument("PROVIDER", "Whose key it is, as in provider:model.", "providers")],
) -> None:
    """Take a provider's key out of the system's keyring.

    \b
    Example:
      llmring keys remove anthropic
    """
    _check_installed()
    if _ask_keyring(lambda ring: ring.get_password(SERVICE, provider)) is None:
        _endpoint(provider)
        raise LLMRingError(f"The keyring has no key of {provider}: nothing was changed.")
    _ask_keyring(lambda ring: ring.delete_password(SERVICE, provider))
    note(f"The keyring has no key of {provider} any more.", dim=False)


def _said(one: Status) -> str:
    if one.key_said:
        return one.key_said
    return "none needed" if one.needs_key is False else f"not set: {', '.join(one.key_variables) or '-'}"


def _endpoint(provider: str) -> Endpoint:
    """What is known of a provider.

    Raises:
        ProviderNotFoundError: nothing is; the message names the one that was probably meant.
    """
    lockfile = lockfile_if_any()
    declared = lockfile.providers if lockfile is not None else {}
    return endpoint(provider, declared.get(provider), others=declared)


def _check_installed() -> None:
    if installed_version("keyring") is None:
        raise LLMRingError(f"The package keyring is not installed. To install it: {how_to_install('keyring')}")


def _read_key(provider: str) -> Key:
    """The key that was typed, or came by a pipe, without the white space around it."""
    if sys.stdin is None:
        return Key("")
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            return Key(getpass(f"Key of {provider}: ").strip())
        except (EOFError, KeyboardInterrupt):
            say()
            raise typer.Exit(130) from None
    try:
        text = sys.stdin.read(_LONGEST + 1)
    except UnicodeDecodeError:
        raise LLMRingError("What came by the pipe is no text: nothing was changed.") from None
    if len(text) > _LONGEST:
        raise LLMRingError("What came by the pipe is too long for a key: nothing was changed.")
    return Key(text.strip())


def _ask_keyring(ask: Callable[[Any], _T]) -> _T:
    """What the keyring says. Its exceptions may hold the key: of them only the name is told."""
    ring = None
    try:
        ring = import_module("keyring")
        return ask(ring)
    except Exception as error:
        kind = type(error).__name__
    if kind == "NoKeyringError":
        raise LLMRingError(
            "This system has no keyring that can be used: it takes a desktop's (Secret Service, KWallet), macOS's or "
            "Windows', or a backend that PYTHON_KEYRING_BACKEND names. Put the key into the environment instead."
        )
    raise LLMRingError(
        f"The system's keyring failed ({kind}): nothing was changed. If it is locked, unlock it; else put the key into "
        "the environment."
    )
