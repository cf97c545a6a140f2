"""A store that is away: killed, paused, full, started anew. Nobody waits for it for long, and it is found again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llmring.exceptions import BudgetExceededError, ConfigurationError, StoreUnavailableError
from llmring.state.asks import Ask, Told, Verdict
from llmring.state.far import Far, OwnVerdict
from llmring.state.stores import ProcessStore, Stepped
from llmring.testing import Tokens

from .ground import Counting, ask, counting
from .servers import Server, needs_redis, redis_server

__all__ = ["counting"]

pytestmark = needs_redis
PASSWORD = "hunter2-of-the-store"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone, with a password."""
    with redis_server(tmp_path, "--requirepass", PASSWORD, "--maxmemory", "3mb") as server:
        server.url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
        yield server


def away(how: str, server: Server) -> None:
    if how == "killed":
        server.kill()
    elif how == "paused":
        server.pause()
    else:
        _fill(server)


def _fill(server: Server) -> None:
    server.ask_with(PASSWORD, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.ask_with(PASSWORD, "CONFIG", "SET", "maxmemory", "1")


def back(how: str, server: Server) -> None:
    if how == "killed":
        server.start()
    elif how == "paused":
        server.go_on()
    else:
        server.ask_with(PASSWORD, "CONFIG", "SET", "maxmemory", "0")


@pytest.mark.parametrize("how", ["killed", "paused", "full"])
@pytest.mark.parametrize("on_failure", ["open", "closed"])
async def test_a_store_that_goes_and_comes_back(
    counting: Counting, own_redis: Server, how: str, on_failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llmring")
    rate, budget = {"requests": 1000, "per": "second"}, {"usd": 1.0, "per": "day"}
    counting.bind(url=own_redis.url, on_failure=on_failure, rate=rate, budget=budget)
    counting.server.script(lambda _: counting.server.reply("x", usage=Tokens(10, 10)))
    async with counting.service() as service:
        assert (await service.chat(ask())).content
        await service.state()
        away(how, own_redis)
        for _ in range(3):
            began = asyncio.get_running_loop().time()
            if on_failure == "open":
                assert (await service.chat(ask())).content
            else:
                with pytest.raises(StoreUnavailableError, match="COUNTS"):
                    await service.chat(ask())
            assert asyncio.get_running_loop().time() - began < 3
        if how != "full":  # one that is full can be read
            with pytest.raises(StoreUnavailableError):
                await service.state()
        said = [it.getMessage() for it in caplog.records if "store of counts" in it.getMessage()]
        assert len(said) == 1, said
        assert "is away" in said[0]
        back(how, own_redis)
        for _ in range(100):
            try:
                await service.chat(ask())
            except StoreUnavailableError:
                assert on_failure == "closed"
            if any("is back" in it.getMessage() for it in caplog.records):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("it was not found again")
        (alias,) = (await service.state()).aliases
        assert alias.budgets[0].spent > 0
        assert alias.budgets[0].held < 0.1
    everything = caplog.text + "".join(repr(vars(it)) for it in caplog.records)
    assert PASSWORD not in everything


async def test_what_others_have_put_under_the_prefix_is_left_alone(counting: Counting, own_redis: Server) -> None:
    counting.bind(url=own_redis.url, budget={"usd": 1.0, "per": "month"})
    async with counting.service() as service:
        await service.chat(ask())
        before = (await service.state()).aliases
        ours = next(it for it in own_redis.ask_with(PASSWORD, "KEYS", "*").split() if "llmring" in it)
        own_redis.ask_with(PASSWORD, "RPUSH", ours + ".list", "theirs")
        own_redis.ask_with(PASSWORD, "SET", ours + ".text", "theirs")
        own_redis.ask_with(PASSWORD, "HSET", ours + ".hash", "name", "theirs")
        assert (await service.state()).aliases == before


async def test_what_was_spent_meanwhile_is_told_when_it_is_back(counting: Counting, own_redis: Server) -> None:
    counting.bind(url=own_redis.url, budget={"usd": 1.0, "per": "month"})
    counting.server.reply("dear", usage=Tokens(0, 100_000), times=2)
    async with counting.service() as service:
        await service.chat(ask())
        before = (await service.state()).aliases[0].budgets[0].spent
        own_redis.pause()
        await service.chat(ask())
        own_redis.go_on()
        await asyncio.sleep(1.1)
        await service.chat(ask())
        await asyncio.sleep(0.1)
        assert (await service.state()).aliases[0].budgets[0].spent >= 2 * before


async def test_what_was_spent_meanwhile_is_told_at_the_end_at_the_latest(counting: Counting, own_redis: Server) -> None:
    counting.bind(url=own_redis.url, budget={"usd": 1.0, "per": "month"})
    counting.server.reply("dear", usage=Tokens(0, 100_000))
    async with counting.service() as service:
        own_redis.pause()
        await service.chat(ask())
        own_redis.go_on()
    async with counting.service() as service:
        assert (await service.state()).aliases[0].budgets[0].spent > 0.05


async def test_one_that_was_never_there_holds_nobody_for_long(counting: Counting, own_redis: Server) -> None:
    counting.bind(url=f"redis://127.0.0.1:{own_redis.port + 1}/0", rate={"requests": 1000, "per": "second"})
    async with counting.service() as service:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(service.chat(ask()) for _ in range(20)))
        assert asyncio.get_running_loop().time() - began < 4


async def test_a_wrong_password_is_not_shown(
    counting: Counting, own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    counting.bind(
        url=f"redis://:wrong-{PASSWORD}@127.0.0.1:{own_redis.port}/0",
        on_failure="closed",
        rate={"requests": 1000, "per": "second"},
    )
    async with counting.service() as service:
        with pytest.raises(StoreUnavailableError) as caught:
            await service.chat(ask())
    import traceback

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert PASSWORD not in shown + caplog.text + repr(caught.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "of no kind"),
        ("http://somewhere", "of no kind"),
        ("sqlite:", "names no file"),
        ("redis://host:port-that-is-none/0", "no address of a server|no URL"),
        ("redis://localhost/0?prefix={a}", "no braces"),
        ("redis://[::1", "no URL"),
        ("redis://localhost/0?no_such_option=1", "no address of a server"),
        ("redis://localhost/0?ssl_cert_reqs=none", "no address of a server"),
        ("redis://localhost/0?decode_responses=no", "says of the server what it may not"),
        ("redis://localhost/counts", "says of the server what it may not"),
    ],
)
async def test_an_address_that_is_none_is_said_without_it(counting: Counting, url: str, why: str) -> None:
    counting.bind(url=url, rate={"requests": 1, "per": "second"})
    async with counting.service() as service:
        with pytest.raises(ConfigurationError, match=why) as caught:
            await service.chat(ask())
    assert "COUNTS" in str(caught.value)
    assert url.partition(":")[2] == "" or url not in str(caught.value)


