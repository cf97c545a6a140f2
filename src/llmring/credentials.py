"""Where a key comes from: the constructor, else the environment, else the system keyring; and how it is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["KEYRING", "PUBLIC", "SERVICE", "Key", "Keyring", "find_key", "first_set", "kept", "reveal"]

KEYRING = "the keyring"
"""What the system's keyring is called where it is said whence a key comes."""

SERVICE = "llmring"
"""The service of our entries in the keyring. The user's name is the provider's."""

PUBLIC = frozenset({"accept", "accept-encoding", "connection", "content-type", "content-length", "host", "user-agent"})
"""Headers of a request that are everybody's: they hold no secret, and may go anywhere."""

_GIVEN = "api_keys"


class Key:
    """A secret, from where it is found to where it is sent. Only `reveal` shows it.

    Two are equal only if they are one, and a copy that was pickled is empty: what writes down whatever it meets, a
    traceback with its locals or a report of an error, has nothing of it.

    Args:
        secret: what is to be kept; of any type, so that what is wrong with it can be said without showing it.
        source: where it was found, for advice; not given: that the constructor was given it.
    """

    __slots__ = ("_secret", "source")

    def __init__(self, secret: Any, source: str = _GIVEN) -> None:
        self._secret = secret
        self.source = source

    @property
    def kind(self) -> type:
        """What it is: text, unless somebody gave something else."""
        return type(self._secret)

    @property
    def wrong(self) -> str | None:
        """What it holds that no header takes; `None` where it holds nothing of that kind."""
        if any(letter.isspace() for letter in self._secret):
            return "white space"
        return None if self._secret.isascii() and self._secret.isprintable() else "a character of no key"

    def __repr__(self) -> str:
        return "[key]"

    def __bool__(self) -> bool:
        return bool(self._secret)

    def __reduce__(self) -> tuple[type[Key], tuple[str, str]]:
        return Key, ("", self.source)

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, _: Any) -> Key:
        return self


def kept(keys: Mapping[str, Any] | None) -> dict[str, Key | None]:
    """Keys that were given, by provider, each as a `Key`; what gives no keys by provider, under no name."""
    if not isinstance(keys, Mapping):
        return {} if keys is None else {"": Key(keys)}
    return {name: None if key is None else key if isinstance(key, Key) else Key(key) for name, key in keys.items()}


def reveal(secret: Key | str | None) -> str:
    """The secret itself, to be sent; empty where there is none."""
    return str(secret._secret or "") if isinstance(secret, Key) else secret or ""


def first_set(variables: Iterable[str]) -> str | None:
    """The first of these environment variables that is set and not empty."""
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), None)


def find_key(provider: str, variables: Iterable[str], given: Mapping[str, Key | None]) -> Key | None:
    """The key of a provider as the constructor or the environment has it, `None` if neither does.

    Args:
        provider: its name.
        variables: the environment variables that may hold the key, the first one set wins.
        given: the keys that the constructor was given, by provider.
    """
    if key := reveal(given.get(provider)).strip():
        return Key(key)
    return next((Key(value, name) for name in variables if (value := first_set([name]))), None)


class Keyring:
    """The system's keyring. It may wait for somebody to unlock it, over SSH for ever.

    Args:
        patience: seconds to wait for it; `None` waits for as long as it takes.

    Attributes:
        waits: whether it kept silent for longer than that. Then it is asked no more.
    """

    def __init__(self, patience: float | None = None) -> None:
        self.waits = False
        self._patience = patience

    def find(self, provider: str) -> Key | None:
        """The key that it has of a provider (service `llmring`, user the provider's name), `None` if it has none."""
        if self.waits:
            return None
        if self._patience is None:
            return _kept(provider)
        found: list[Key | None] = []
        asking = threading.Thread(target=lambda: found.append(_kept(provider)), name="llmring-keyring", daemon=True)
        asking.start()
        asking.join(self._patience)
        self.waits = not found
        return found[0] if found else None


def _kept(provider: str) -> Key | None:
    try:
        key = (import_module("keyring").get_password(SERVICE, provider) or "").strip()
    except Exception:  # one that is not there, is locked, or has no backend, holds no key for us
        return None
    return Key(key, KEYRING) if key else None
