"""What is said where there is no Ray, or nothing for it to do."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmring import LLMRequest, LLMRing, Message
from llmring.cli.app import app
from llmring.clusters.desk import FINISH, GO_ON, STOP, Desk
from llmring.clusters.starting import started
from llmring.clusters.worker import Setup
from llmring.exceptions import ConfigurationError
from llmring.testing import PracticeServer


def build(row: object) -> LLMRequest:
    return LLMRequest(model="openai:gpt-5-mini", messages=[Message(role="user", content=str(row))])


async def test_a_missing_extra_says_what_to_install(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    async with LLMRing() as service:
        with pytest.raises(ConfigurationError, match=r"extra ray.*pip install 'ray\[data\]'"):
            service.map([], build, engine="ray")
        with pytest.raises(ConfigurationError, match='workers= goes with engine="ray"'):
            service.map([], build, workers=2)
        with pytest.raises(ConfigurationError, match='"local" and "ray"'):
            service.map([], build, engine="spark")  # type: ignore[arg-type]


def test_where_all_is_done_no_ray_is_started(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rows.jsonl").write_text('{"text": "one"}\n')
    ask = ["map", "rows.jsonl", "-m", "openai:gpt-5-mini", "--prompt", "{text}", "-o", "out.jsonl"]
    assert CliRunner().invoke(app, ask).exit_code == 0
    monkeypatch.setitem(sys.modules, "ray", None)
    assert CliRunner().invoke(app, [*ask, "--engine", "ray"]).exit_code == 0
    Path("rows.jsonl").write_text('{"text": "two"}\n')
    done = CliRunner().invoke(app, [*ask, "--engine", "ray"])
    assert done.exit_code == 1
    assert "pip install 'ray[data]'" in str(done.exception) + done.stderr
    assert not Path("out.jsonl.d").exists()


def test_options_that_do_not_go_together_are_refused(bare: Path) -> None:
    for more in (
        ["--workers", "2"],
        ["--engine", "ray", "--batch", "-o", "out.jsonl"],
        ["-o", "s3://bucket/out.jsonl"],
    ):
        done = CliRunner().invoke(app, ["map", "rows.jsonl", "-m", "openai:gpt-5-mini", "--prompt", "x", *more])
        assert done.exit_code == 2, more


def test_nobody_at_an_address_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with PracticeServer() as server:
        port = server.url.rpartition(":")[2]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(ConfigurationError, match="no Ray to be had"), started(1):
        pass


def test_a_pickle_of_somebody_else_is_never_opened(tmp_path: Path) -> None:
    """The folder of a run is one that others may write."""
    pytest.importorskip("ray")
    setup, other = (Setup({}, None, tmp_path, "", 1, 1, None, build=build) for _ in range(2))
    assert setup.opened(setup.sealed({"a": 1})) == {"a": 1}
    sealed = base64.b85decode(setup.sealed(Opened()))
    for hostile in (other.sealed(Opened()), base64.b85encode(sealed[:-1]).decode(), "", "?", None):
        assert not setup.is_own({"result": hostile})
    assert not setup.is_own({})
    assert "seal" not in repr(setup)


class Opened:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was opened",)


def test_the_desk_lets_all_together_spend_no_more_than_there_is() -> None:
    desk = Desk(1.0)
    assert desk.may("a", 0.0, 0, 0.1, 16) == 10
    assert desk.may("b", 0.0, 0, 0.1, 16) == 0
    assert desk.may("a", 0.2, 8, 0.1, 16) == 0
    assert desk.may("a", 0.2, 0, 0.05, 16) == 8
    assert desk.may("a", 0.95, 0, 0.1, 16) == -1
    assert desk.stage() == GO_ON
    desk.end(STOP)
    desk.end(FINISH)
    assert desk.stage() == STOP
