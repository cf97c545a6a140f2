"""A cluster of three nodes on one machine: all that a request touches is on one of them, whichever is asked first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from llmring.exceptions import ProviderRateLimitError

from .ground import Counting, ask, counting
from .servers import Server, needs_redis, redis_server

__all__ = ["counting"]

pytestmark = needs_redis
_SLOTS = 16_384


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        nodes = []
        for number in range(3):
            folder = tmp_path_factory.mktemp(f"node{number}")
            nodes.append(stack.enter_context(redis_server(folder, "--cluster-enabled", "yes")))
            nodes[-1].ask("CLUSTER", "ADDSLOTSRANGE", str(number * _SLOTS // 3), str((number + 1) * _SLOTS // 3 - 1))
            nodes[-1].ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            if number:
                nodes[-1].ask("CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port))

        for node in nodes:
            for _ in range(600):
                if {"cluster_state:ok", "cluster_known_nodes:3"} <= {*node.ask("CLUSTER", "INFO").split()}:
                    break
                time.sleep(0.05)
            else:
                raise AssertionError("the nodes do not agree")
        yield nodes


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("prefix", ["", "team-a"])
async def test_any_node_may_be_named(counting: Counting, cluster: list[Server], first: int, prefix: str) -> None:
    counting.bind(
        url=cluster[first].url + (f"?prefix={prefix}{first}" if prefix else f"?prefix=own{first}"),
        on_failure="closed",
        rate={"requests": 2, "tokens": 100_000, "per": "hour"},
        budget={"usd": 1.0, "per": "day", "by": "user"},
    )
    async with counting.service(timeout=2) as service:
        await service.chat(ask(max_tokens=10, metadata={"user": "ann"}))
        await service.chat(ask(max_tokens=10, metadata={"user": "ben"}))
        with pytest.raises(ProviderRateLimitError):
            await service.chat(ask(max_tokens=10))
        (alias,) = (await service.state()).aliases
        assert len(alias.budgets) == 2
        assert alias.rate is not None
        assert alias.rate.requests == 0
        assert await service.reset_state() >= 3
        await service.chat(ask(max_tokens=10))
