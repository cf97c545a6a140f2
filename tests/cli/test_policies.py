"""The policy of an alias, as `lock show`, `aliases`, `info` and `lock diff` say it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmring import catalog
from llmring.cli.facts import price
from llmring.cli.policies import time

from .conftest import Run

DEAR, CHEAP = "anthropic:claude-sonnet-5-5", "openai:gpt-6-luna"
LOCKFILE = f"""version = "1.0"
[[profiles.default.bindings]]
alias = "chatbot"
models = ["{DEAR}", {{ model = "{CHEAP}", params = {{ seed = 1 }} }}]
params = {{ max_tokens = 99 }}
split = {{ weights = [90, 10], by = "user" }}
sticky = "10m"
hedge_after = "p95"
deadline = 30
move_on = ["content_filter", "empty"]
on_refused_param = "drop"
rate = {{ requests = 600, tokens = 400_000, per = "minute" }}
budget = {{ usd = 25.0, per = "day", by = "team", unpriced = "allow" }}
"""


@pytest.fixture
def policies(bare: Path) -> Path:
    path = bare / "llmring.lock"
    path.write_text(LOCKFILE)
    return path


def rows(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_lock_show_has_it_beside_each_model(policies: Path, run: Run) -> None:
    *_, first, second = rows(run("lock", "show").stdout)
    assert first[-1] == (
        "max_tokens = 99; serves 90% first; sticky 10m; hedge_after p95; deadline 30s; move_on content_filter, empty; "
        "on_refused_param drop; rate 600 requests and 400,000 tokens a minute; "
        "budget $25.00 a day for each team, unpriced allowed"
    )
    assert second[-1] == "serves 10% first; seed = 1"


def test_info_has_a_row_for_each_key(policies: Path, run: Run) -> None:
    said = dict(it for it in rows(run("info", "chatbot").stdout) if len(it) == 2)
    assert said["split"] == f"90% {DEAR}, 10% {CHEAP}, by user"
    assert said[f"params of {CHEAP}"] == "seed = 1"
    assert said["rate"] == "600 requests and 400,000 tokens a minute"


def test_programs_get_it_as_data(policies: Path, run: Run) -> None:
    for said in (
        json.loads(run("lock", "show", "--json").stdout)["aliases"]["chatbot"]["policy"],
        json.loads(run("aliases", "--verbose", "--json").stdout)["aliases"]["chatbot"]["policy"],
        json.loads(run("info", "chatbot", "--json").stdout)["policy"],
    ):
        assert said["split"] == {"weights": [90, 10], "by": "user", "generation": 0, "shares": {DEAR: 0.9, CHEAP: 0.1}}
        assert (said["sticky"], said["hedge_after"], said["deadline"]) == (600, "p95", 30)
        assert said["params"] == {CHEAP: {"seed": 1}}
        assert said["budget"] == {"usd": 25.0, "per": "day", "by": "team", "unpriced": "allow"}


def test_an_alias_without_policy_says_nothing_of_one(bare: Path, run: Run) -> None:
    (bare / "llmring.lock").write_text(
        f'version = "1.0"\nprofiles.default.bindings = [{{alias="a", models=["{DEAR}"]}}]'
    )
    assert "policy" not in json.loads(run("lock", "show", "--json").stdout)["aliases"]["a"]


def test_lock_diff_says_what_a_change_of_weights_does_to_the_price(policies: Path, run: Run) -> None:
    old = policies.with_name("old.lock")
    old.write_text(LOCKFILE)
    policies.write_text(LOCKFILE.replace("[90, 10]", "[50, 50]").replace('"10m"', '"5m"'))
    prices = [catalog.model_info(model).input_price for model in (DEAR, CHEAP)]
    assert None not in prices
    dear, cheap = (it or 0.0 for it in prices)
    before, after = round(0.9 * dear + 0.1 * cheap, 6), round(0.5 * dear + 0.5 * cheap, 6)
    said = dict(it for it in rows(run("lock", "diff", "./old.lock").stdout) if len(it) == 2)
    assert said["input"].startswith(f"{price(before)} → {price(after)} (-")
    assert said["sticky"] == "10m → 5m"
    assert said["split"] == f"90% {DEAR}, 10% {CHEAP}, by user → 50% {DEAR}, 50% {CHEAP}, by user"
    assert "model" not in said
    data = json.loads(run("lock", "diff", "./old.lock", "--json").stdout)["profiles"][0]["aliases"][0]
    assert (data["input_price"]["before"], data["input_price"]["after"]) == (before, after)
    assert data["after"]["policy"]["sticky"] == 300
    assert f"| {price(before)} → {price(after)} (" in run("lock", "diff", "./old.lock", "--markdown").stdout


def test_where_one_of_them_has_no_price_the_alias_has_none(policies: Path, run: Run) -> None:
    old = policies.with_name("old.lock")
    old.write_text(LOCKFILE.replace("[90, 10]", "[1, 0]"))
    policies.write_text(LOCKFILE.replace(CHEAP, "openai:nobody-knows-it"))
    said = dict(it for it in rows(run("lock", "diff", "./old.lock").stdout) if len(it) == 2)
    assert said["input"].endswith("→ unknown")


def test_bind_takes_weights(policies: Path, run: Run) -> None:
    result = run("bind", "chatbot", f"{DEAR},{CHEAP}", "--split", "50,50")
    assert result.exit_code == 0
    assert f"first place: 50% {DEAR}, 50% {CHEAP}, by user" in result.stderr
    assert 'split = { weights = [50, 50], by = "user" }' in policies.read_text()
    result = run("bind", "chatbot", f"{DEAR},{CHEAP},ollama:llama3.2")
    assert result.exit_code == 1
    assert "split has 2 weights for 3 models" in result.stderr
    assert "--split none" in result.stderr
    assert run("bind", "chatbot", f"{DEAR},{CHEAP},ollama:llama3.2", "--split", "none").exit_code == 0
    assert "split" not in policies.read_text()
    assert run("bind", "chatbot", DEAR, "--split", "half").exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(600, "10m"), (2.5, "2.5s"), (0.3, "300ms"), (86400, "1d"), (5400, "90m"), (3600, "1h"), (90.5, "90.5s")],
)
def test_times(seconds: float, said: str) -> None:
    assert time(seconds) == said