async def test_without_a_folder_a_file_is_away(counting: Counting, tmp_path: Path) -> None:
    counting.bind(url=f"sqlite:{tmp_path}/no/such/folder.db", on_failure="closed", rate={"requests": 1, "per": "day"})
    async with counting.service() as service:
        with pytest.raises(StoreUnavailableError):
            await service.chat(ask())


async def test_budgets_outlive_a_restart(counting: Counting, tmp_path: Path) -> None:
    counting.bind(url=f"sqlite:{tmp_path / 'counts.db'}", budget={"usd": 0.01, "per": "month"})
    counting.server.reply("dear", usage=Tokens(10_000, 10_000))
    async with counting.service() as service:
        await service.chat(ask(max_tokens=10_000))
    assert (tmp_path / "counts.db").stat().st_mode & 0o077 == 0
    async with counting.service() as service:
        with pytest.raises(BudgetExceededError):
            await service.chat(ask(max_tokens=10_000))


class Slow(ProcessStore):
    """One that takes its time."""

    seconds = 0.0

    async def step(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        await asyncio.sleep(self.seconds)
        return await super().step(told, asks)


async def test_a_step_has_its_time_and_the_next_has_its_own() -> None:
    store, asked = Slow(), Ask(budget="b", usd=1000, per="hour")
    far = Far(store, ProcessStore(), "STORE", "open")
    store.seconds = 0.6
    for _ in range(3):
        verdict = far.ask(asked)
        assert not isinstance(verdict, Verdict)
        assert not isinstance(await verdict, OwnVerdict)
    store.seconds = 30
    began = asyncio.get_running_loop().time()
    found = [far.ask(asked) for _ in range(100)]
    assert {type(it) for it in await asyncio.gather(*(it for it in found if not isinstance(it, Verdict)))} == {
        OwnVerdict
    }
    assert 0.9 < asyncio.get_running_loop().time() - began < 3
    await far.close()


async def test_nobody_waits_for_a_step_that_was_ended_from_outside() -> None:
    store = Slow()
    store.seconds = 30
    far = Far(store, ProcessStore(), "STORE", "open")
    found = far.ask(Ask(budget="b", usd=1000, per="hour"))
    assert not isinstance(found, Verdict)
    before = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.sleep(0)
    for task in before:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(found, 5)
    await far.close()
