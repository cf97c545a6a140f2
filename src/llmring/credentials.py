"""Where a key comes from: the constructor, else the environment, else the system keyring."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

__all__ = ["KEYRING", "find_key", "first_set", "from_keyring"]

KEYRING = "the keyring"
"""What the system's keyring is called where it is said whence a key comes."""


def first_set(variables: Iterable[str]) -> str | None:
    """The first of these environment variables that is set and not empty."""
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), None)


def find_key(provider: str, variables: Iterable[str], given: Mapping[str, str | None]) -> str | None:
    """The key of a provider as the constructor or the environment has it, `None` if neither does.

    Args:
        provider: its name.
        variables: the environment variables that may hold the key, the first one set wins.
        given: the keys that the constructor was given, by provider.
    """
    return (given.get(provider) or "").strip() or first_set(variables)


def from_keyring(provider: str) -> str | None:
    """The key that the system's keyring has of a provider (service `llmring`), `None` if it has none.

    A keyring may take its time: it can wait for somebody to unlock it.
    """
    try:
        import keyring  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    try:
        return keyring.get_password("llmring", provider) or None
    except Exception:  # a keyring that is locked, or has no backend, holds no key for us
        return None
