"""A Redis server for the tests of a file, which forget what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import PROGRAM, Server, redis_server


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if PROGRAM is None:
        pytest.skip("there is no redis-server here")
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(shared_redis: Server) -> Server:
    """A Redis server with nothing in it."""
    shared_redis.ask("FLUSHALL")
    shared_redis.ask("SCRIPT", "FLUSH")
    return shared_redis


@pytest.fixture(params=["process", "sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of each of the stores; empty for this process."""
    if request.param == "redis":
        server: Server = request.getfixturevalue("redis")
        return server.url
    return f"sqlite:{tmp_path / 'state.db'}" if request.param == "sqlite" else ""
