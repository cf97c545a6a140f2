"""Where a key comes from: the constructor, else the environment, else the system keyring."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

__all__ = ["KEYRING", "find_key", "first_set", "key_source"]

KEYRING = "the keyring"
"""What `key_source` calls the system's keyring."""


def first_set(variables: Iterable[str]) -> str | None:
    """The first of these environment variables that is set and not empty."""
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), None)


def find_key(
    provider: str, variables: Iterable[str], given: Mapping[str, str | None], *, keyring: bool = True
) -> str | None:
    """The key of a provider, `None` if there is none.

    Args:
        provider: its name, which is also its entry in the keyring (service `llmring`).
        variables: the environment variables that may hold the key, the first one set wins.
        given: the keys that the constructor was given, by provider.
        keyring: whether to look in the keyring.
    """
    found = (given.get(provider) or "").strip() or first_set(variables)
    return found or (_from_keyring(provider) if keyring else None)


def key_source(provider: str, variables: Iterable[str], *, keyring: bool = True) -> str | None:
    """Where the key of a provider is: the name of a variable, or `KEYRING`. `None` if there is none.

    Args:
        provider, variables, keyring: as for `find_key`.
    """
    variable = next((name for name in variables if first_set([name])), None)
    return variable or (KEYRING if keyring and _from_keyring(provider) else None)


def _from_keyring(provider: str) -> str | None:
    try:
        import keyring  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    try:
        return keyring.get_password("llmring", provider) or None
    except Exception:  # a keyring that is locked, or has no backend, holds no key for us
        return None
