"""Rows over Ray: a real one on this machine, its workers' real SDKs, and the practice server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from llmring import LLMRequest, LLMRing, Message, sync
from llmring.cli.app import app
from llmring.exceptions import ConfigurationError, ProviderAuthenticationError
from llmring.testing import PracticeServer, Reply, Tokens
from llmring.testing.exchange import RecordedRequest

from ..conftest import bind
from ..state.servers import PROGRAM, needs_redis, redis_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data").DataContext.get_current()

pytestmark = [
    pytest.mark.long,
    # Ray's, of what a later one will do otherwise, of pools larger than their work, and of sockets that its ends leave.
    pytest.mark.filterwarnings(
        "ignore::FutureWarning:ray", "ignore:The minimum number of concurrent actors:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:ray"),
]

ASK = ["--model", "openai:gpt-5-mini", "--prompt", "Label: {text}", "-o", "out.jsonl"]
RAY = ["--engine", "ray", "--workers", "2"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeServer]:
    """A Ray whose workers reach a practice server, and a Redis, where there is one to start."""
    folder = tmp_path_factory.mktemp("redis")
    counts = redis_server(folder) if PROGRAM is not None else contextlib.nullcontext()
    with PracticeServer() as server, pytest.MonkeyPatch.context() as patch, counts as redis:
        near = f"127.0.0.1,localhost,{ray.util.get_node_ip_address()}"
        more = {"http_proxy": server.url, "no_proxy": near, "NO_PROXY": near, "RAY_USAGE_STATS_ENABLED": "0"}
        if redis is not None:
            more["COUNTS"] = redis.url
        for name, value in {**server.environ(), **more}.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address="local", num_cpus=3, object_store_memory=128 << 20, **options)
        try:
            yield server
        finally:
            ray.shutdown()


@pytest.fixture
def server(cluster: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> PracticeServer:
    for name, value in cluster.environ().items():
        monkeypatch.setenv(name, value)
    cluster.default = Reply()
    cluster.script(said)
    cluster.requests.clear()
    return cluster


def said(request: RecordedRequest) -> Reply:
    return Reply(f"of {request.question}")


def write(count: int, path: str = "rows.jsonl") -> str:
    Path(path).write_text("".join(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in range(count)))
    return path


def run(*args: str) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(app, ["map", *args], catch_exceptions=False, prog_name="llmring")
    return done.exit_code, json.loads(done.stdout or "{}"), done.stderr


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(it) for it in Path(path).read_text().splitlines()]


def answers(path: str = "out.jsonl") -> dict[int, str]:
    found = {it["row"]: it["answer"] for it in lines(path)}
    assert len(found) == len(lines(path)), "a row is there twice"
    return found


def build(row: dict[str, Any]) -> LLMRequest:
    return LLMRequest(model="openai:gpt-5-mini", messages=[Message(role="user", content=row["text"])])


def test_either_engine_goes_on_where_the_other_ended(server: PracticeServer) -> None:
    rows = write(50)
    status, summary, _ = run(rows, *ASK, *RAY)
    assert (status, summary["answered"], summary["left"]) == (0, 50, 0)
    assert answers() == {n + 1: f"of Label: text {n}" for n in range(50)}
    assert not Path("out.jsonl.d").exists()
    assert run(rows, *ASK)[1]["done_before"] == 50
    write(60)
    assert run(rows, *ASK)[1]["answered"] == 10
    write(90)
    assert run(rows, *ASK, "--engine", "ray", "--workers", "1")[1]["answered"] == 30
    assert answers() == {n + 1: f"of Label: text {n}" for n in range(90)}
    assert len(server.requests) == 90


def test_rows_that_ask_the_same_have_an_answer_each(server: PracticeServer) -> None:
    Path("rows.jsonl").write_text('{"text": "same"}\n' * 5)
    done = CliRunner().invoke(app, ["map", "rows.jsonl", *ASK[:-2], *RAY], catch_exceptions=False)
    assert sorted(json.loads(it)["row"] for it in done.stdout.splitlines()) == [1, 2, 3, 4, 5]
    assert len(server.requests) == 5


def test_failures_are_beside_and_are_taken_up(server: PracticeServer) -> None:
    rows = write(30)
    server.script(lambda it: Reply(problem="too_long") if it.question.endswith("7") else said(it))
    status, summary, _ = run(rows, *ASK, *RAY)
    assert (status, summary["answered"], summary["failed"]) == (1, 27, 3)
    assert sorted(it["row"] for it in lines("out.failed.jsonl")) == [8, 18, 28]
    assert run(rows, *ASK, *RAY)[1]["done_before"] == 30
    server.script(said)
    assert run(rows, *ASK, *RAY, "--retry-failed")[1]["answered"] == 3
    assert len(answers()) == 30
    assert not Path("out.failed.jsonl").exists()


def test_what_every_row_would_meet_ends_the_run(server: PracticeServer) -> None:
    server.script(lambda it: Reply(problem="bad_key"))
    status, summary, err = run(write(400), *ASK, *RAY)
    assert status == 1
    assert err.count("refused the key") == 1
    assert (summary["answered"], summary["failed"]) == (0, 0)
    assert len(server.requests) <= 2 * 17  # each worker begins with 16
    assert not Path("out.failed.jsonl").exists()


def test_no_more_is_spent_than_was_said_by_all_together(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At a host of one's own nobody bills: this is the name of a gateway, through a proxy.
    monkeypatch.setenv("LLMRING_TRUST", "1")
    bind({}, '[providers.openai]\nbase_url = "http://gateway.invalid/v1"\n')
    rows = write(200)
    server.script(lambda it: Reply("x", usage=Tokens(prompt=1000, completion=1000), delay=0.02))
    status, summary, _ = run(rows, *ASK, *RAY, "--max-cost", "0.1")
    assert status == 1
    assert 0.02 < summary["usd"] <= 0.1
    assert "may not fit into $0.1" in summary["stopped"]
    assert summary["left"] == 200 - summary["answered"] > 0
    assert len(answers()) == len(server.requests) == summary["answered"]


@needs_redis
def test_a_budget_in_redis_is_one_for_all_workers(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_TRUST", "1")
    bound = bind({"labeller": ["openai:gpt-5-mini"]}, '[providers.openai]\nbase_url = "http://gateway.invalid/v1"\n')
    with bound.open("a") as file:
        file.write('[state]\nurl_env = "COUNTS"\n')
    budget = 'budget = { usd = 0.1, per = "month" }\nmodels = '
    bound.write_text(bound.read_text().replace("models = ", budget, 1))
    rows = write(200)
    # No dearer than what is held for it: else those under way together would come to more.
    server.script(lambda it: Reply("x", usage=Tokens(prompt=1, completion=1000), delay=0.02))
    ask = ["--model", "labeller", "--prompt", "Label: {text}", "--max-tokens", "1000", "-o", "out.jsonl"]
    _, summary, told = run(rows, *ask, *RAY)
    assert "labeller may cost $0.1 a month" in told
    assert 0.02 < summary["usd"] <= 0.1
    assert summary["left"] > 0
    assert len(answers()) == len(server.requests) == summary["answered"]

    async def spent() -> float:
        async with LLMRing() as service:
            return (await service.state()).aliases[0].budgets[0].spent

    assert asyncio.run(spent()) == pytest.approx(summary["usd"])


def test_rows_of_standard_input_are_read_by_workers_too(server: PracticeServer) -> None:
    write(20)
    piped = Path("rows.jsonl").read_bytes()
    done = CliRunner().invoke(app, ["map", "-", *ASK, *RAY], input=piped, catch_exceptions=False)
    assert json.loads(done.stdout)["answered"] == 20, done.stderr
    assert len(answers()) == 20


async def test_a_data_set_of_rays_own(server: PracticeServer) -> None:
    data = ray.data.from_items([{"id": n, "text": f"text {n}"} for n in range(40)])
    async with LLMRing() as service:
        results = [it async for it in service.map(data, build, engine="ray", workers=2)]
        assert [it.number for it in results] == [*range(1, 41)]
        assert [it.row["id"] for it in results] == [*range(40)]
        assert [it.response and it.response.content for it in results] == [f"of text {n}" for n in range(40)]
        twice = ray.data.from_items([{"id": n, "text": "the same"} for n in range(6)])
        found = [it async for it in service.map(twice, build, engine="ray", workers=1)]
        assert [it.row["id"] for it in found] == [*range(6)]
        server.script(lambda it: Reply(problem="too_long") if it.question == "text 3" else said(it))
        ask: dict[str, Any] = {"engine": "ray", "workers": 2, "output": "out.jsonl", "key": "id", "ordered": False}
        first = [it async for it in service.map(data, build, **ask)]
        assert {it.row["id"] for it in first if it.error is not None} == {3}
        assert len(first) == 40
        more = data.union(ray.data.from_items([{"id": 41, "text": "more"}]))
        assert [it.row["id"] async for it in service.map(more, build, **ask)] == [41]
    assert len(lines("out.jsonl")) == 40


class Holder:
    """Has CPUs that nobody else is given."""

    def there(self) -> bool:
        return True


def asking_for_stars() -> tuple[type[BaseModel], Any]:
    class Label(BaseModel):
        stars: int

    def ask(row: dict[str, Any]) -> LLMRequest:
        return LLMRequest(model="openai:gpt-5-mini", messages=build(row).messages, response_format=Label)

    return Label, ask


async def test_more_workers_than_there_is_room_for_are_refused(server: PracticeServer) -> None:
    data = ray.data.from_items([{"text": "one"}])
    async with LLMRing() as service:
        with pytest.raises(ConfigurationError, match=r"3 workers need 4 CPUs, .*, and this Ray has 3.*workers=2"):
            await anext(service.map(data, build, engine="ray", workers=3))


async def test_one_that_waits_for_room_can_be_ended(server: PracticeServer) -> None:
    data = ray.data.from_items([{"text": "one"}])
    all_of_it = ray.remote(Holder).options(num_cpus=3).remote()
    try:
        await all_of_it.there.remote()
        async with LLMRing() as service:
            answers = service.map(data, build, engine="ray", workers=1)
            waiting = asyncio.ensure_future(anext(answers))
            await asyncio.wait([waiting], timeout=5)  # Ray says to nobody that it waits
            waiting.cancel()
            _, still = await asyncio.wait([waiting], timeout=60)
            assert not still
            assert waiting.cancelled()
    finally:
        ray.kill(all_of_it)


async def test_a_class_of_the_program_itself_goes_there_and_back(server: PracticeServer) -> None:
    server.script(lambda it: Reply('{"stars": 5}'))
    label, ask = asking_for_stars()
    data = ray.data.from_items([{"text": "one"}])
    async with LLMRing() as service:
        results = [it async for it in service.map(data, ask, engine="ray", workers=1)]
        assert [it.response and it.response.parsed for it in results] == [label(stars=5)]
        with pytest.raises(ConfigurationError, match="cannot be sent to workers"):
            await anext(service.map(data, lambda row: service, engine="ray", workers=1))  # type: ignore[arg-type,return-value]


def test_a_data_set_where_nothing_is_awaited(server: PracticeServer) -> None:
    data = ray.data.from_items([{"text": f"text {n}"} for n in range(10)])
    with sync.LLMRing() as service:
        assert len([*service.map(data, build, engine="ray", workers=1)]) == 10


async def test_what_stays_in_its_process_is_not_sent(server: PracticeServer) -> None:
    data = ray.data.from_items([{"text": "one"}])
    async with LLMRing(api_keys={"openai": "practice-key"}) as service:
        with pytest.raises(ConfigurationError, match="stay in its process"):
            await anext(service.map(data, build, engine="ray", workers=1))


async def test_an_error_of_a_worker_is_raised_here(server: PracticeServer) -> None:
    server.script(lambda it: Reply(problem="bad_key"))
    data = ray.data.from_items([{"text": "one"}])
    async with LLMRing() as service:
        with pytest.raises(ProviderAuthenticationError) as caught:
            await anext(service.map(data, build, engine="ray", workers=1))
    assert os.environ["OPENAI_API_KEY"] not in str(caught.value)
