"""A plugin: the network taken away, and the tests in another order, on request."""

from __future__ import annotations

import os
import random
import sys

import pytest

_TAKEN = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if event in _TAKEN:
        raise AssertionError(f"the network was asked for: {event} {args}")


sys.addaudithook(_refuse)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if seed := os.environ.get("SHUFFLED_BY"):
        random.Random(seed).shuffle(items)
